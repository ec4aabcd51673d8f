// SPDX-License-Identifier: Apache-2.0
#include "announcer.h"

#include "api/phase_json.h"
#include "crypto/random_bytes.h"
#include "packet_io/udp_socket.h"

#include <sys/socket.h>

#include <cstring>
#include <fstream>
#include <sstream>

namespace tideway::trainer {

Result<std::unique_ptr<Announcer>> Announcer::open(const Settings& settings, size_t host) {
  std::unique_ptr<Announcer> announcer(new Announcer(settings, host));
  Status status = success();
  if (settings.announce == Announce::kBoard) status = announcer->open_board();
  if (settings.announce == Announce::kBeacon) status = announcer->open_beacon();
  if (settings.announce == Announce::kApi) status = announcer->open_api();
  if (!status.ok()) return std::move(status).error();
  return announcer;
}

Announcer::~Announcer() {
  if (phase_) tideway_phase_close(&*phase_);
  if (fd_ >= 0) close(fd_);
}

Status Announcer::open_board() {
  tideway_phase phase{};
  if (const int failed = tideway_phase_open(&phase, settings_.board.c_str(), settings_.training.c_str(), nullptr); failed != 0)
    return Error{Fault::kConfigInvalid, "no slot of the board " + settings_.board + ": " + std::strerror(failed), "start tidewayd with [phase] board first"};
  phase_ = phase;
  return success();
}

Status Announcer::open_beacon() {
  std::ifstream in(settings_.key_file);
  std::ostringstream text;
  text << in.rdbuf();
  auto keys = gate::parse_beacon_keys(text.str());
  if (!keys.ok()) return std::move(keys).error();
  key_ = keys.value().front();
  auto to = Endpoint::parse(settings_.beacon);
  if (!to.ok()) return std::move(to).error();
  const packet_io::SocketAddress address = packet_io::to_socket_address(to.value());
  fd_ = socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd_ < 0 || connect(fd_, reinterpret_cast<const sockaddr*>(&address.storage), address.length) != 0)
    return Error{Fault::kConfigInvalid, "no beacon to " + settings_.beacon + ": " + std::strerror(errno), ""};
  crypto::random_bytes(std::as_writable_bytes(std::span(&beacon_.source, 1)));
  beacon_.sequence = 0;
  beacon_.event.training = gate::training_id(settings_.training);
  beacon_.event.member = host_;
  beacon_.event.members = static_cast<uint16_t>(settings_.fan_in);
  return success();
}

Status Announcer::open_api() {
  gateway_.emplace(settings_.api);
  if (!gateway_->is_there()) return Error{Fault::kConfigInvalid, "no gateway answers at " + settings_.api, "start tidewayd with [listen] api first"};
  return success();
}

bool Announcer::is_lost() { return random_.happens(settings_.announce_loss); }

void Announcer::begin() {
  if (is_lost()) return;
  if (phase_) tideway_phase_begin(&*phase_, nullptr);
  if (fd_ >= 0) say(gate::PhaseKind::kBegin);
  if (gateway_) ask(gate::PhaseKind::kBegin);
}

void Announcer::end() {
  if (is_lost()) return;
  if (phase_) tideway_phase_end(&*phase_);
  if (fd_ >= 0) say(gate::PhaseKind::kEnd);
  if (gateway_) ask(gate::PhaseKind::kEnd);
}

void Announcer::say(gate::PhaseKind kind) {
  const Duration calendar = std::chrono::system_clock::now().time_since_epoch();
  beacon_.event.kind = kind;
  ++beacon_.sequence;
  beacon_.sent_ns = static_cast<uint64_t>(calendar.count());
  const auto datagram = gate::write_beacon(beacon_, key_);
  static_cast<void>(!send(fd_, datagram.data(), datagram.size(), MSG_NOSIGNAL));
}

// A gateway that does not answer is as one that did not hear: the trainer goes on.
void Announcer::ask(gate::PhaseKind kind) {
  api::PhaseWord word;
  word.training = settings_.training;
  word.event.kind = kind;
  word.event.member = host_;
  word.event.members = static_cast<uint16_t>(settings_.fan_in);
  static_cast<void>(gateway_->ask("POST", "/v1/phase", api::to_json(word)));
}

}  // namespace tideway::trainer
