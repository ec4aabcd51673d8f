// SPDX-License-Identifier: Apache-2.0
#include "config/config_file.h"

#include "config/gateway.h"
#include "config/phases.h"
#include "unit/config/minimal.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace tideway::config {
namespace {

std::string minimal_with(std::string_view from, std::string_view to) {
  std::string text(kMinimal);
  const size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return at == text.npos ? text : text.replace(at, from.size(), to);
}

Error refusal(std::string_view text) {
  const auto config = parse(text, "t.toml");
  EXPECT_FALSE(config.ok()) << text;
  return config.ok() ? Error{Fault::kUsage, "", ""} : config.error();
}

// Expects a refusal at `place` with all of `words` in what it says or advises.
void expect_refused(std::string_view text, std::string_view place, std::initializer_list<std::string_view> words) {
  const Error error = refusal(text);
  EXPECT_EQ(error.fault, Fault::kConfigInvalid);
  EXPECT_EQ(error.exit_code(), 3);
  EXPECT_TRUE(error.what.starts_with("t.toml" + std::string(place))) << error.what;
  EXPECT_FALSE(error.next.empty());
  for (const std::string_view word : words)
    EXPECT_NE((error.what + "; " + error.next).find(word), std::string::npos) << word << " in: " << error.what << "; " << error.next;
}

GatewayConfig accepted(std::string_view text) {
  auto config = parse(text, "t.toml");
  EXPECT_TRUE(config.ok()) << (config.ok() ? "" : config.error().what);
  return config.ok() ? std::move(config).value() : GatewayConfig();
}

TEST(ConfigFile, KeysLeftOutHaveTheirDefaults) {
  const GatewayConfig config = accepted(kMinimal);
  EXPECT_EQ(config.site.state_dir, "/var/lib/tideway");
  EXPECT_EQ(config.engine.memory, 1_GiB);
  EXPECT_EQ(config.data_plane.backend, "udp");
  EXPECT_EQ(config.data_plane.congestion, "bbr");
  EXPECT_EQ(config.data_plane.fallback, Fallback::kTls);
  EXPECT_EQ(config.data_plane.ask_udp_after, std::chrono::minutes(5));
  EXPECT_EQ(config.storage.direct_io, storage::DirectIo::kAuto);
  EXPECT_EQ(config.storage.staging_ttl, std::chrono::hours(168));
  EXPECT_EQ(config.compression.mode, Compression::Mode::kAuto);
  EXPECT_TRUE(check_serves(config).ok());
}

TEST(ConfigFile, DirectIoCanBeTurnedOff) {
  EXPECT_EQ(accepted(minimal_and("[storage]\ndirect_io = \"off\"\n")).storage.direct_io, storage::DirectIo::kOff);
  EXPECT_FALSE(parse(minimal_and("[storage]\ndirect_io = \"on\"\n"), "t.toml").ok());
}

TEST(ConfigFile, UdpIsAskedForWithinAnHour) {
  const auto with = [](const std::string& time) { return minimal_with("[data_plane]\n", "[data_plane]\nask_udp_after = \"" + time + "\"\n"); };
  EXPECT_EQ(accepted(with("90s")).data_plane.ask_udp_after, std::chrono::seconds(90));
  for (const char* time : {"0", "500ms", "2h"}) expect_refused(with(time), ":12:17: ", {"ask_udp_after", "between 1s and 1h"});
}

TEST(ConfigFile, TrainingsNameLinksAndBeaconsNeedAKey) {
  expect_refused(minimal_and("[[training]]\nname = \"llm7\"\npeers = [\"oslo\"]\n"), ":16:1: ", {"llm7", "oslo", "[[link]]"});
  expect_refused(minimal_and("[[link]]\npeer = \"a\"\n[[link]]\npeer = \"a\"\n"), ":18:1: ", {"one [[link]] per site"});
  expect_refused(minimal_and("[phase]\nlisten = \"10.0.0.1:7399\"\n"), ":16:", {"listen in [phase]", "key_file"});
  expect_refused(minimal_with("[data_plane]", "web = \"10.77.0.1:7480\"\n[data_plane]"), ":11:7: ", {"web in [listen]", "loopback", "ssh -L"});
  expect_refused(minimal_and("[schedule]\nqueue_target = \"3ms\"\n"), ":17:16: ", {"queue target", "2ms"});
  expect_refused(minimal_and("[schedule]\ntrickle = \"2%\"\n"), ":17:11: ", {"trickle", "1%"});
  const GatewayConfig config = accepted(minimal_and(
      "[[link]]\npeer = \"oslo\"\nle_queue = true\n[[training]]\nname = \"llm7\"\npeers = [\"oslo\"]\nsources = [\"board\"]\n"
      "[phase]\nlisten = \"\"\nttl_max = \"30s\"\n"));
  EXPECT_EQ(config.links.at(0).queue, Link::LowerEffort::kOwn);
  EXPECT_TRUE(config.trainings.at(0).listens_to(PhaseSource::kBoard));
  EXPECT_FALSE(config.trainings.at(0).listens_to(PhaseSource::kBeacon));
  EXPECT_FALSE(config.phase.listen);
  EXPECT_EQ(config.phase.ttl_max, std::chrono::seconds(30));
}

TEST(ConfigFile, ALinkIsSentOnAsTheDataPlaneIsUnlessItSaysElse) {
  const std::string training = "[[training]]\nname = \"llm7\"\npeers = [\"oslo\"]\ncounters = [\"iface:eth1\"]\n";
  const std::string link = "[[link]]\npeer = \"oslo\"\ncapacity = \"10Gbit\"\n";
  const auto congestion = [](const GatewayConfig& config) { return std::string(gates_of(config)->traffic(0).controller.value().name); };
  EXPECT_EQ(congestion(accepted(minimal_and(link + training))), "bbr");
  EXPECT_EQ(congestion(accepted(minimal_and(link + "congestion = \"scavenger\"\n" + training))), "scavenger");
  expect_refused(minimal_and(link + "congestion = \"cubic\"\n"), ":19:14: ", {"not known", "bbr"});
  expect_refused(minimal_and(link + "congestion = \"contracted\"\n"), ":16:1: ", {"contracted", "rate"});
  const auto gates = gates_of(accepted(minimal_and(link + "dscp = \"off\"\n" + training)));
  EXPECT_EQ(gates->traffic(0).dscp, Dscp::kDefault);
  EXPECT_EQ(gates->traffic(0).capacity, 10_Gbit);  // bulk stays under it, because bursts come
  EXPECT_EQ(gates->traffic(1).dscp, Dscp::kLowerEffort);  // a link that nothing is said of
  EXPECT_TRUE(gates_of(accepted(minimal_and(link)))->traffic(0).capacity.is_unlimited());  // nobody to be in the way of
}

TEST(ConfigFile, CountersOfATrainingNameInterfacesAndNeedACapacity) {
  const std::string link = "[[link]]\npeer = \"oslo\"\n", training = "[[training]]\nname = \"llm7\"\npeers = [\"oslo\"]\n";
  expect_refused(minimal_and(link + training + "counters = [\"iface:eth1\"]\n"), ":18:1: ", {"llm7", "oslo", "capacity"});
  expect_refused(minimal_and(link + training + "counters = [\"nft:inet/a\"]\n"), ":21:12: ", {"nft:inet/a", "nft list counters"});
  expect_refused(minimal_and(link + "capacity = \"10Gbit\"\n" + training + "counters = [\"dpdk:net_ring0\"]\n"), ":19:1: ", {"dpdk:net_ring0", "[data_plane.dpdk]"});
  expect_refused(minimal_and(link + training + "counters = [\"iface:../mem\"]\n"), ":21:12: ", {"../mem", "iface:eth1"});
  expect_refused(minimal_and("[schedule]\ninterference_budget = \"60%\"\n"), ":17:23: ", {"interference_budget", "50%"});
  const GatewayConfig config = accepted(minimal_and(link + "capacity = \"10Gbit\"\n" + training + "counters = [\"iface:eth1\"]\nperiod_hint = \"6s\"\n"));
  EXPECT_EQ(config.links.at(0).capacity, 10_Gbit);
  ASSERT_EQ(config.trainings.at(0).counters.size(), 1u);
  EXPECT_EQ(config.trainings.at(0).counters[0].device, "eth1");
  EXPECT_EQ(config.trainings.at(0).period_hint, std::chrono::seconds(6));
}

TEST(ConfigFile, LinksHaveTimetablesAndClassesRules) {
  const GatewayConfig config = accepted(minimal_and(
      "[[link]]\npeer = \"oslo\"\ntimetable = \"08:00,1Gbit 20:00,off\"\ntimetable_zone = \"CET-1CEST,M3.5.0,M10.5.0/3\"\n"
      "[schedule]\npolicy = \"fifo\"\n[class.restore]\nmode = \"scavenge\"\n[class.staging]\nrate = \"2Gbit\"\nweight = 3\n"));
  const std::chrono::sys_seconds winter = std::chrono::sys_days(std::chrono::year(2026) / 1 / 15);
  const Link& link = config.links.at(0);
  EXPECT_EQ(link.timetable.at(winter + std::chrono::hours(7), link.zone).up, 1_Gbit);  // eight o'clock there
  EXPECT_TRUE(link.timetable.at(winter + std::chrono::hours(6), link.zone).up.is_unlimited());
  EXPECT_EQ(config.schedule.policy, "fifo");
  EXPECT_EQ(accepted(minimal_and("")).schedule.policy, "deadline");
  EXPECT_EQ(config.classes[0].mode, JobClassRules::Mode::kScavenge);
  EXPECT_EQ(config.classes[2].rate, 2_Gbit);
  EXPECT_EQ(config.classes[2].weight, 3U);
  EXPECT_EQ(accepted(minimal_and("")).classes[0].mode, JobClassRules::Mode::kFair);
  expect_refused(minimal_and("[schedule]\npolicy = \"lifo\"\n"), ":17:", {"lifo", "weighted_fair"});
  expect_refused(minimal_and("[[link]]\npeer = \"oslo\"\ntimetable = \"25:00,1Gbit\"\n"), ":18:", {"25:00"});
  expect_refused(minimal_and("[[link]]\npeer = \"oslo\"\ntimetable_zone = \"Europe/Atlantis\"\n"), ":18:", {"Atlantis"});
}

TEST(ConfigFile, LinksSayWhatPlanningCountsOnAndMayHurt) {
  const GatewayConfig config = accepted(minimal_and("[[link]]\npeer = \"oslo\"\nleftover_floor = \"2Gbit\"\nmay_hurt_training = \"100%\"\n[schedule]\nslack = \"25%\"\n"));
  EXPECT_EQ(config.links.at(0).leftover_floor, 2_Gbit);
  EXPECT_DOUBLE_EQ(config.links.at(0).may_hurt, 1);
  EXPECT_DOUBLE_EQ(config.schedule.slack, 0.25);
  EXPECT_EQ(accepted(minimal_and("[[link]]\npeer = \"oslo\"\nmay_hurt_training = \"0%\"\n")).links.at(0).may_hurt, 0);
  EXPECT_DOUBLE_EQ(shares_of(accepted(minimal_and("[[link]]\npeer = \"oslo\"\nmay_hurt_training = \"5%\"\n"))).links.at(0).hurt_max, 0.05);
  expect_refused(minimal_and("[[link]]\npeer = \"oslo\"\nmay_hurt_training = \"105%\"\n"), ":18:", {"105%"});
  expect_refused(minimal_and("[schedule]\nslack = \"95%\"\n"), ":17:", {"95%"});
}

TEST(ConfigFile, PeersMayHaveACeilingWithAndWithoutALink) {
  const GatewayConfig config = accepted(minimal_and("[[peer]]\nname = \"oslo\"\ncontrol = \"10.0.0.3:7400\"\nrate = \"2Gbit\"\n[[peer]]\nname = \"bergen\"\ncontrol = \"10.0.0.4:7400\"\n"
                                                    "rate = \"1Gbit\"\n[[link]]\npeer = \"bergen\"\ncapacity = \"10Gbit\"\n"));
  const daemon::ShareRules rules = shares_of(config);
  ASSERT_EQ(rules.links.size(), 2U);
  EXPECT_EQ(rules.links[0].peer, "bergen");
  EXPECT_EQ(rules.links[0].ceiling, 1_Gbit);
  EXPECT_EQ(rules.links[0].capacity, 10_Gbit);
  EXPECT_EQ(rules.links[1].peer, "oslo");
  EXPECT_EQ(rules.links[1].ceiling, 2_Gbit);
  EXPECT_TRUE(rules.links[1].capacity.is_unlimited());
}

TEST(ConfigFile, AWatchThatCanFindNothingIsNoted) {
  const auto notes = [](const std::string& more) {
    return accepted(minimal_with("[data_plane]", "api = \"/run/api.sock\"\n[data_plane]") + "[[peer]]\nname = \"oslo\"\ncontrol = \"10.0.0.3:7400\"\n" +
                    "[[watch]]\ndir = \"ckpt:runs/llm7\"\nto = [\"oslo:ckpt/runs\"]\n" + more).notes;
  };
  EXPECT_EQ(notes("").size(), 0U);
  EXPECT_EQ(notes("format = \"deepspeed\"\nworld = 8\n").size(), 0U);
  ASSERT_EQ(notes("format = \"deepspeed\"\n").size(), 1U);
  EXPECT_NE(notes("format = \"deepspeed\"\n")[0].find("runs/llm7 has no effect without world"), std::string::npos);
}

TEST(ConfigFile, AMisspeltKeyIsRefusedWithTheNearestOne) {
  expect_refused(minimal_with("control =", "contol ="), ":10:1: ", {"contol", "[listen]", "nearest valid one is control"});
  expect_refused(minimal_and("[storag]\nio = \"auto\"\n"), ":16:", {"storag", "storage"});
  expect_refused(minimal_and("[class.checkpoints]\n"), ":16:", {"checkpoints", "checkpoint"});
  expect_refused(minimal_and("[[link]]\npeer = \"a\"\ncapacty = \"1Gbit\"\n"), ":18:1: ", {"capacty", "capacity"});
}

TEST(ConfigFile, AKeyInTheWrongSectionIsToldItsPlace) {
  expect_refused(minimal_with("[data_plane]", "[engine]\nstaging_ttl = \"7d\"\n[data_plane]"), ":12:1: ",
                 {"staging_ttl", "[engine]", "belongs to [storage]"});
  expect_refused("rate = \"10Gbit\"\n", ":1:1: ", {"rate", "belongs to [data_plane]"});
}

TEST(ConfigFile, AMissingRequiredKeyIsNamed) {
  expect_refused(minimal_with("gateway = \"gw1\"\n", ""), ":1:", {"[site]", "gateway"});
  expect_refused(minimal_with("key = \"/etc/gw.key\"\n", ""), ":5:", {"[tls]", "key"});
  expect_refused(minimal_with("path = \"/data/ckpt\"\n", ""), ":13:", {"[[root]]", "path"});
  expect_refused("[tls]\nca = \"a\"\ncert = \"b\"\nkey = \"c\"\n", ": ", {"[site]", "name"});
}

TEST(ConfigFile, AWrongTypeIsRefusedWithTheRightOne) {
  expect_refused(minimal_with("name = \"atlanta\"", "name = 7"), ":2:8: ", {"name", "[site]", "string"});
  expect_refused(minimal_with("address =", "flows = \"4\"\naddress ="), ":12:9: ", {"flows", "whole number"});
  expect_refused(minimal_with("[[root]]", "[root]"), ":13:", {"[[root]]"});
  expect_refused(minimal_with("[tls]", "[[tls]]"), ":5:", {"[tls]"});
  expect_refused(minimal_and("[jobs]\nstore = 1\n"), ":17:9: ", {"store", "string"});
}

TEST(ConfigFile, AnAmountWithoutAUnitIsRefusedWithBothReadings) {
  expect_refused(minimal_with("address =", "rate = \"10\"\naddress ="), ":12:8: ", {"rate", "10Gbit", "10GB"});
  expect_refused(minimal_and("[engine]\nmemory = \"512\"\n"), ":17:10: ", {"memory", "512MiB"});
}

TEST(ConfigFile, ValuesOutOfRangeAreRefused) {
  expect_refused(minimal_with("address =", "flows = 65\naddress ="), ":12:9: ", {"flows", "0 to 64"});
  expect_refused(minimal_with("address =", "flows = -1\naddress ="), ":12:9: ", {"flows"});
  expect_refused(minimal_and("[compression]\nmode = \"zstd:20\"\n"), ":17:8: ", {"zstd:19"});
  expect_refused(minimal_and("[storage]\nstaging_ttl = \"0s\"\n"), ":17:15: ", {"staging_ttl"});
  expect_refused(minimal_and("[storage]\nio = \"fast\"\n"), ":17:6: ", {"auto, uring, threads"});
  expect_refused(minimal_with("10.77.0.1:7400", "10.77.0.1"), ":10:11: ", {"control", "10.77.0.1"});
  expect_refused(minimal_with("10.77.0.1:7400", "10.77.0.1:0"), ":10:11: ", {"port 0"});
  expect_refused(minimal_with("\"atlanta\"", "\"at/lanta\""), ":2:8: ", {"at/lanta"});
}

TEST(ConfigFile, WhatComesLaterIsRefusedRatherThanReplaced) {
  expect_refused(minimal_with("address =", "backend = \"pigeon\"\naddress ="), ":12:11: ", {"not known", "udp"});
  accepted(minimal_with("address =", "congestion = \"scavenger\"\naddress ="));
  expect_refused(minimal_with("address =", "congestion = \"cubic\"\naddress ="), ":12:14: ", {"not known", "bbr"});
}

// The keys of a port are checked whether or not this build can use one.
TEST(ConfigFile, APortIsReadWithItsAddressesAndRouters) {
  const GatewayConfig config = accepted(minimal_and(
      "[data_plane.dpdk]\neal_args = [\"--no-huge\", \"--vdev=net_af_packet0,iface=va\"]\ndevice = \"net_af_packet0\"\n"
      "address = [\"10.77.0.11/24\", \"fd77::11/64\"]\nnext_hop = [\"10.77.0.254\", \"fe80::1\"]\nmtu = 9000\nvlan = 42\n"
      "udp_port = 7500\nqueues = 4\nicmp_echo = false\ninsecure_dma = true\npoll = \"full\"\nfallback = \"udp\"\n"));
  const Dpdk& dpdk = config.data_plane.dpdk;
  EXPECT_EQ(dpdk.start.eal_args.size(), 2U);
  EXPECT_EQ(dpdk.start.ports.front().device, "net_af_packet0");
  EXPECT_EQ(dpdk.start.ports.front().addresses, (std::vector{ip::Prefix::parse("10.77.0.11/24").value(), ip::Prefix::parse("fd77::11/64").value()}));
  EXPECT_EQ(dpdk.start.ports.front().next_hops.size(), 2U);
  EXPECT_EQ(dpdk.start.ports.front().mtu, 9000_B);
  EXPECT_EQ(dpdk.start.ports.front().vlan, 42);
  EXPECT_EQ(dpdk.start.ports.front().icmp_echo, ip::IcmpEcho::kOff);
  EXPECT_EQ(dpdk.start.dma, packet_io::DpdkDma::kInsecure);
  EXPECT_EQ(dpdk.start.poll, packet_io::DpdkPoll::kFull);
  EXPECT_EQ(dpdk.start.ports.front().udp_port, 7500);
  EXPECT_EQ(dpdk.queues, 4U);
  EXPECT_EQ(dpdk.fallback, Dpdk::Fallback::kUdp);
  EXPECT_FALSE(config.data_plane.is_dpdk());
}

TEST(ConfigFile, SeveralPortsBeginWithWhatIsSaidForAll) {
  const GatewayConfig config = accepted(minimal_and(
      "[data_plane.dpdk]\nmtu = 9000\nnext_hop = \"10.77.0.254\"\nqueues = 2\n"
      "[[data_plane.dpdk.ports]]\ndevice = \"3b:00.0\"\naddress = \"10.77.0.11/24\"\n"
      "[[data_plane.dpdk.ports]]\ndevice = \"3b:00.1\"\naddress = \"10.78.0.11/24\"\nnext_hop = \"10.78.0.254\"\nmtu = 1500\nudp_port = 7500\n"));
  const Dpdk& dpdk = config.data_plane.dpdk;
  ASSERT_EQ(dpdk.start.ports.size(), 2U);
  EXPECT_EQ(dpdk.start.ports[0].device, "3b:00.0");
  EXPECT_EQ(dpdk.start.ports[0].mtu, 9000_B);
  EXPECT_EQ(dpdk.start.ports[0].udp_port, 7401);
  EXPECT_EQ(dpdk.start.ports[1].device, "3b:00.1");
  EXPECT_EQ(dpdk.start.ports[1].mtu, 1500_B);
  EXPECT_EQ(dpdk.start.ports[1].udp_port, 7500);
  EXPECT_EQ(dpdk.start.ports[0].next_hops, (std::vector{ip::parse_address("10.77.0.254").value()}));
  EXPECT_EQ(dpdk.start.ports[1].next_hops, (std::vector{ip::parse_address("10.78.0.254").value()}));
  EXPECT_EQ(dpdk.net_workers(), 4U);
}

TEST(ConfigFile, SeveralPortsAndOneAreNotMixed) {
  const std::string ports = "[[data_plane.dpdk.ports]]\naddress = \"10.78.0.11/24\"\n";
  expect_refused(minimal_and("[data_plane.dpdk]\naddress = \"10.77.0.11/24\"\n" + ports), ":18:", {"[[data_plane.dpdk.ports]]"});
  expect_refused(minimal_and("[data_plane.dpdk]\nqueues = 16\n" + ports + ports), ":18:", {"32 net workers", "at most 16"});
  expect_refused(minimal_and("[data_plane.dpdk]\n" + ports + "adress = \"x\"\n"), ":19:1: ", {"nearest", "address"});
}

TEST(ConfigFile, OneAddressOfAPortNeedsNoListAndAnEmptyRouterIsNone) {
  const GatewayConfig config = accepted(minimal_and("[data_plane.dpdk]\naddress = \"10.77.0.11/24\"\nnext_hop = \"\"\n"));
  EXPECT_EQ(config.data_plane.dpdk.start.ports.front().addresses.size(), 1U);
  EXPECT_TRUE(config.data_plane.dpdk.start.ports.front().next_hops.empty());
}

TEST(ConfigFile, AMistakeAboutAPortIsNamedWithItsKey) {
  expect_refused(minimal_and("[data_plane.dpdk]\naddress = \"10.77.0.11\"\n"), ":17:11: ", {"address", "10.77.0.11"});
  expect_refused(minimal_and("[data_plane.dpdk]\naddress = 7\n"), ":17:11: ", {"address", "or a list of them"});
  expect_refused(minimal_and("[data_plane.dpdk]\nnext_hop = \"router\"\n"), ":17:12: ", {"next_hop", "router"});
  expect_refused(minimal_and("[data_plane.dpdk]\nmtu = 576\n"), ":17:7: ", {"mtu", "1280 to 9000"});
  expect_refused(minimal_and("[data_plane.dpdk]\nvlan = 4095\n"), ":17:8: ", {"vlan", "4094"});
  expect_refused(minimal_and("[data_plane.dpdk]\nudp_port = 65500\n"), ":17:12: ", {"udp_port", "1 to 65472"});
  expect_refused(minimal_and("[data_plane.dpdk]\npoll = \"often\"\n"), ":17:8: ", {"poll", "adaptive, full"});
  expect_refused(minimal_and("[data_plane.dpdk]\nfallback = \"tls\"\n"), ":17:12: ", {"fallback", "off, udp"});
  expect_refused(minimal_and("[data_plane.dpdk]\nadress = \"10.77.0.11/24\"\n"), ":17:1: ", {"nearest", "address"});
}

TEST(ConfigFile, CompressionLevelsAreRead) {
  const GatewayConfig config = accepted(minimal_and("[compression]\nmode = \"zstd:3\"\n"));
  EXPECT_EQ(config.compression.mode, Compression::Mode::kZstd);
  EXPECT_EQ(config.compression.level, 3);
}

TEST(ConfigFile, ContractedNeedsARate) {
  expect_refused(minimal_with("address =", "congestion = \"contracted\"\naddress ="), ":11:", {"contracted", "rate"});
  accepted(minimal_with("address =", "congestion = \"contracted\"\nrate = \"1Gbit\"\naddress ="));
}

TEST(ConfigFile, TheControlPortMustLieOutsideTheDataPorts) {
  expect_refused(minimal_with("10.77.0.1:7400", "10.77.0.1:7464"), ":11:", {"7401 to 7464", "7464"});
  accepted(minimal_with("10.77.0.1:7400", "10.77.0.1:7465"));
  expect_refused(minimal_with("10.77.0.1:7401", "10.77.0.1:65473"), ":11:", {"65535"});
  accepted(minimal_with("10.77.0.1:7401", "10.77.0.1:65472"));
}

TEST(ConfigFile, NamesThatAnAddressCouldNotTellApartAreRefused) {
  expect_refused(minimal_and("[[root]]\nname = \"ckpt\"\npath = \"/b\"\n"), ":16:", {"ckpt", "t.toml:13:"});
  expect_refused(minimal_and("[[root]]\nname = \"b\"\npath = \"/data/ckpt\"\n"), ":16:", {"same path"});
  expect_refused(minimal_and("[[peer]]\nname = \"ckpt\"\ncontrol = \"10.0.0.2:7400\"\n"), ":16:", {"ckpt", "root"});
  expect_refused(minimal_and("[[peer]]\nname = \"any\"\ncontrol = \"10.0.0.2:7400\"\n"), ":16:", {"any"});
  expect_refused(minimal_and("[[peer]]\nname = \"local\"\ncontrol = \"10.0.0.2:7400\"\n"), ":16:", {"local"});
  expect_refused(minimal_and("[[peer]]\nname = \"b\"\ncontrol = \"10.0.0.2:7400\"\n"
                             "[[peer]]\nname = \"b\"\ncontrol = \"10.0.0.3:7400\"\n"), ":19:", {"t.toml:16:"});
}

constexpr std::string_view kGrant =
    "[[grant]]\npeer = \"spiffe://example.org/site/wisconsin/gw/*\"\nroot = \"ckpt\"\nops = [\"read\"]\n";

TEST(ConfigFile, AGrantHasItsLimits) {
  const GatewayConfig config = accepted(minimal_and(std::string(kGrant) +
      "prefix = \"runs/llm7\"\nmax_bytes = \"40TiB\"\nmax_files = 2_000_000\nmax_flows = 16\nmax_rate = \"10Gbit\"\n"
      "modes = \"0640\"\n"));
  ASSERT_EQ(config.grants.size(), 1U);
  const Grant& grant = config.grants[0];
  EXPECT_EQ(to_display(grant.prefix), "runs/llm7");
  EXPECT_EQ(grant.limits.bytes_max, Bytes(40ULL << 40));
  EXPECT_EQ(grant.limits.files_max, 2'000'000U);
  EXPECT_EQ(grant.limits.flows_max, 16U);
  EXPECT_EQ(grant.limits.rate_max, 10_Gbit);
  EXPECT_EQ(grant.limits.modes, 0640U);
  EXPECT_TRUE(grant.ops.has(session::GrantOp::kRead));
  EXPECT_FALSE(grant.ops.has(session::GrantOp::kList));
  EXPECT_TRUE(grant.at.starts_with("t.toml:16:"));
}

TEST(ConfigFile, AGrantThatCannotBeResolvedStopsTheStart) {
  expect_refused(minimal_and("[[grant]]\npeer = \"spiffe://example.org/site/w/gw/*\"\nroot = \"cpkt\"\nops = [\"read\"]\n"),
                 ":16:", {"cpkt", "[[root]]"});
  expect_refused(minimal_and("[[grant]]\npeer = \"wisconsin\"\nroot = \"ckpt\"\nops = [\"read\"]\n"), ":17:8: ",
                 {"wisconsin", "spiffe://"});
  expect_refused(minimal_and("[[grant]]\npeer = \"spiffe://other.org/site/w/gw/*\"\nroot = \"ckpt\"\nops = [\"read\"]\n"),
                 ":16:", {"other.org", "example.org"});
  expect_refused(minimal_and("[[grant]]\npeer = \"local:group/a\"\nroot = \"ckpt\"\nops = [\"raed\"]\n"), ":19:7: ",
                 {"raed", "read, list, write"});
  expect_refused(minimal_and("[[grant]]\npeer = \"local:group/a\"\nroot = \"ckpt\"\nops = []\n"), ":16:", {"ops"});
  expect_refused(minimal_and(std::string(kGrant) + "prefix = \"a/../b\"\n"), ":20:10: ", {"a/../b"});
  expect_refused(minimal_and(std::string(kGrant) + "modes = \"4755\"\n"), ":20:9: ", {"0777"});
}

TEST(ConfigFile, APeerIdentityMayNameAnotherSite) {
  const std::string peer = "[[peer]]\nname = \"far\"\ncontrol = \"10.0.0.2:7400\"\n";
  EXPECT_EQ(accepted(minimal_and(peer)).peers.at(0).identity.site, "far");
  EXPECT_EQ(accepted(minimal_and(peer + "identity = \"spiffe://example.org/site/wisconsin/gw/gw2\"\n"))
                .peers.at(0).identity.text, "spiffe://example.org/site/wisconsin/gw/gw2");
  expect_refused(minimal_and(peer + "identity = \"local:user/a\"\n"), ":16:", {"local:user/a"});
}

TEST(ConfigFile, KeysThatSignAndThatAreWantedReachTheGateway) {
  const auto config = parse(minimal_and("[signing]\nkey = \"own.key\"\n[[signer]]\nsite = \"boston\"\nkey = \"/keys/boston.pub\"\n"), "/etc/t.toml");
  ASSERT_TRUE(config.ok()) << config.error().what;
  for (const std::string& note : config.value().notes) EXPECT_EQ(note.find("sign"), note.npos) << note;
  for (const auto& gateway : {serving_gateway(config.value()), dialling_gateway(config.value())}) {
    EXPECT_EQ(gateway.value().signing.key, "/etc/own.key");
    ASSERT_EQ(gateway.value().signing.signers.size(), 1U);
    EXPECT_EQ(gateway.value().signing.signers[0].site, "boston");
    EXPECT_EQ(gateway.value().signing.signers[0].key, "/keys/boston.pub");
  }
  EXPECT_EQ(serving_rules(config.value()).value().gateway.signing.key, "/etc/own.key") << "a reload takes it up";
  expect_refused(minimal_and("[[signer]]\nsite = \"a\"\nkey = \"k\"\n[[signer]]\nsite = \"a\"\nkey = \"l\"\n"), ":19:", {"site a", "already"});
}

TEST(ConfigFile, ADirectCopyNeedsNoListenersButAGatewayDoes) {
  const std::string client = minimal_with("[listen]\ncontrol = \"10.77.0.1:7400\"\n", "");
  const auto status = check_serves(accepted(client));
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().what.find("control in [listen]"), std::string::npos);
}

TEST(ConfigFile, RelativePathsAreBelowTheFile) {
  const auto config = parse(minimal_with("/etc/ca.crt", "pki/ca.crt"), "/srv/site/t.toml");
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config.value().tls.ca, "/srv/site/pki/ca.crt");
  EXPECT_EQ(config.value().tls.cert, "/etc/gw.crt");
}

TEST(ConfigFile, ACaptureIsTheServingGatewaysAndAnEmptyNameIsNone) {
  const std::string with = minimal_with("[data_plane]\n", "[data_plane]\ncapture = \"seen.pcapng\"\n");
  const auto config = parse(with, "/srv/site/t.toml");
  ASSERT_TRUE(config.ok());
  for (const std::string& note : config.value().notes) EXPECT_EQ(note.find("capture"), note.npos) << note;
  EXPECT_EQ(serving_gateway(config.value()).value().engine.capture, "/srv/site/seen.pcapng");
  EXPECT_EQ(dialling_gateway(config.value()).value().engine.capture, "");  // the file is the service's, which may be writing it
  EXPECT_EQ(accepted(minimal_with("[data_plane]\n", "[data_plane]\ncapture = \"\"\n")).data_plane.capture, "");
}

class ConfigFolder : public testing::Test {
 protected:
  ConfigFolder() {
    std::string name = testing::TempDir() + "tideway-config-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    std::filesystem::create_directory(folder_ / "conf.d");
  }
  ~ConfigFolder() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& name, std::string_view text) {
    std::ofstream(folder_ / name) << text;
    return folder_ / name;
  }

  std::filesystem::path folder_;
};

TEST_F(ConfigFolder, DropInsAreJoinedInTheOrderOfTheirNames) {
  const std::string file = write("tideway.toml", kMinimal);
  write("conf.d/20-b.toml", "[[root]]\nname = \"b\"\npath = \"/b\"\n");
  write("conf.d/10-a.toml", "[[root]]\nname = \"a\"\npath = \"/a\"\n[engine]\nmemory = \"2GiB\"\n");
  write("conf.d/30-c.toml.bak", "nonsense");
  const auto config = load(file);
  ASSERT_TRUE(config.ok()) << config.error().what;
  ASSERT_EQ(config.value().roots.size(), 3U);
  EXPECT_EQ(config.value().roots[1].name, "a");
  EXPECT_EQ(config.value().roots[2].name, "b");
  EXPECT_EQ(config.value().engine.memory, 2_GiB);
}

TEST_F(ConfigFolder, AKeyInTwoFilesIsRefusedWithBothPlaces) {
  const std::string file = write("tideway.toml", kMinimal);
  const std::string more = write("conf.d/10-a.toml", "[site]\nname = \"b\"\n");
  const auto config = load(file);
  ASSERT_FALSE(config.ok());
  EXPECT_TRUE(config.error().what.starts_with(more + ":2:1: ")) << config.error().what;
  EXPECT_NE(config.error().what.find(file + ":2:1"), std::string::npos) << config.error().what;
}

TEST_F(ConfigFolder, DropInsBelongToTheFileCalledTidewayOnly) {
  write("conf.d/10-a.toml", "nonsense");
  EXPECT_TRUE(load(write("atlanta.toml", kMinimal)).ok());
}

TEST_F(ConfigFolder, AFileThatIsNotThereIsNamedWithTheReason) {
  const auto config = load((folder_ / "none.toml").string());
  ASSERT_FALSE(config.ok());
  EXPECT_NE(config.error().what.find("none.toml: No such file"), std::string::npos) << config.error().what;
  EXPECT_FALSE(load(folder_.string()).ok());  // a directory
}

TEST(NeedingRestart, NamesSectionsThatARunningGatewayDoesNotTakeUp) {
  const GatewayConfig running = accepted(minimal_and("[engine]\nmemory = \"512MiB\"\n"));
  const std::string_view grant = "# elsewhere\n[engine]\nmemory = \"512MiB\"\n[[grant]]\npeer = \"spiffe://example.org/site/x/gw/*\"\nroot = \"ckpt\"\nops = [\"read\"]\n";
  EXPECT_TRUE(needing_restart(running, accepted(minimal_and(grant))).empty());
  EXPECT_EQ(needing_restart(running, accepted(minimal_and("[engine]\nmemory = \"600MiB\"\n[storage]\nio = \"auto\"\n"))),
            (std::vector<std::string>{"[engine]", "[storage]"}));
  EXPECT_EQ(needing_restart(running, accepted(minimal_with("7401", "7402"))), (std::vector<std::string>{"[data_plane]", "[engine]"}));
}

TEST(NeedingRestart, RatesOfClassesAndTimetablesAreTakenUpLive) {
  const std::string_view link = "[[link]]\npeer = \"oslo\"\n";
  const GatewayConfig running = accepted(minimal_and(link));
  const std::string changed = std::string(link) + "timetable = \"1Gbit\"\n[class.staging]\nrate = \"1Gbit\"\n";
  EXPECT_TRUE(needing_restart(running, accepted(minimal_and(changed))).empty());
  EXPECT_EQ(needing_restart(running, accepted(minimal_and(std::string(link) + "kind = \"metered\"\n"))), (std::vector<std::string>{"[link]"}));
}

}  // namespace
}  // namespace tideway::config
