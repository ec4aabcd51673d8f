// SPDX-License-Identifier: Apache-2.0
//
// tideway doctor: one line per check, with the command that mends it.
#include "base/amounts.h"
#include "base/clock.h"
#include "config/config_file.h"
#include "config/gateway.h"
#include "crypto/registry.h"
#include "daemon/landlock.h"
#include "packet_io/dpdk_host.h"
#include "packet_io/udp_socket.h"
#include "session/roots.h"
#include "storage/registry.h"
#include "verbs.h"

#include <sys/resource.h>

namespace tideway::cli {
namespace {

enum class Verdict : uint8_t { kOk, kNote, kFail };

class Findings {
 public:
  explicit Findings(const OutputConfig& output) : output_(output) {}
  void add(Verdict verdict, const std::string& what, const std::string& fix = {}) {
    static constexpr const char* kNames[] = {"OK  ", "NOTE", "FAIL"};
    static constexpr const char* kWords[] = {"ok", "note", "fail"};
    if (output_.json) JsonLine("check").text("verdict", kWords[static_cast<size_t>(verdict)]).text("detail", what).text("next", fix).print();
    else std::printf("%s  %s%s%s\n", kNames[static_cast<size_t>(verdict)], what.c_str(), fix.empty() ? "" : "  -- ", fix.c_str());
    has_failed_ |= verdict == Verdict::kFail;
  }
  bool has_failed() const { return has_failed_; }

 private:
  const OutputConfig& output_;
  bool has_failed_ = false;
};

void check_sealing(Findings& findings) {
  constexpr size_t kPayload = 1408;
  constexpr Duration kMeasured = std::chrono::milliseconds(20);
  const std::array<std::byte, kAeadKeySize> key{};
  const std::array<std::byte, kAeadIvSize> iv{};
  const auto aead = crypto::make_aead(key, iv);
  const std::vector<std::byte> header(32), plain(kPayload);
  std::vector<std::byte> sealed(kPayload + kAeadTagSize);
  uint64_t packets = 0;
  const Time start = read_clock();
  while (read_clock() - start < kMeasured)
    for (int i = 0; i < 64; ++i) {
      const SealJob job{packets++, header, plain, sealed};
      aead->seal({&job, 1});
    }
  const Rate rate = Rate::of(Bytes(packets * kPayload), read_clock() - start);
  const std::string name(crypto::aead_providers().front().name);
  findings.add(name == "evp" ? Verdict::kNote : Verdict::kOk, "packets are sealed by " + name + " at " + to_string(rate) + " on one core",
               name == "evp" ? "install libipsec-mb1, several times as fast on x86-64" : "");
}

void check_storage_queue(Findings& findings) {
  const auto uring = storage::make_io_queue(storage::IoQueueMode::kUring);
  if (uring.ok()) findings.add(Verdict::kOk, "io_uring works");
  else findings.add(Verdict::kNote, "io_uring does not work here: " + uring.error().what, "reads and writes use blocking calls instead");
}

void check_sockets(Findings& findings, const Endpoint& local) {
  const auto notes = packet_io::probe_udp(local, {});
  if (!notes.ok()) return findings.add(Verdict::kFail, notes.error().what, notes.error().next);
  const auto& n = notes.value();
  findings.add(Verdict::kOk, "UDP socket buffers: send " + to_string(n.send_granted) + ", receive " + to_string(n.receive_granted));
  if (const std::string advice = n.advice(); !advice.empty()) findings.add(Verdict::kNote, "a fast, long path wants larger ones", advice);
  findings.add(n.gso == packet_io::Gso::kOn ? Verdict::kOk : Verdict::kNote, std::string("UDP segmentation offload ") + (n.gso == packet_io::Gso::kOn ? "works" : "is not there"));
}

void check_limits(Findings& findings) {
  constexpr rlim_t kFiles = 4096;
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  findings.add(files.rlim_cur >= kFiles ? Verdict::kOk : Verdict::kNote, "open files: " + std::to_string(files.rlim_cur), files.rlim_cur >= kFiles ? "" : "ulimit -n 65536");
}

void check_fence(Findings& findings) {
  const int abi = daemon::landlock_abi();
  if (abi >= daemon::kLandlockAbiMin) return findings.add(Verdict::kOk, "Landlock version " + std::to_string(abi) + ": tidewayd reaches its roots, state and configuration only");
  findings.add(Verdict::kNote, abi == 0 ? "no Landlock: tidewayd runs without this second fence around its files" : "Landlock version 1 cannot allow files to be moved, so it is left off",
               abi == 0 ? "boot with landlock in the list lsm=" : "run Linux 5.19 or later");
}

void check_dpdk(Findings& findings) {
  for (const packet_io::DpdkFinding& finding : packet_io::DpdkHost::look("").findings())
    findings.add(finding.next.empty() ? Verdict::kOk : Verdict::kNote, finding.what, finding.next);
}

void check_config(Findings& findings, const config::GatewayConfig& config) {
  const auto gateway = config::dialling_gateway(config);
  if (!gateway.ok()) findings.add(Verdict::kFail, gateway.error().what, gateway.error().next);
  if (!gateway.ok()) return;
  const auto now = read_calendar();
  const auto context = crypto::TlsContext::create(gateway.value().tls, now);
  if (!context.ok()) {
    findings.add(Verdict::kFail, context.error().what, context.error().next);
  } else {
    const auto days = std::chrono::duration_cast<std::chrono::days>(context.value().own().not_after - now).count();
    findings.add(days < 30 ? Verdict::kNote : Verdict::kOk, "certificate of " + to_string(context.value().own().identity) + " ends in " + std::to_string(days) + " days",
                 days < 30 ? "issue a new one: tideway pki issue" : "");
  }
  for (const config::Root& root : config.roots) {
    const auto opened = session::open_holding_dir(root.path, storage::Side::kDestination);
    if (!opened.ok()) {
      findings.add(Verdict::kFail, "root " + root.name + ": " + opened.error().what, "make the directory, or correct [[root]] path");
      continue;
    }
    const auto space = opened.value()->free_space();
    findings.add(Verdict::kOk, "root " + root.name + ": " + (space.ok() ? to_string(space.value()) + " free" : "free space is not known"));
    const auto left = opened.value()->open_dir(storage::single_name(std::string(storage::kStateDirName)));
    if (left.ok()) findings.add(Verdict::kNote, "root " + root.name + " holds staging or manifests in .tideway");
  }
}

void check_peer(Findings& findings, const config::GatewayConfig& config, const std::string& name) {
  const auto peer = config::peer_for(config, name);
  const auto gateway = config::dialling_gateway(config);
  if (!peer.ok()) return findings.add(Verdict::kFail, peer.error().what, peer.error().next);
  auto started = session::Gateway::start(gateway.value());
  if (!started.ok()) return findings.add(Verdict::kFail, started.error().what, started.error().next);
  auto session = started.value()->dial(peer.value());
  if (!session.ok()) return findings.add(Verdict::kFail, session.error().what, session.error().next);
  const Time give_up = read_clock() + std::chrono::seconds(10);
  while (!session.value()->is_up() && !session.value()->is_over() && read_clock() < give_up) started.value()->turn(std::chrono::milliseconds(100));
  if (session.value()->is_over()) return findings.add(Verdict::kFail, session.value()->error().what, session.value()->error().next);
  if (!session.value()->is_up()) return findings.add(Verdict::kFail, "peer " + name + " does not answer", "check its gateway");
  const auto rtt = session.value()->channel().tcp_rtt();
  findings.add(Verdict::kOk, "peer " + name + " answers" + (rtt ? ", RTT " + to_string(*rtt) : ""));
}

int examine(const Globals& globals, const std::string& peer) {
  Findings findings(globals.output);
  check_sealing(findings);
  check_storage_queue(findings);
  check_limits(findings);
  check_fence(findings);
  check_dpdk(findings);
  const auto config = config::load(globals.config);
  Endpoint local = Endpoint::parse("127.0.0.1:0").value();
  if (config.ok()) {
    check_config(findings, config.value());
    if (config.value().data_plane.address) local.address = config.value().data_plane.address->address;
  } else {
    findings.add(peer.empty() ? Verdict::kNote : Verdict::kFail, config.error().what, config.error().next);
  }
  check_sockets(findings, local);
  if (config.ok() && !peer.empty()) check_peer(findings, config.value(), peer);
  return findings.has_failed() ? 1 : 0;
}

}  // namespace

void add_doctor(CLI::App& app, Globals& globals, Action& action) {
  auto peer = std::make_shared<std::string>();
  CLI::App* verb = app.add_subcommand("doctor", "Check this host, the configuration and, if named, a peer");
  verb->add_option("--peer", *peer, "Also dial this peer")->type_name("NAME");
  add_globals(*verb, globals);
  verb->callback([&globals, &action, peer] { action = [&globals, peer] { return examine(globals, *peer); }; });
}

}  // namespace tideway::cli
