// SPDX-License-Identifier: Apache-2.0
#include "daemon/checkpoint_thread.h"

#include "base/log.h"
#include "checkpoint/tracker.h"
#include "daemon/worker_pulse.h"
#include "storage/pin.h"

#include <poll.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace tideway::daemon {
namespace {

constexpr uint32_t kChanges = IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE;
constexpr size_t kIncompleteWatched = 64;  // directories that are being saved into, of each watch

// Of a path below a root: itself, or the nearest directory above it that is there.
std::string existing_part(std::string path, const std::string& root_path) {
  while (path.size() > root_path.size() && ::access(path.c_str(), F_OK) != 0) path.resize(path.rfind('/'));
  return path;
}

void drain(int inotify) {
  std::array<char, 4096> room{};
  while (::read(inotify, room.data(), room.size()) > 0) {}
}

}  // namespace

Result<std::unique_ptr<CheckpointThread>> CheckpointThread::start(CheckpointThreadConfig config) {
  std::unique_ptr<CheckpointThread> made(new CheckpointThread(std::move(config)));
  for (Bell* bell : {&made->event_bell_, &made->order_bell_})
    if (Status status = bell->open("checkpoints"); !status.ok()) return std::move(status).error();
  for (const CheckpointThreadConfig::Root& root : made->config_.roots) {
    if (Status status = storage::make_request_dirs(*root.root, made->config_.group); !status.ok()) {
      log::warning("no_inbox", "root=" + root.name + " why=\"" + status.error().what + '"');  // a root that is read-only
      continue;
    }
    made->inboxes_.emplace_back(root.name, root.root);
  }
  for (CheckpointThreadConfig::Watch& watch : made->config_.watches)
    made->watches_.emplace_back(watch.config, made->root_named(watch.config.root), watch.known);
  made->watch_by_inotify();
  made->thread_ = std::thread([self = made.get()] { self->run(); });
  return made;
}

CheckpointThread::~CheckpointThread() {
  {
    const std::lock_guard lock(mutex_);
    must_end_ = true;
  }
  order_bell_.ring();
  if (thread_.joinable()) thread_.join();
}

// Only to look sooner: what it does not tell, on file systems that other hosts write to, the next look finds.
void CheckpointThread::watch_by_inotify() {
  inotify_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (!inotify_.is_open()) return;
  for (const CheckpointThreadConfig::Root& root : config_.roots) ::inotify_add_watch(inotify_.get(), (root.path + "/.tideway/inbox").c_str(), IN_MOVED_TO);
}

// The directories themselves, and what is incomplete in them: the end of a save is seen where its last file is written. A trainer may make one
// later or anew, often with its first save: until then what there is of the way to it is watched. What happened before one was watched has told
// nobody, so it is looked at once more.
void CheckpointThread::watch_directories(Time now) {
  if (!inotify_.is_open()) return;
  std::map<std::string, int> watched;
  for (DirectoryWatch& watch : watches_) {
    const auto root = std::ranges::find(config_.roots, watch.config().root, &CheckpointThreadConfig::Root::name);
    if (root == config_.roots.end()) continue;
    const std::string top = watch.dir_path(root->path);
    std::vector<std::string> dirs{existing_part(top, root->path)};
    for (const auto& [name, why] : watch.incomplete())
      if (dirs.size() <= kIncompleteWatched) dirs.emplace_back(top).append("/").append(name);
    for (const std::string& dir : dirs) {
      const int wd = ::inotify_add_watch(inotify_.get(), dir.c_str(), kChanges | IN_ONLYDIR);
      if (wd < 0) continue;
      const auto known = watched_.find(dir);
      if (known == watched_.end() || known->second != wd) watch.hurry(now);
      watched.emplace(dir, wd);
    }
  }
  for (const auto& [path, wd] : watched_)
    if (!watched.contains(path)) ::inotify_rm_watch(inotify_.get(), wd);  // one that is gone has left by itself
  watched_ = std::move(watched);
}

session::RootPtr CheckpointThread::root_named(const std::string& name) const {
  const auto found = std::ranges::find(config_.roots, name, &CheckpointThreadConfig::Root::name);
  return found == config_.roots.end() ? nullptr : found->root;
}

void CheckpointThread::order(CheckpointOrder order) {
  {
    const std::lock_guard lock(mutex_);
    orders_.push_back(std::move(order));  // bounded by the jobs that there are
  }
  order_bell_.ring();
}

std::vector<CheckpointEvent> CheckpointThread::take_events() {
  event_bell_.clear();
  const std::lock_guard lock(mutex_);
  return std::exchange(events_, {});
}

size_t CheckpointThread::inbox_pending() const {
  const std::lock_guard lock(mutex_);
  return inbox_pending_;
}

void CheckpointThread::say(CheckpointEvent event) {
  {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
  }
  event_bell_.ring();
}

void CheckpointThread::run() {
  pthread_setname_np(pthread_self(), "tw-ckpt");
  next_pins_ = config_.clock() + config_.pins_every;
  while (true) {
    const Time now = config_.clock();
    std::deque<CheckpointOrder> orders;
    {
      const std::lock_guard lock(mutex_);
      if (must_end_) return;
      orders.swap(orders_);
    }
    for (CheckpointOrder& order : orders) take(std::move(order), now);
    look_at_holds();
    look_at_growth(now);
    look_at_watches();
    look_at_inboxes(now);
    look_at_pins(now);
    wait_for_work(config_.clock());
  }
}

// Empty: as many are watched as may be.
std::string CheckpointThread::path_to_watch(const std::string& root_path, const ObjectName& name) {
  if (std::ranges::count_if(growing_, [](const auto& one) { return one.second.uses_inotify(); }) >= static_cast<std::ptrdiff_t>(kGrowingByInotify)) {
    if (!std::exchange(has_told_of_many_, true)) log::warning("growth_unwatched", "why=\"" + std::to_string(kGrowingByInotify) + " growing checkpoints are watched by inotify; more are listed at each look\"");
    return "";
  }
  std::string path = root_path;
  for (const std::string& component : name.components()) path += '/' + component;
  return path;
}

bool CheckpointThread::take_growth(CheckpointOrder& order, Time now) {
  if (auto* watch = std::get_if<WatchGrowth>(&order)) {
    const auto root = std::ranges::find(config_.roots, watch->root, &CheckpointThreadConfig::Root::name);
    if (root == config_.roots.end()) return true;
    std::string path = path_to_watch(root->path, watch->name);
    growing_.try_emplace(watch->pin, GrowthWatch::Place{root->root, std::move(watch->name), std::move(path)}, now);
  } else if (const auto* range = std::get_if<DeclareFinal>(&order)) {
    if (const auto found = growing_.find(range->pin); found != growing_.end()) found->second.declare(range->path, range->bytes, now);
  } else if (const auto* end = std::get_if<EndGrowth>(&order)) {
    growing_.erase(end->pin);
  } else {
    return false;
  }
  return true;
}

void CheckpointThread::look_at_growth(Time now) {
  for (auto& [pin, watch] : growing_) {
    if (now < watch.next_look()) continue;
    Growth growth = watch.look(now);
    if (!growth.parts.empty() || growth.is_silent) say(Grew{pin, std::move(growth)});
  }
}

void CheckpointThread::take(CheckpointOrder order, Time now) {
  if (take_growth(order, now)) return;
  if (auto* hold = std::get_if<HoldOrder>(&order)) {
    session::RootPtr root = root_named(hold->root);
    const bool is_known = std::ranges::any_of(holds_, [&](const Holding& one) { return one.order().pin == hold->pin && one.order().owner == hold->owner; });
    if (root == nullptr) say(HoldAnswered{hold->pin, hold->owner, Error{Fault::kUsage, "there is no root \"" + hold->root + '"', "see GET /v1/roots"}});
    else if (!is_known) holds_.emplace_back(std::move(*hold), std::move(root), now);
  } else if (const auto* drop = std::get_if<DropPin>(&order)) {
    this->drop(*drop);
  } else if (const auto* look = std::get_if<LookAtPin>(&order)) {
    look_at_pin(*look);
  } else if (const auto* save = std::get_if<LookAtSave>(&order)) {
    look_at_save(*save);
  } else if (const auto* answer = std::get_if<AnswerInbox>(&order)) {
    const auto inbox = std::ranges::find(inboxes_, answer->root, &Inbox::root_name);
    if (inbox != inboxes_.end()) inbox->answer(answer->submission_id, answer->text);
  } else if (const auto* forget = std::get_if<ForgetFound>(&order)) {
    if (forget->watch < watches_.size()) watches_[forget->watch].forget(forget->name);
  } else {
    hold_pointer(std::get<HoldPointer>(order));
  }
}

// A user of this machine may name any pin, and only what he made goes for him.
void CheckpointThread::drop(const DropPin& order) {
  std::erase_if(holds_, [&](const Holding& one) { return one.order().pin == order.pin && (order.owner == 0 || one.order().owner == order.owner); });
  const session::RootPtr root = root_named(order.root);
  if (root == nullptr || !(storage::is_pin_id(order.pin) || storage::is_pin_draft(order.pin))) return;
  const auto owner = storage::owner_of_pin(*root, order.pin);
  const bool is_his = order.owner == 0 || (owner.ok() && owner.value() == order.owner);
  if (!is_his && owner.ok()) log::warning("pin_left", "pin=" + to_display(order.pin) + " why=\"user " + std::to_string(order.owner) + " did not make it\"");
  if (!is_his) return;
  const Status status = storage::drop_pin(*root, order.pin);
  if (!status.ok()) log::warning("pin_left", "pin=" + to_display(order.pin) + " why=\"" + status.error().what + '"');
  else if (order.why == DropPin::Why::kAbandoned) log::warning("pin_abandoned", "root=" + order.root + " pin=" + to_display(order.pin));
}

void CheckpointThread::look_at_pin(const LookAtPin& order) {
  const session::RootPtr root = root_named(order.root);
  say(PinSeen{order.number, root == nullptr ? Status(Error{Fault::kUsage, "there is no root \"" + order.root + '"', "see GET /v1/roots"}) : check_owner_of_pin(*root, order.pin, order.owner)});
}

void CheckpointThread::look_at_save(const LookAtSave& order) {
  const session::RootPtr root = root_named(order.root);
  SaveSeen seen{order.number, {}};
  if (root != nullptr) {
    const auto listing = order.pin.empty() ? list_checkpoint({*root, order.name, order.name}) : list_pin(*root, order.pin, order.name);
    if (listing.ok()) seen.written = last_written(listing.value());
  }
  say(seen);
}

// Rewritten in place, so it counts when the copy and a second look agree.
void CheckpointThread::hold_pointer(const HoldPointer& order) {
  const session::RootPtr root = root_named(order.root);
  PointerHeld held{order, ""};
  constexpr int kTries = 3;
  for (int i = 0; root != nullptr && i < kTries && held.points_to.empty(); ++i) {
    static_cast<void>(storage::drop_pin(*root, order.pin).ok());
    if (!storage::make_pin(*root, order.name, order.pin).ok()) break;
    const ObjectName copy = storage::pins_dir().child(order.pin).value().child(order.name.last()).value();
    const Spot spot{*root, copy, order.name};
    const checkpoint::Listing listing{"", {}};
    const checkpoint::Pieces pieces = read_pieces(spot, listing);
    const auto again = pieces.find({"../" + order.name.last(), checkpoint::Part::kAgain});
    auto file = root->open_file(copy, storage::Access::kRead);
    std::string text(checkpoint::kTrackerBytesMax, '\0');
    const ssize_t count = file.ok() ? ::pread(file.value().get(), text.data(), text.size(), 0) : -1;
    if (count <= 0) break;
    text.resize(static_cast<size_t>(count));
    if (again != pieces.end() && again->second == text) held.points_to = checkpoint::tracked_name(order.name.last(), text).value_or("");
  }
  if (held.points_to.empty() && root != nullptr) static_cast<void>(storage::drop_pin(*root, order.pin).ok());
  say(std::move(held));
}

// What is held is put on stable storage first, which may take minutes. So each look has a time of its own: the next checkpoint would seem to have stood
// still for as long as that took.
void CheckpointThread::look_at_holds() {
  std::erase_if(holds_, [&](Holding& holding) {
    const Time now = config_.clock();
    if (now < holding.next_look()) return false;
    HoldOutcome outcome = holding.look(quiet_, config_.clock);
    const bool is_through = !outcome.ok() || std::holds_alternative<Held>(outcome.value());
    say(HoldAnswered{holding.order().pin, holding.order().owner, std::move(outcome)});
    return is_through;
  });
}

void CheckpointThread::look_at_watches() {
  bool has_looked = false;
  for (size_t i = 0; i < watches_.size(); ++i) {
    const Time now = config_.clock();
    if (is_stirred_) watches_[i].hurry(now);
    if (now < watches_[i].next_look()) continue;
    has_looked = true;
    for (FoundCheckpoint& found : watches_[i].look(quiet_, config_.clock)) say(Found{i, std::move(found)});
  }
  is_stirred_ = false;
  if (has_looked) watch_directories(config_.clock());  // only then there is something else to watch
}

void CheckpointThread::look_at_inboxes(Time now) {
  if (now < next_inbox_) return;
  next_inbox_ = now + kInboxEvery;
  const int64_t wall = Duration(read_wall_clock().time_since_epoch()).count();
  size_t pending = 0;
  for (Inbox& inbox : inboxes_) {
    for (InboxRequest& request : inbox.look(wall)) say(std::move(request));
    pending += inbox.pending();
  }
  const std::lock_guard lock(mutex_);
  inbox_pending_ = pending;
}

void CheckpointThread::look_at_pins(Time now) {
  if (now < next_pins_) return;
  next_pins_ = now + config_.pins_every;
  const int64_t before = Duration(read_wall_clock().time_since_epoch() - config_.pin_idle).count();
  for (const CheckpointThreadConfig::Root& root : config_.roots) {
    std::string& last = last_idle_[root.name];
    PinsIdle idle{root.name, storage::pins_older_than(*root.root, before, {last, kPinsIdleMax})};
    last = idle.pins.size() == kPinsIdleMax ? idle.pins.back() : "";  // among them are those that jobs name, which stay
    if (!idle.pins.empty()) say(std::move(idle));
  }
}

Time CheckpointThread::next_look() const {
  Time next = std::min(inboxes_.empty() ? kNever : next_inbox_, next_pins_);
  for (const Holding& holding : holds_) next = std::min(next, holding.next_look());
  for (const DirectoryWatch& watch : watches_) next = std::min(next, watch.next_look());
  for (const auto& [pin, watch] : growing_) next = std::min(next, watch.next_look());
  return next;
}

void CheckpointThread::wait_for_work(Time now) {
  const Duration pause = std::clamp(next_look() == kNever ? WorkerPulse::kIdleMax : next_look() - now, Duration(), WorkerPulse::kIdleMax);
  std::array<pollfd, 2> fds{pollfd{order_bell_.fd(), POLLIN, 0}, pollfd{inotify_.get(), POLLIN, 0}};
  ::poll(fds.data(), fds.size(), static_cast<int>(pause / std::chrono::milliseconds(1)) + (pause > Duration() ? 1 : 0));
  if ((fds[1].revents & POLLIN) != 0) {
    ::poll(nullptr, 0, static_cast<int>(kEventPause / std::chrono::milliseconds(1)));  // many changes, one look
    drain(inotify_.get());
    is_stirred_ = true;
    next_inbox_ = {};
  }
  order_bell_.clear();
}

}  // namespace tideway::daemon
