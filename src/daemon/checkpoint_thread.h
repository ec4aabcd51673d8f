// SPDX-License-Identifier: Apache-2.0
//
// All that checkpoints want of the disk, on a thread of its own, so that a slow one holds up no session: holds them, watches directories,
// reads inboxes, drops pins. Orders go in and events come out; it decides nothing about jobs.
// Thread: control, but for what runs inside.
#pragma once
#include "base/clock.h"
#include "daemon/bell.h"
#include "daemon/directory_watch.h"
#include "daemon/growth_watch.h"
#include "daemon/holding.h"
#include "daemon/inbox.h"

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <variant>

namespace tideway::daemon {

struct DropPin {
  std::string root, pin;
  uint32_t owner = 0;  // uid that must have made it; 0 may drop any
  enum class Why : uint8_t { kNotNeeded, kAbandoned } why = Why::kNotNeeded;
};
// Is it there, for whoever names it?
struct LookAtPin {
  uint64_t number = 0;  // of the question
  std::string root, pin;
  uint32_t owner = 0;   // as above
};
// When was the newest of its files written?
struct LookAtSave {
  uint64_t number = 0;    // as above
  std::string root, pin;  // empty: it lies where the trainer put it
  ObjectName name;        // of the checkpoint, below the root
};
struct AnswerInbox {
  std::string root, submission_id, text;
};
struct ForgetFound {  // by a watch
  size_t watch = 0;
  std::string name;
};
// A copy of a file that names the newest checkpoint, as a pin of its own.
struct HoldPointer {
  std::string pin, root;
  ObjectName name;  // of that file
  std::string job;  // whose publish asks for it
};
// What is still being written is looked at until EndGrowth. `pin`: what it will be held as.
struct WatchGrowth {
  std::string pin, root;
  ObjectName name;
};
struct DeclareFinal {
  std::string pin, path;  // of a file below it
  flow::Interval bytes;
};
struct EndGrowth {
  std::string pin;
};
using CheckpointOrder = std::variant<HoldOrder, DropPin, LookAtPin, LookAtSave, AnswerInbox, ForgetFound, HoldPointer, WatchGrowth, DeclareFinal, EndGrowth>;

struct HoldAnswered {
  std::string pin;
  uint32_t owner = 0;  // of the order
  HoldOutcome outcome;
};
struct Found {
  size_t watch = 0;
  FoundCheckpoint checkpoint;
};
struct PointerHeld {
  HoldPointer order;
  std::string points_to;  // name of a checkpoint beside it
};
struct Grew {
  std::string pin;
  Growth growth;
};
struct PinSeen {
  uint64_t number = 0;
  Status status;  // errors: source_missing, denied
};
struct SaveSeen {
  uint64_t number = 0;
  job::WallTime written{};  // the epoch: there is none
};
struct PinsIdle {  // that nothing was put into for long
  std::string root;
  std::vector<std::string> pins;
};
using CheckpointEvent = std::variant<HoldAnswered, Found, InboxRequest, PointerHeld, Grew, PinSeen, SaveSeen, PinsIdle>;

struct CheckpointThreadConfig {
  struct Root {
    std::string name, path;
    session::RootPtr root;
  };
  struct Watch {
    WatchConfig config;
    std::set<std::string> known;
  };
  std::vector<Root> roots;
  std::vector<Watch> watches;
  std::optional<uint32_t> group;  // of pins and inboxes
  // How often pins are looked at, the first time so long behind the start, when the inboxes are read; and how old one is that is told.
  Duration pins_every = std::chrono::hours(1), pin_idle = std::chrono::hours(24);
  Clock clock = read_clock;  // of the thread
};

class CheckpointThread {
 public:
  static constexpr Duration kInboxEvery = std::chrono::milliseconds(500);
  static constexpr size_t kGrowingByInotify = 64;  // an instance each, of the 128 that a user has by default; more are looked at without
  static constexpr size_t kPinsIdleMax = 1024;  // told at once, of a root; those behind them at the next look
  static constexpr Duration kEventPause = std::chrono::milliseconds(20);  // between a change that inotify tells and the look

  // Errors: overloaded: no descriptor for the wake-up.
  static Result<std::unique_ptr<CheckpointThread>> start(CheckpointThreadConfig config);
  ~CheckpointThread();

  void order(CheckpointOrder order);
  int wait_fd() const { return event_bell_.fd(); }  // readable when there are events
  std::vector<CheckpointEvent> take_events();
  size_t inbox_pending() const;

 private:
  explicit CheckpointThread(CheckpointThreadConfig config) : config_(std::move(config)) {}
  void run();
  void watch_by_inotify();
  void watch_directories(Time now);
  void take(CheckpointOrder order, Time now);
  void drop(const DropPin& order);
  void look_at_pin(const LookAtPin& order);
  void look_at_save(const LookAtSave& order);
  void hold_pointer(const HoldPointer& order);
  void look_at_holds();
  std::string path_to_watch(const std::string& root_path, const ObjectName& name);
  bool take_growth(CheckpointOrder& order, Time now);
  void look_at_growth(Time now);
  void look_at_watches();
  void look_at_inboxes(Time now);
  void look_at_pins(Time now);
  void say(CheckpointEvent event);
  Time next_look() const;
  void wait_for_work(Time now);
  session::RootPtr root_named(const std::string& name) const;

  CheckpointThreadConfig config_;
  Bell event_bell_;  // for the control thread
  Bell order_bell_;  // for ours
  Descriptor inotify_;

  // Of the thread.
  QuietTimes quiet_;
  std::vector<Holding> holds_;
  std::map<std::string, GrowthWatch> growing_;  // by pin
  std::vector<DirectoryWatch> watches_;
  std::vector<Inbox> inboxes_;
  Time next_inbox_{}, next_pins_ = kNever;
  std::map<std::string, std::string> last_idle_;  // by root, the last pin that was told where there were more
  bool has_told_of_many_ = false;  // in the log
  bool is_stirred_ = false;  // something happened in a watched directory
  std::map<std::string, int> watched_;  // directories, with what inotify calls them

  mutable std::mutex mutex_;
  std::deque<CheckpointOrder> orders_;  // guarded by mutex_, like all that follows
  std::vector<CheckpointEvent> events_;
  size_t inbox_pending_ = 0;
  bool must_end_ = false;
  std::thread thread_;
};

}  // namespace tideway::daemon
