// SPDX-License-Identifier: Apache-2.0
#include "daemon/phase_port.h"

#include "base/clock.h"
#include "base/log.h"
#include "crypto/secret.h"
#include "packet_io/udp_socket.h"

#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

namespace tideway::daemon {
namespace {

constexpr Duration kBoardPeriod = std::chrono::milliseconds(20);   // for new writers; bursts are seen by the net workers
constexpr Duration kReclaimPeriod = std::chrono::seconds(1);
constexpr Duration kWaitMax = std::chrono::seconds(1);
constexpr size_t kBeaconsPerTurn = 64;
constexpr size_t kAnnouncedMax = 1024;
constexpr mode_t kOthers = 0007;

Error unusable(const std::string& what, const std::string& next) {
  return {Fault::kConfigInvalid, what + ": " + std::strerror(errno), next};
}

Duration calendar() { return std::chrono::system_clock::now().time_since_epoch(); }

}  // namespace

Result<std::vector<gate::BeaconKey>> read_beacon_keys(const std::string& file) {
  struct stat status {};
  const std::string next = "make it with: openssl rand -hex 32 > " + file + ", and give it the mode 0640";
  if (stat(file.c_str(), &status) != 0) return unusable("the beacon keys " + file + " cannot be read", next);
  if ((status.st_mode & kOthers) != 0)
    return Error{Fault::kConfigInvalid, "the beacon keys " + file + " can be read by everybody", "chmod 0640 " + file};
  std::ifstream in(file);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return unusable("the beacon keys " + file + " cannot be read", next);
  const crypto::SecretText secret(std::move(text).str());
  auto keys = gate::parse_beacon_keys(secret.text());
  if (!keys.ok()) return Error{Fault::kConfigInvalid, file + ": " + keys.error().what, keys.error().next};
  return keys;
}

PhasePort::PhasePort(PhasePortConfig config)
    : config_(std::move(config)), judge_(config_.keys), bursts_(config_.bursts), board_slots_(config_.gates->links()),
      written_(config_.gates->links()) {}

Result<std::unique_ptr<PhasePort>> PhasePort::start(PhasePortConfig config) {
  std::unique_ptr<PhasePort> port(new PhasePort(std::move(config)));
  port->wake_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (port->wake_ < 0) return unusable("no descriptor is left for the phase port", "raise the limit of open files");
  if (port->config_.listen)
    if (Status status = port->open_socket(*port->config_.listen); !status.ok()) return std::move(status).error();
  if (!port->config_.board.empty()) {
    auto board = PhaseBoard::create(port->config_.board);
    if (!board.ok()) return std::move(board).error();
    port->board_ = std::move(board).value();
    port->config_.gates->show_board(port->board_->slots());
  }
  port->thread_ = std::thread([self = port.get()] { self->run(); });
  return port;
}

PhasePort::~PhasePort() {
  stopping_ = true;
  const uint64_t one = 1;
  if (wake_ >= 0) static_cast<void>(!write(wake_, &one, sizeof one));
  if (thread_.joinable()) thread_.join();
  if (socket_ >= 0) close(socket_);
  if (wake_ >= 0) close(wake_);
}

Status PhasePort::open_socket(const Endpoint& listen) {
  packet_io::SocketAddress address = packet_io::to_socket_address(listen);
  auto* const raw = reinterpret_cast<sockaddr*>(&address.storage);
  socket_ = socket(address.storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (socket_ < 0 || bind(socket_, raw, address.length) != 0 || getsockname(socket_, raw, &address.length) != 0)
    return unusable("beacons cannot be taken at " + to_string(listen), "write an address of this host and a free port below [phase]");
  address_ = packet_io::to_endpoint(address.storage);
  return success();
}

void PhasePort::announce(const gate::PhaseEvent& event) {
  {
    const std::lock_guard lock(mutex_);
    if (announced_.size() < kAnnouncedMax) announced_.push_back(event);
  }
  const uint64_t one = 1;
  static_cast<void>(!write(wake_, &one, sizeof one));
}

// ---- the thread ----------------------------------------------------------------------------------------------------

namespace {

// Where all cores are busy, a thread that wakes gets one in milliseconds, and a burst would meet what is sent meanwhile. This one
// is awake for microseconds at a time, so it may go first; who may not ask for that has the delay.
void take_precedence() {
  const sched_param lowest{sched_get_priority_min(SCHED_FIFO)};
  if (sched_setscheduler(0, SCHED_FIFO, &lowest) != 0) log::debug("phase_port_waits_its_turn", std::string("why=\"") + std::strerror(errno) + '"');
}

}  // namespace

void PhasePort::run() {
  prctl(PR_SET_NAME, "tw-phase");
  prctl(PR_SET_TIMERSLACK, 1);
  take_precedence();
  while (!stopping_.load(std::memory_order_acquire)) {
    const Time now = read_clock();
    if (socket_ >= 0) receive(now);
    take_announced(now);
    bursts_.on_time(now);
    expired_.store(bursts_.expired(), std::memory_order_relaxed);
    if (board_ != nullptr) watch_board(now);
    write_words(now);
    wait(now);
  }
}

void PhasePort::receive(Time now) {
  std::array<std::byte, gate::kBeaconSize + 1> datagram;  // one more shows that it is too long
  for (size_t i = 0; i < kBeaconsPerTurn; ++i) {
    const ssize_t size = recv(socket_, datagram.data(), datagram.size(), 0);
    if (size < 0) break;
    const auto beacon = judge_.take(now, calendar(), std::span(datagram).first(static_cast<size_t>(size)));
    if (!beacon) continue;
    const size_t training = bursts_.index_of(beacon->event.training);
    if (training < config_.hears_beacons.size() && config_.hears_beacons[training]) take(now, beacon->event);
  }
  for (size_t i = 0; i < counts_.size(); ++i)
    counts_[i].store(judge_.count(static_cast<gate::BeaconFate>(i)), std::memory_order_relaxed);
}

void PhasePort::take_announced(Time now) {
  std::vector<gate::PhaseEvent> events;
  {
    const std::lock_guard lock(mutex_);
    events.swap(announced_);
  }
  for (const gate::PhaseEvent& event : events) take(now, event);
}

// The word is written with each event, so that a begin does not wait for what comes behind it.
void PhasePort::take(Time now, const gate::PhaseEvent& event) {
  if (bursts_.on_event(now, event) == gate::EventFate::kTaken) write_words(now);
}

void PhasePort::watch_board(Time now) {
  if (now - reclaimed_at_ >= kReclaimPeriod) {
    reclaimed_at_ = now;
    board_->reclaim();
  }
  std::ranges::fill(board_slots_, 0);
  for (size_t i = 0; i < TIDEWAY_PHASE_SLOTS; ++i) {
    const tideway_phase_slot& slot = board_->slots()[i];
    const uint64_t training = __atomic_load_n(&slot.training, __ATOMIC_RELAXED);
    if (training == 0) continue;
    const size_t index = bursts_.index_of(training);
    if (index >= config_.hears_board.size() || !config_.hears_board[index]) continue;
    const gate::LinkSet links = bursts_.links_of(index, __atomic_load_n(&slot.dst, __ATOMIC_RELAXED));
    for (size_t link = 0; link < board_slots_.size(); ++link)
      if ((links >> link & 1) != 0) board_slots_[link] |= uint64_t{1} << i;
  }
}

void PhasePort::write_words(Time now) {
  for (size_t link = 0; link < written_.size(); ++link) {
    const engine::GateNews news{bursts_.signal(now, link), board_slots_[link], 0, {}};
    if (news == written_[link]) continue;
    written_[link] = news;
    config_.gates->word(link).write(news);
  }
}

void PhasePort::wait(Time now) {
  Duration most = board_ == nullptr ? kWaitMax : kBoardPeriod;
  if (const Time next = bursts_.next_deadline(); next != kNever) most = std::clamp(next - now, Duration::zero(), most);
  pollfd watched[2] = {{.fd = wake_, .events = POLLIN, .revents = 0}, {.fd = socket_, .events = POLLIN, .revents = 0}};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(most);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (most - seconds).count()};
  if (ppoll(watched, 2, &timeout, nullptr) <= 0 || (watched[0].revents & POLLIN) == 0) return;
  uint64_t rings = 0;
  static_cast<void>(!read(wake_, &rings, sizeof rings));
}

}  // namespace tideway::daemon
