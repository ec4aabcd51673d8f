// SPDX-License-Identifier: Apache-2.0
#include "session/self_test.h"

#include "base/clock.h"
#include "engine/packet_ports.h"
#include "packet_io/dpdk_args.h"
#include "pki/authority.h"
#include "session/direct.h"
#include "session/sample_tree.h"
#include "session/verify_tree.h"
#include "storage/errno_fault.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cerrno>
#include <filesystem>
#include <optional>

namespace tideway::session {
namespace {

constexpr Bytes kEngineMemory = 512_MiB;                 // of each side
constexpr Duration kCopyTimeMax = std::chrono::minutes(3);
constexpr Duration kTurn = std::chrono::milliseconds(1);  // either side's events wait at most so long for the other's
constexpr uint16_t kServingPort = 7401;
constexpr const char *kDialling = "atlanta", *kServing = "wisconsin", *kGateway = "gw1", *kRoot = "data";

class TempFolder {
 public:
  static Result<TempFolder> make(const std::string& parent) {
    std::string path = parent + "/tideway-selftest-XXXXXX";
    if (::mkdtemp(path.data()) == nullptr) {
      Error error = storage::errno_error(storage::Side::kDestination, errno, "make a folder in", to_display(parent));
      error.next = "set TMPDIR to a directory with 500 MB where you may write";
      return error;
    }
    return TempFolder(std::move(path));
  }
  TempFolder(TempFolder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  TempFolder& operator=(TempFolder&&) = delete;
  ~TempFolder() {
    std::error_code ignored;  // nobody is left to be told
    if (!path_.empty()) std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(std::string_view name) const { return path_ + '/' + std::string(name); }

 private:
  explicit TempFolder(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

packet_io::PacketIoConfig port_at(const char* address) {
  packet_io::PacketIoConfig config;
  config.dpdk.eal_args = packet_io::eal_args_for_memory();
  config.dpdk.file_prefix = "tideway-selftest";
  config.dpdk.ports.front().addresses = {ip::Prefix::parse(address).value()};  // of RFC 5737: nobody's
  return config;
}

GatewayConfig gateway_of(const TempFolder& folder, const char* site, packet_io::PacketIoConfig packets) {
  const std::string own = folder / site;
  GatewayConfig config;
  config.tls = {own + "/ca.crt", own + "/gateway.crt", own + "/gateway.key", {}, {}};
  config.engine.memory = kEngineMemory;
  config.engine.packets = std::move(packets);
  config.data_addresses = {{config.engine.packets.dpdk.ports.front().addresses.front().address, 0}};
  return config;
}

class SelfTest {
 public:
  SelfTest(const SelfTestOrder& order, TempFolder folder) : order_(order), folder_(std::move(folder)) {}
  Status run();

 private:
  Result<SelfTestStep> start();
  Status make_certificates();
  Result<SelfTestStep> copy(const Address& from, const Address& to);
  Result<SelfTestStep> verify(const std::string& tree);
  bool is_stopped() const;
  Address there() const { return RemoteAddress{kServing, kRoot, storage::single_name("tree")}; }
  Address here(std::string_view name) const { return LocalAddress{folder_ / name}; }

  const SelfTestOrder& order_;
  const TempFolder folder_;
  GatewayConfig dialling_;
  std::unique_ptr<Gateway> serving_;
  std::optional<PeerConfig> peer_;
};

Result<SelfTestStep> step_of(const Result<TreeSize>& size) {
  if (!size.ok()) return size.error();
  return SelfTestStep{.name = {}, .entries = size.value().entries, .bytes = size.value().bytes};
}

bool SelfTest::is_stopped() const {
  pollfd fd{order_.stop_fd, POLLIN, 0};
  return order_.stop_fd >= 0 && ::poll(&fd, 1, 0) == 1;
}

Status SelfTest::run() {
  using Work = std::function<Result<SelfTestStep>()>;
  const std::string back = folder_ / "back", served = folder_ / (std::string(kRoot) + "/tree");
  const std::pair<const char*, Work> steps[] = {
      {"start", [&] { return start(); }},
      {"make", [&] { return step_of(make_sample_tree(folder_ / "tree")); }},
      {"push", [&] { return copy(here("tree"), there()); }},
      {"pull", [&] { return copy(there(), here("back")); }},
      {"verify", [&] { return verify(back); }},
      {"compare", [&] { return step_of(compare_trees(folder_ / "tree", back)); }},
  };
  for (const auto& [name, work] : steps) {
    const Time begun = read_clock();
    auto step = work();
    if (!step.ok()) {
      Error error = std::move(step).error();
      error.what = std::string("self-test of ") + order_.backend + ", step " + name + ": " + error.what;
      return error;
    }
    if (is_stopped()) return Error{Fault::kCancelled, std::string("self-test interrupted after the step ") + name, {}};
    step.value().name = name;
    step.value().took = read_clock() - begun;
    order_.on_step(step.value());
  }
  return success();
}

Status SelfTest::make_certificates() {
  const auto now = read_calendar();
  if (Status status = pki::init_authority({folder_ / "ca", "example.org"}, now); !status.ok()) return status;
  for (const char* site : {kDialling, kServing})
    if (auto issued = pki::issue({folder_ / "ca", site, kGateway, folder_ / site}, now); !issued.ok()) return std::move(issued).error();
  return success();
}

Result<SelfTestStep> SelfTest::start() {
  if (Status status = make_certificates(); !status.ok()) return std::move(status).error();
  if (::mkdir((folder_ / kRoot).c_str(), 0755) != 0) return storage::errno_error(storage::Side::kDestination, errno, "make", kRoot);
  auto joined = engine::join_packet_ios(order_.backend, {port_at("192.0.2.1/24"), port_at("192.0.2.2/24")}, order_.net_workers);
  if (!joined.ok()) return std::move(joined).error();
  dialling_ = gateway_of(folder_, kDialling, std::move(joined.value().first));
  GatewayConfig serving = gateway_of(folder_, kServing, std::move(joined.value().second));
  dialling_.engine.net_workers = serving.engine.net_workers = order_.net_workers;
  dialling_.engine.packet_backend = serving.engine.packet_backend = order_.backend;
  serving.data_addresses.front().port = kServingPort;
  serving.listen = Endpoint::parse("127.0.0.1:0").value();
  serving.roots = {{kRoot, folder_ / kRoot}};
  const auto identity = [](const char* site) {
    return crypto::IdentityPattern::parse(std::string("spiffe://example.org/site/") + site + "/gw/" + kGateway).value();
  };
  serving.grants = GrantTable({{identity(kDialling), kRoot, {}, {GrantOp::kRead, GrantOp::kList, GrantOp::kWrite}, {}, "selftest"}});
  auto started = Gateway::start(std::move(serving));
  if (!started.ok()) return std::move(started).error();
  serving_ = std::move(started).value();
  peer_ = PeerConfig{kServing, *serving_->control_endpoint(), identity(kServing)};
  return SelfTestStep{};
}

// Both loops in this thread: neither blocks, so each gets its turn.
Result<SelfTestStep> SelfTest::copy(const Address& from, const Address& to) {
  CopyRequest request;
  request.sources = {from};
  request.destination = to;
  auto started = Direct::copy(dialling_, *peer_, std::move(request));
  if (!started.ok()) return std::move(started).error();
  Direct& direct = *started.value();
  const Time give_up = read_clock() + kCopyTimeMax;
  while (direct.turn(kTurn, order_.stop_fd)) {
    serving_->turn(Duration::zero());
    if (is_stopped()) return Error{Fault::kCancelled, "interrupted", "run it again"};
    if (read_clock() > give_up)
      return Error{Fault::kDeadline, "not done after 3 minutes", "look at the log (tideway selftest --dpdk -vv), and whether the machine is overloaded or the disk slow"};
  }
  if (!direct.outcome().ok()) return direct.outcome().error();
  if (!direct.reports().empty()) return direct.reports().front().why;
  const CopyNumbers numbers = direct.numbers();
  const auto& outcome = direct.outcome().value();
  return SelfTestStep{.name = {}, .entries = outcome.entries, .bytes = outcome.bytes,
                      .packets_sent = numbers.packets_sent, .packets_lost = numbers.packets_lost};
}

Result<SelfTestStep> SelfTest::verify(const std::string& tree) {
  const auto report = verify_tree(tree);
  if (!report.ok()) return report.error();
  if (!report.value().is_good()) {
    const auto& first = report.value().differences.front();
    return Error{Fault::kHashMismatch, first.path + ": " + first.what, "this is a fault of Tideway or of this machine's memory or disk: report it"};
  }
  return SelfTestStep{.name = {}, .entries = report.value().entries, .bytes = report.value().bytes};
}

}  // namespace

Status run_self_test(const SelfTestOrder& order) {
  auto folder = TempFolder::make(order.parent);
  if (!folder.ok()) return std::move(folder).error();
  return SelfTest(order, std::move(folder).value()).run();
}

}  // namespace tideway::session
