// SPDX-License-Identifier: Apache-2.0
//
// Brings one checkpoint from "somebody spoke of it" to "it is complete and held": looks until its rule holds, pins it, and looks
// again, for nothing may have changed between the first look and the pin.
// Thread: checkpoints; it blocks on the disk. The clock is an argument: a look takes as long as the disk does.
#pragma once
#include "daemon/checkpoint_look.h"
#include "job/job.h"
#include "session/roots.h"

#include <optional>
#include <string>
#include <vector>

namespace tideway::daemon {

// What is never complete is given up after so long: an asynchronous save of terabytes takes most of an hour.
inline constexpr Duration kIncompleteMax = std::chrono::hours(6);
inline constexpr Duration kLookMin = std::chrono::milliseconds(100), kLookMax = std::chrono::seconds(2);  // between two looks

struct HoldOrder {
  std::string pin;            // what it is to be called, and is if the trainer made it
  std::string root;
  ObjectName name;            // of the checkpoint, below the root
  checkpoint::Format format;
  Duration settle = checkpoint::kSettleDefault;
  enum class Pin : uint8_t { kToBeMade, kByTrainer } by = Pin::kToBeMade;
  uint32_t owner = 0;         // uid that must own a pin of kByTrainer; 0 may take any
};

struct Held {
  job::Hold hold = job::Hold::kPinned;
  std::vector<std::string> pointers;
  Bytes bytes;
  std::string unpinned_why = {};   // of kInPlace
  job::WallTime written{};         // by the clock of whoever did, the newest of its files
};
// Nothing yet: `Incomplete`. Errors: it will never be: not_complete, source_missing, denied, usage.
using HoldOutcome = Result<std::variant<checkpoint::Incomplete, Held>>;

class Holding {
 public:
  Holding(HoldOrder order, session::RootPtr root, Time now) : order_(std::move(order)), root_(std::move(root)), begun_(now) {}
  const HoldOrder& order() const { return order_; }
  HoldOutcome look(QuietTimes& quiet, const Clock& clock);
  Time next_look() const { return next_; }

 private:
  HoldOutcome look_at_pin(Time now);
  HoldOutcome hold(const checkpoint::Complete& complete, const checkpoint::Listing& listing);
  HoldOutcome pin(const checkpoint::Listing& listing);
  void sync(const ObjectName& held) const;
  HoldOutcome wait(checkpoint::Incomplete why, Time now);
  Spot original() const { return {*root_, order_.name, order_.name}; }
  Spot pinned(const checkpoint::Listing& listing) const;

  HoldOrder order_;
  session::RootPtr root_;
  Time begun_, next_{};
};

// `owner`: uid that must have made it; 0: anybody may. Errors: source_missing, denied.
Status check_owner_of_pin(const storage::RootedDir& root, const std::string& pin, uint32_t owner);

// Of what a pin holds of the checkpoint `name`. Errors: those of open_pin and list_checkpoint.
Result<checkpoint::Listing> list_pin(const storage::RootedDir& root, const std::string& pin, const ObjectName& name);

// When the newest of its files was written; the epoch: there is none.
job::WallTime last_written(const checkpoint::Listing& listing);

std::string key_of(const std::string& root, const ObjectName& name);  // for QuietTimes

}  // namespace tideway::daemon
