// SPDX-License-Identifier: Apache-2.0
#include "daemon/phase_port.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/operator_file.h"
#include "crypto/secret.h"
#include "packet_io/udp_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

namespace tideway::daemon {
namespace {

constexpr Duration kBoardPeriod = std::chrono::milliseconds(20);   // for new writers; bursts are seen by the net workers
constexpr Duration kReclaimPeriod = std::chrono::seconds(1);
constexpr Duration kTurnPeriod = std::chrono::milliseconds(50);
constexpr size_t kBeaconsPerTurn = 64;
constexpr size_t kAnnouncedMax = 1024;
constexpr mode_t kOthers = 0007;
constexpr size_t kBeaconFileMax = 64 * 1024;  // of keys and comments; what is beyond is not read

Error unusable(const std::string& what, const std::string& next) {
  return {Fault::kConfigInvalid, what + ": " + std::strerror(errno), next};
}

Duration calendar() { return std::chrono::system_clock::now().time_since_epoch(); }

}  // namespace

Result<std::vector<gate::BeaconKey>> read_beacon_keys(const std::string& file) {
  const std::string next = "make it with: openssl rand -hex 32 > " + file + ", and give it the mode 0640";
  const int fd = open_operator_file(file, O_RDONLY | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return Error{Fault::kConfigInvalid, "the beacon keys " + file + " cannot be read: " + text_of_open_error(-fd), next};
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(::fdopen(fd, "r"), &std::fclose);
  struct stat status {};
  if (in == nullptr || fstat(fd, &status) != 0) return unusable("the beacon keys " + file + " cannot be read", next);
  if ((status.st_mode & kOthers) != 0)
    return Error{Fault::kConfigInvalid, "the beacon keys " + file + " can be read by everybody", "chmod 0640 " + file};
  std::string text(kBeaconFileMax, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), in.get()));
  if (std::ferror(in.get()) != 0) return unusable("the beacon keys " + file + " cannot be read", next);
  const crypto::SecretText secret(std::move(text));
  auto keys = gate::parse_beacon_keys(secret.text());
  if (!keys.ok()) return Error{Fault::kConfigInvalid, file + ": " + keys.error().what, keys.error().next};
  return keys;
}

PhasePort::PhasePort(PhasePortConfig config)
    : config_(std::move(config)), judge_(config_.keys), loop_(config_.site), board_slots_(config_.gates->links()),
      written_(config_.gates->links()), bulk_sent_(config_.gates->links()) {}

Result<std::unique_ptr<PhasePort>> PhasePort::start(PhasePortConfig config) {
  std::unique_ptr<PhasePort> port(new PhasePort(std::move(config)));
  if (Status status = port->bell_.open("the phase port"); !status.ok()) return std::move(status).error();
  if (Status status = port->mail_.open(); !status.ok()) return std::move(status).error();
  if (port->config_.listen)
    if (Status status = port->open_socket(*port->config_.listen); !status.ok()) return std::move(status).error();
  if (Status status = port->open_counters(); !status.ok()) return std::move(status).error();
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
  bell_.ring();
  if (thread_.joinable()) thread_.join();
}

Status PhasePort::open_socket(const Endpoint& listen) {
  packet_io::SocketAddress address = packet_io::to_socket_address(listen);
  socket_.reset(socket(address.storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_.is_open() || bind(socket_.get(), address.get(), address.length) != 0 || getsockname(socket_.get(), address.get(), &address.length) != 0)
    return unusable("beacons cannot be taken at " + to_string(listen), "write an address of this host and a free port below [phase]");
  address_ = packet_io::to_endpoint(address.storage);
  return success();
}

Status PhasePort::open_counters() {
  for (const PhasePortConfig::Counted& one : config_.counted) {
    auto counters = TrafficCounters::open(one.counters, config_.data_address);
    if (!counters.ok()) return std::move(counters).error();
    const Duration bin = bin_of(one.counters, one.capacity);
    counted_.push_back({one.training, std::move(counters).value(), planner::CounterWatch(one.capacity, bin), bin});
  }
  return success();
}

// Of the table it asks only for what was configured, which no thread changes.
gate::EventFate PhasePort::announce(const gate::PhaseEvent& event) {
  const gate::BurstTable& bursts = loop_.bursts();
  const size_t training = bursts.index_of(event.training);
  if (training >= config_.hears_api.size()) return gate::EventFate::kUnknownTraining;
  if (!config_.hears_api[training]) return gate::EventFate::kUnheard;
  if (event.destination != 0 && bursts.links_of(training, event.destination) == 0) return gate::EventFate::kUnknownDestination;
  {
    const std::lock_guard lock(mutex_);
    if (announced_.size() == kAnnouncedMax) return gate::EventFate::kFull;
    announced_.push_back(event);
  }
  bell_.ring();
  return gate::EventFate::kTaken;
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
    if (socket_.is_open()) receive(now);
    take_announced(now);
    watch_bulk();
    if (board_ != nullptr) watch_board(now);
    watch_counters(now);
    loop_.on_time(now);
    expired_.store(loop_.bursts().expired(), std::memory_order_relaxed);
    write_words(now);
    watch_forgeries(now);
    tell_news(now);
    make_report(now);
    wait(now);
  }
}

void PhasePort::receive(Time now) {
  std::array<std::byte, gate::kBeaconSize + 1> datagram;  // one more shows that it is too long
  for (size_t i = 0; i < kBeaconsPerTurn; ++i) {
    const ssize_t size = recv(socket_.get(), datagram.data(), datagram.size(), 0);
    if (size < 0) break;
    const auto beacon = judge_.take(now, calendar(), std::span(datagram).first(static_cast<size_t>(size)));
    if (!beacon) continue;
    const size_t training = loop_.bursts().index_of(beacon->event.training);
    if (training < config_.hears_beacons.size() && config_.hears_beacons[training]) take(now, beacon->event, planner::PhaseOrigin::kBeacon);
  }
  for (size_t i = 0; i < counts_.size(); ++i)
    counts_[i].store(judge_.count(static_cast<gate::BeaconFate>(i)), std::memory_order_relaxed);
}

void PhasePort::take_announced(Time now) {
  for (const PhaseMail::Heard& heard : mail_.take_heard()) loop_.on_peer(heard.training, heard.kind == messages::PhaseNotice::Kind::kBegin ? gate::PhaseKind::kBegin : gate::PhaseKind::kEnd, heard.at);
  std::vector<gate::PhaseEvent> events;
  {
    const std::lock_guard lock(mutex_);
    events.swap(announced_);
  }
  for (const gate::PhaseEvent& event : events) take(now, event, planner::PhaseOrigin::kApi);
}

// The word is written with each event, so that a begin does not wait for what comes behind it.
void PhasePort::take(Time now, const gate::PhaseEvent& event, planner::PhaseOrigin origin) {
  if (loop_.on_event(now, event, origin) == gate::EventFate::kTaken) write_words(now);
}

void PhasePort::watch_board(Time now) {
  if (now - reclaimed_at_ >= kReclaimPeriod) {
    reclaimed_at_ = now;
    board_->reclaim();
  }
  std::ranges::fill(board_slots_, 0);
  for (size_t i = 0; i < TIDEWAY_PHASE_SLOTS; ++i) {
    const tideway_phase_slot& slot = board_->slots()[i];
    const size_t index = loop_.bursts().index_of(__atomic_load_n(&slot.training, __ATOMIC_RELAXED));
    const bool is_heard = index < config_.hears_board.size() && config_.hears_board[index];
    watch_slot(now, i, is_heard ? index : config_.hears_board.size());
    if (!is_heard || has_run_out_unseen(now, i)) continue;
    const gate::LinkSet links = loop_.bursts().links_of(index, __atomic_load_n(&slot.dst, __ATOMIC_RELAXED));
    for (size_t link = 0; link < board_slots_.size(); ++link)
      if ((links >> link & 1) != 0) board_slots_[link] |= uint64_t{1} << i;
  }
}

// Net workers take a begin that is ahead of now for one of this moment, with each look again, so they would never see its time to
// live run out. A clock of another time namespace is ahead for good, and garbage may be.
bool PhasePort::has_run_out_unseen(Time now, size_t slot) const {
  return slots_[slot].is_burst && slots_[slot].is_ahead && now >= runs_out_at(slot);
}

Time PhasePort::runs_out_at(size_t slot) const {
  return slots_[slot].begin + gate::slot_ttl(board_->slots()[slot], config_.gates->config().ttl_default, config_.gates->config().ttl_max);
}

// What happened in a slot since it was seen before: its writer noted when, so that a look now and then is enough. `training` is
// past the last one when the slot is nobody's. A time that cannot be is taken for now.
void PhasePort::watch_slot(Time now, size_t slot, size_t training) {
  const tideway_phase_slot& written = board_->slots()[slot];
  Slot& seen = slots_[slot];
  const auto time_of = [now](uint64_t ns) { return std::clamp(Time(Duration(static_cast<int64_t>(std::min<uint64_t>(ns, INT64_MAX)))), now - kReclaimPeriod, now); };
  const bool is_burst = training < config_.names.size() && __atomic_load_n(&written.state, __ATOMIC_ACQUIRE) == TIDEWAY_PHASE_BURST;
  const uint64_t begin_ns = __atomic_load_n(&written.begin_ns, __ATOMIC_RELAXED);
  const bool is_ahead = begin_ns > static_cast<uint64_t>(now.time_since_epoch().count());
  const bool is_other = begin_ns != seen.begin_ns, begins = is_burst && (is_other || !seen.is_burst);
  const bool is_news = begins || (is_other && !is_burst && now - kReclaimPeriod < time_of(begin_ns));  // else of before our start
  if (begins) seen.begin = gate::slot_begin(written, now), seen.is_ahead = is_ahead;
  if (seen.training && (!is_burst || *seen.training != training)) loop_.on_board_end(time_of(__atomic_load_n(&written.end_ns, __ATOMIC_RELAXED)), *std::exchange(seen.training, std::nullopt));
  if (training < config_.names.size() && is_news && (is_burst || !is_ahead) && !seen.training) {
    loop_.on_board_begin(time_of(begin_ns), training);
    seen.training = training;
    if (!is_burst) loop_.on_board_end(time_of(__atomic_load_n(&written.end_ns, __ATOMIC_RELAXED)), *std::exchange(seen.training, std::nullopt));
  }
  if (seen.training && now >= runs_out_at(slot)) loop_.on_board_run_out(now, *std::exchange(seen.training, std::nullopt));
  if (training < config_.names.size() && is_news && is_ahead && !is_burst)
    loop_.on_board_prediction(now, Time(Duration(static_cast<int64_t>(std::min<uint64_t>(begin_ns, INT64_MAX)))), training);
  seen.begin_ns = begin_ns;
  seen.is_burst = is_burst;
}

// Ours are looked at behind the counters, which may take a while where the kernel has locked them: what leaves meanwhile is then ours and not counted,
// which the watch makes up for, and not counted and nobody's, which it takes for a burst.
void PhasePort::watch_counters(Time now) {
  for (Counted& one : counted_) {
    if (one.read_at != Time::min() && now - one.read_at < one.bin) continue;
    one.read_at = now;
    const InterfaceCounters::Counts counts = one.counters.read(now);
    planner::CounterWatch::Sample sample{now, counts.sent, counts.received, 0, 0};
    if (one.counters.sees_ours()) {
      const InterfaceCounters::Counts ours = own_bytes();
      sample.own_sent = ours.sent, sample.own_received = ours.received;
    }
    loop_.on_counted(one.training, one.watch, sample);
  }
}

InterfaceCounters::Counts PhasePort::own_bytes() const {
  InterfaceCounters::Counts own;
  for (size_t link = 0; link < written_.size(); ++link)
    for (const engine::GateBoard& board : std::as_const(*config_.gates).boards(link)) {
      own.sent += board.bytes_sent.get();
      own.received += board.bytes_received.get();
    }
  return own;
}

void PhasePort::watch_bulk() {
  for (size_t link = 0; link < bulk_sent_.size(); ++link) {
    uint64_t sent = 0;
    for (const engine::GateBoard& board : std::as_const(*config_.gates).boards(link)) sent += board.bytes_sent.get();
    loop_.on_bulk(link, Bytes(sent - std::exchange(bulk_sent_[link], sent)));
  }
}

void PhasePort::write_words(Time now) {
  for (size_t link = 0; link < written_.size(); ++link) {
    engine::GateNews news{loop_.signal(now, link), board_slots_[link], 0, {}};
    if (const auto tightness = loop_.tightness(link)) news.trickle = tightness->trickle, news.queue_target = tightness->queue_target;
    if (news == written_[link]) continue;
    written_[link] = news;
    config_.gates->word(link).write(news);
  }
}

void PhasePort::alarm(Time now, PhaseTrouble trouble, const std::string& subject) {
  const bool has_its_own_line = trouble == PhaseTrouble::kLost || trouble == PhaseTrouble::kHeld;
  if (!mail_.raise(now, {trouble, subject}) || has_its_own_line) return;
  log::warning("phase_" + std::string(name_of(trouble)), "about=" + subject + " why=\"" + std::string(answer_to(trouble)) + '"');
}

void PhasePort::watch_forgeries(Time now) {
  const uint64_t forged = judge_.count(gate::BeaconFate::kKey) + judge_.count(gate::BeaconFate::kTag) + judge_.count(gate::BeaconFate::kTime);
  if (forged != std::exchange(forged_, forged)) alarm(now, PhaseTrouble::kForged, "beacon");
}

// Of the configuration it asks only for what no thread changes.
void PhasePort::on_notice(Time now, const std::string& site, const messages::PhaseNotice& notice) {
  const size_t training = loop_.bursts().index_of(notice.training);
  const bool is_known = training < config_.names.size();
  const auto leads_there = [&](size_t link) { return config_.peers[link] == site; };
  if (!is_known) return;  // its peers configure what they like
  if (std::ranges::none_of(links_of(training), leads_there)) return alarm(now, PhaseTrouble::kForged, site);
  const Duration age = std::chrono::microseconds(notice.age_us);
  if (age > PhaseMail::kNoticeAgeMax) return alarm(now, PhaseTrouble::kLate, config_.names[training]);
  mail_.hear({training, notice.kind, now - age});
}

void PhasePort::tell_peers(const planner::SiteNews& news) {
  const planner::TrainingWatch& watch = loop_.training(news.index);
  const auto us = [](Duration time) { return static_cast<uint32_t>(std::clamp<int64_t>(time / std::chrono::microseconds(1), 0, messages::kPhaseTimeMax)); };
  messages::PhaseNotice notice;
  notice.training = config_.site.bursts.trainings[news.index].id;
  notice.kind = news.kind == planner::SiteNews::Kind::kBegun ? messages::PhaseNotice::Kind::kBegin : messages::PhaseNotice::Kind::kEnd;
  notice.period_us = us(watch.period(news.at));
  notice.jitter_us = us(watch.sigma(news.at));
  for (const size_t link : links_of(news.index)) mail_.tell({config_.peers[link], notice, news.at});
}

void PhasePort::tell_news(Time now) {
  using enum planner::SiteNews::Kind;
  for (const planner::SiteNews& news : loop_.take_news()) {
    if (news.kind == kBegun || news.kind == kEnded) {
      tell_peers(news);
      continue;
    }
    for (const auto& [kind, trouble] : {std::pair(kStale, PhaseTrouble::kStale), std::pair(kLost, PhaseTrouble::kLost), std::pair(kLate, PhaseTrouble::kLate), std::pair(kWrong, PhaseTrouble::kWrong)})
      if (news.kind == kind) alarm(now, trouble, config_.names[news.index]);
    if (news.kind == kGateHeld) {
      alarm(now, PhaseTrouble::kHeld, config_.peers[news.index]);
      log::warning("gate_held", "link=" + config_.peers[news.index] + " why=\"trainings hold it closed without a gap\" next=\"see whether their bursts are ended\"");
      continue;
    }
    const std::string training = "training=" + config_.names[news.index], percent = " inflation_percent=" + std::to_string(100 * news.inflation);
    if (news.kind == kLocked) log::info("phase_locked", training + " period_ms=" + std::to_string(news.period / std::chrono::milliseconds(1)));
    if (news.kind == kLost) log::warning("phase_lost", training + " reason=reactive next=\"see whether it runs, and whether it still announces its bursts\"");
    if (news.kind == kOverBudget || news.kind == kWithinBudget) mail_.tell_budget({config_.names[news.index], news.inflation, config_.site.trainings[news.index].budget.budget});
    if (news.kind == kOverBudget) log::warning("training_over_budget", training + percent + " reason=budget");
    if (news.kind == kWithinBudget) log::info("training_within_budget", training + percent);
  }
}

// Whoever reads it may have to wait for a core; this thread does not wait for him.
void PhasePort::make_report(Time now) {
  const std::unique_lock lock(report_mutex_, std::try_to_lock);
  if (!lock.owns_lock()) return;
  report_.trainings.resize(config_.names.size());
  report_.links.resize(written_.size());
  for (size_t i = 0; i < report_.trainings.size(); ++i) {
    const planner::TrainingWatch& watch = loop_.training(i);
    report_.trainings[i] = {watch.lock(now), watch.period(now), watch.sigma(now), watch.error(now), loop_.is_bursting(i), watch.origin(), watch.heard_at(),
                            watch.budget().inflation(), config_.site.trainings[i].budget.budget, watch.misses()};
  }
  for (size_t i = 0; i < report_.links.size(); ++i) {
    const gate::GateSignal& signal = written_[i].signal;
    PhaseReport::Link& link = report_.links[i];
    link = {gate::GateState::kOpen, gate::GateReason::kNone, signal.training, loop_.bursting(i), loop_.open(i), std::nullopt, loop_.open_share(i)};
    if (now < signal.closed_until) link.state = gate::GateState::kClosed, link.reason = signal.reason;
    else if (const auto training = loop_.bursting_training(i)) link.state = gate::GateState::kClosed, link.reason = gate::GateReason::kTraining, link.training = *training;
    else if (signal.guard_from <= now && now < signal.guard_until) link.state = gate::GateState::kGuard, link.reason = gate::GateReason::kGuard;
  }
  for (const Counted& one : counted_)
    for (const size_t link : links_of(one.training)) report_.links[link].foreground = report_.links[link].foreground.value_or(Bytes()) + one.watch.carried();
}

PhaseReport PhasePort::report() const {
  const std::lock_guard lock(report_mutex_);
  return report_;
}

void PhasePort::wait(Time now) {
  Time next = std::min(loop_.next_deadline(now), now + (board_ != nullptr ? kBoardPeriod : kTurnPeriod));
  for (const Counted& one : counted_) next = std::min(next, one.read_at + one.bin);  // whatever rings in between
  const Duration most = std::max(next - now, Duration::zero());
  pollfd watched[2] = {{.fd = bell_.fd(), .events = POLLIN, .revents = 0}, {.fd = socket_.get(), .events = POLLIN, .revents = 0}};
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(most);
  const timespec timeout{.tv_sec = seconds.count(), .tv_nsec = (most - seconds).count()};
  if (ppoll(watched, 2, &timeout, nullptr) > 0 && (watched[0].revents & POLLIN) != 0) bell_.clear();
}

}  // namespace tideway::daemon
