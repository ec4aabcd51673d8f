// SPDX-License-Identifier: Apache-2.0
//
// tideway phase: announces that a training communicates, to the gateway of this machine, or by beacons to that of the site.
#include "api/phase_json.h"
#include "base/amounts.h"
#include "base/descriptor.h"
#include "crypto/random_bytes.h"
#include "daemon/phase_port.h"
#include "gate/beacon.h"
#include "gateway_client.h"
#include "packet_io/udp_socket.h"
#include "verbs.h"

#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>

extern char** environ;

namespace tideway::cli {
namespace {

constexpr timespec kRepeatAfter{.tv_sec = 0, .tv_nsec = 1'000'000};  // a lost datagram costs a time to live
constexpr Duration kVoicePatience = std::chrono::milliseconds(500);   // with a gateway that hangs, while a training waits for us
constexpr timespec kRenewEvery{.tv_sec = 0, .tv_nsec = 500'000'000};  // four times within the default time to live

struct Announcement {
  std::string training, site, beacon, key_file, ttl, duration, period;
  std::vector<std::string> command;
};

// The way to a gateway.
class Voice {
 public:
  virtual ~Voice() = default;
  virtual Status say(gate::PhaseKind kind) = 0;
};

class Beacons final : public Voice {
 public:
  static Result<std::unique_ptr<Voice>> open(const Announcement& announcement);
  // Twice, under one number.
  Status say(gate::PhaseKind kind) override;

 private:
  Beacons() = default;
  Descriptor socket_;
  gate::BeaconKey key_;
  gate::Beacon beacon_;
};

Result<Endpoint> address_of(const std::string& text) {
  auto endpoint = Endpoint::parse(text);
  return endpoint.ok() ? endpoint : Endpoint::parse(text + ':' + std::to_string(gate::kBeaconPort));
}

Result<gate::PhaseDetails> details_of(const Announcement& announcement) {
  gate::PhaseDetails details;
  for (const auto& [text, target] : {std::pair(&announcement.ttl, &details.ttl), std::pair(&announcement.duration, &details.duration),
                                     std::pair(&announcement.period, &details.period)}) {
    if (text->empty()) continue;
    auto time = parse_duration(*text);
    if (!time.ok()) return std::move(time).error();
    *target = time.value();
  }
  return details;
}

Result<std::unique_ptr<Voice>> Beacons::open(const Announcement& announcement) {
  auto endpoint = address_of(announcement.beacon);
  if (!endpoint.ok()) return Error{Fault::kUsage, endpoint.error().what, "write the address of the gateway's [phase] listen, such as 10.77.0.1:7399"};
  auto details = details_of(announcement);
  if (!details.ok()) return std::move(details).error();
  auto keys = daemon::read_beacon_keys(announcement.key_file);
  if (!keys.ok()) return std::move(keys).error();
  std::unique_ptr<Beacons> opened(new Beacons);
  Beacons& beacons = *opened;
  beacons.key_ = keys.value().front();
  beacons.beacon_.direction = gate::Beacon::Direction::kBoth;
  beacons.beacon_.sequence = 0;
  crypto::random_bytes(std::as_writable_bytes(std::span(&beacons.beacon_.source, 1)));
  beacons.beacon_.event.training = gate::training_id(announcement.training);
  if (!announcement.site.empty()) beacons.beacon_.event.destination = gate::site_id(announcement.site);
  beacons.beacon_.event.details = details.value();
  const packet_io::SocketAddress address = packet_io::to_socket_address(endpoint.value());
  beacons.socket_.reset(socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!beacons.socket_.is_open() || connect(beacons.socket_.get(), address.get(), address.length) != 0)
    return Error{Fault::kPeerUnreachable, "no beacon can be sent to " + to_string(endpoint.value()) + ": " + std::strerror(errno), ""};
  return std::unique_ptr<Voice>(std::move(opened));
}

Status Beacons::say(gate::PhaseKind kind) {
  beacon_.event.kind = kind;
  ++beacon_.sequence;
  const Duration calendar = std::chrono::system_clock::now().time_since_epoch();
  beacon_.sent_ns = static_cast<uint64_t>(calendar.count());
  const auto datagram = gate::write_beacon(beacon_, key_);
  for (int i = 0; i < 2; ++i) {
    if (i > 0) nanosleep(&kRepeatAfter, nullptr);
    static_cast<void>(!send(socket_.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL));  // nobody listens: then nothing is held
  }
  return success();
}

class ApiVoice final : public Voice {
 public:
  ApiVoice(const Globals& globals, api::PhaseWord word) : gateway_(globals, kVoicePatience), word_(std::move(word)) {}
  Status say(gate::PhaseKind kind) override {
    word_.event.kind = kind;
    if (const auto answer = gateway_.ask("POST", "/v1/phase", api::to_json(word_)); !answer.ok()) return answer.error();
    return success();
  }

 private:
  GatewayClient gateway_;
  api::PhaseWord word_;
};

Result<std::unique_ptr<Voice>> open_voice(const Globals& globals, const Announcement& announcement) {
  if (!announcement.beacon.empty()) return Beacons::open(announcement);
  auto details = details_of(announcement);
  if (!details.ok()) return std::move(details).error();
  api::PhaseWord word;
  word.training = announcement.training;
  word.site = announcement.site;
  word.event.details = details.value();
  return std::unique_ptr<Voice>(std::make_unique<ApiVoice>(globals, std::move(word)));
}

int announce(const Globals& globals, const Announcement& announcement, gate::PhaseKind kind) {
  auto voice = open_voice(globals, announcement);
  if (!voice.ok()) return report(voice.error(), globals.output);
  if (Status status = voice.value()->say(kind); !status.ok()) return report(status.error(), globals.output);
  return 0;
}

// Waits for the child, renews the burst meanwhile, and hands signals on, so that the end is always announced. A gateway that is
// away for a moment is no reason to end the command.
int wait_for(pid_t child, const sigset_t& watched, Voice& voice) {
  for (;;) {
    const int signal = sigtimedwait(&watched, nullptr, &kRenewEvery);
    if (signal == SIGINT || signal == SIGTERM) kill(child, signal);
    if (signal < 0) static_cast<void>(voice.say(gate::PhaseKind::kBegin).ok());  // not alive: it may have been restarted
    int status = 0;
    if (waitpid(child, &status, WNOHANG) != child) continue;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
}

int run(const Globals& globals, const Announcement& announcement) {
  auto voice = open_voice(globals, announcement);
  if (!voice.ok()) return report(voice.error(), globals.output);
  if (Status status = voice.value()->say(gate::PhaseKind::kBegin); !status.ok()) {  // a training does not fail because of us
    if (status.error().fault != Fault::kDaemonUnreachable) return report(status.error(), globals.output);
    static_cast<void>(report({Fault::kDaemonUnreachable, status.error().what, "the command runs all the same, and is announced once the gateway answers"}, globals.output));
  }
  sigset_t watched, before;
  sigemptyset(&watched);
  for (const int signal : {SIGCHLD, SIGINT, SIGTERM}) sigaddset(&watched, signal);
  sigprocmask(SIG_BLOCK, &watched, &before);
  std::vector<char*> words;
  for (const std::string& word : announcement.command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  posix_spawnattr_setsigmask(&attributes, &before);
  pid_t child = 0;
  const int failed = posix_spawnp(&child, words.front(), nullptr, &attributes, words.data(), environ);
  posix_spawnattr_destroy(&attributes);
  const int exit = failed == 0 ? wait_for(child, watched, *voice.value()) : 0;
  static_cast<void>(voice.value()->say(gate::PhaseKind::kEnd).ok());  // unheard, it ends by its time to live
  if (failed != 0)
    return report({Fault::kUsage, "cannot run " + to_display(announcement.command.front()) + ": " + std::strerror(failed), ""}, globals.output);
  return exit;
}

void add_options(CLI::App& verb, Announcement& announcement) {
  verb.add_option("--training", announcement.training, "Name of the [[training]]")->required()->type_name("NAME");
  CLI::Option* key = verb.add_option("--key-file", announcement.key_file, "The site's beacon key")->envname("TIDEWAY_BEACON_KEY_FILE")->type_name("FILE");
  verb.add_option("--beacon", announcement.beacon, "By beacon to this address ([phase] listen of a gateway), not to this machine's")->needs(key)->type_name("ADDRESS");
  verb.add_option("--to", announcement.site, "The far site (default: every link of the training)")->type_name("SITE");
  verb.add_option("--ttl", announcement.ttl, "Ends by itself after TIME (default 2s)")->type_name("TIME");
  verb.add_option("--duration", announcement.duration, "How long it will communicate")->type_name("TIME");
  verb.add_option("--period", announcement.period, "From begin to begin")->type_name("TIME");
}

}  // namespace

void add_phase(CLI::App& app, Globals& globals, Action& action) {
  CLI::App* group = app.add_subcommand("phase", "Announce that a training communicates, so that bulk makes room");
  group->require_subcommand(1);
  auto announcement = std::make_shared<Announcement>();
  const auto add = [&](const char* name, const char* what, gate::PhaseKind kind) {
    CLI::App* verb = group->add_subcommand(name, what);
    add_options(*verb, *announcement);
    add_globals(*verb, globals);
    verb->callback([&globals, &action, announcement, kind] { action = [&globals, announcement, kind] { return announce(globals, *announcement, kind); }; });
  };
  add("begin", "Communication begins", gate::PhaseKind::kBegin);
  add("end", "Communication is over", gate::PhaseKind::kEnd);
  CLI::App* verb = group->add_subcommand("run", "Run a command that communicates from its start to its end");
  add_options(*verb, *announcement);
  add_globals(*verb, globals);
  verb->add_option("COMMAND", announcement->command, "What to run, behind --")->required()->type_name("");
  verb->callback([&globals, &action, announcement] { action = [&globals, announcement] { return run(globals, *announcement); }; });
}

}  // namespace tideway::cli
