// SPDX-License-Identifier: Apache-2.0
#include "daemon/holding.h"

#include "base/log.h"
#include "storage/pin.h"

#include <algorithm>

namespace tideway::daemon {
namespace {

using checkpoint::Incomplete;
using Outcome = std::variant<Incomplete, Held>;

Bytes bytes_of(const checkpoint::Listing& listing) {
  Bytes bytes;
  for (const checkpoint::File& file : listing.files) bytes += file.size;
  return bytes;
}

// `name`: of the checkpoint.
Result<Spot> spot_in_pin(const storage::RootedDir& root, const std::string& pin, const ObjectName& name) {
  const auto place = storage::open_pin(root, pin, name.last());
  if (!place.ok()) return place.error();
  const ObjectName at = storage::pins_dir().child(pin).value();
  return Spot{root, place.value().name.is_root() ? at : at.child(place.value().name.last()).value(), name};
}

}  // namespace

Result<checkpoint::Listing> list_pin(const storage::RootedDir& root, const std::string& pin, const ObjectName& name) {
  const auto spot = spot_in_pin(root, pin, name);
  return spot.ok() ? list_checkpoint(spot.value()) : Result<checkpoint::Listing>(spot.error());
}

job::WallTime last_written(const checkpoint::Listing& listing) {
  int64_t newest = 0;
  for (const checkpoint::File& file : listing.files) newest = std::max(newest, file.mtime_ns);
  return job::WallTime(std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::nanoseconds(newest)));
}

std::string key_of(const std::string& root, const ObjectName& name) { return root + ':' + to_display(name); }

Status check_owner_of_pin(const storage::RootedDir& root, const std::string& pin, uint32_t owner) {
  const auto made_by = storage::owner_of_pin(root, pin);
  if (!made_by.ok()) return made_by.error();
  if (owner == 0 || made_by.value() == owner) return success();
  return Error{Fault::kDenied, "the pin " + to_display(pin) + " is somebody else's", "name one that you made"};
}

HoldOutcome Holding::wait(Incomplete why, Time now) {
  if (now - begun_ > kIncompleteMax)
    return Error{Fault::kNotComplete, key_of(order_.root, order_.name) + " is not complete after hours: " + why.detail, "see what the trainer says of it"};
  next_ = now + std::clamp((now - begun_) / 5, kLookMin, kLookMax);
  return Outcome(std::move(why));
}

HoldOutcome Holding::look(QuietTimes& quiet, const Clock& clock) {
  const Time now = clock();
  if (order_.by == HoldOrder::Pin::kByTrainer) return look_at_pin(now);
  const auto listing = list_checkpoint(original());
  if (!listing.ok()) return listing.error();
  const auto [unchanged, came] = quiet.take(key_of(order_.root, order_.name), listing.value(), {now, clock()});
  const auto assessed = assess_there(original(), listing.value(), {order_.format, unchanged, order_.settle, came});
  if (!assessed.ok()) return assessed.error();
  if (const auto* why = std::get_if<Incomplete>(&assessed.value())) return wait(*why, now);
  auto held = hold(std::get<checkpoint::Complete>(assessed.value()), listing.value());
  if (held.ok() && std::holds_alternative<Incomplete>(held.value())) return wait(std::get<Incomplete>(held.value()), now);
  quiet.forget(key_of(order_.root, order_.name));
  return held;
}

// The files of a pin stand still, but for large ones that are rewritten under their other name.
HoldOutcome Holding::look_at_pin(Time now) {
  if (Status status = check_owner_of_pin(*root_, order_.pin, order_.owner); !status.ok()) return std::move(status).error();
  const auto spot = spot_in_pin(*root_, order_.pin, order_.name);
  if (!spot.ok()) return spot.error();
  const auto listing = list_checkpoint(spot.value());
  if (!listing.ok()) return listing.error();
  const checkpoint::Pieces pieces = read_pieces(spot.value(), listing.value());
  const auto assessed = checkpoint::assess({listing.value(), pieces}, order_.format, {checkpoint::Quiet::Source::kHook, {}, {}});
  if (!assessed.ok()) return assessed.error();
  if (const auto* why = std::get_if<Incomplete>(&assessed.value())) return wait(*why, now);
  sync(storage::pins_dir().child(order_.pin).value());
  return Outcome(Held{job::Hold::kPinned, std::get<checkpoint::Complete>(assessed.value()).pointers, bytes_of(listing.value()), "", last_written(listing.value())});
}

Spot Holding::pinned(const checkpoint::Listing& listing) const {
  const ObjectName at = storage::pins_dir().child(order_.pin).value();
  return {*root_, listing.is_file() ? at.child(order_.name.last()).value() : at, order_.name};
}

// From here on it counts, and the trainer may remove what a pin holds. What could not be put on stable storage is sent all the same: it is what there is.
void Holding::sync(const ObjectName& held) const {
  const Status synced = storage::sync_tree(*root_, held);
  if (!synced.ok()) log::warning("pin_not_synced", "place=\"" + key_of(order_.root, held) + "\" why=\"" + synced.error().what + '"');
}

HoldOutcome Holding::hold(const checkpoint::Complete& complete, const checkpoint::Listing& listing) {
  auto held = pin(listing);
  if (!held.ok()) return held;
  if (auto* one = std::get_if<Held>(&held.value())) {
    one->pointers = complete.pointers;
    one->bytes = bytes_of(listing);
    one->written = last_written(listing);
  }
  return held;
}

HoldOutcome Holding::pin(const checkpoint::Listing& listing) {
  auto made = storage::make_pin(*root_, order_.name, order_.pin);
  if (!made.ok() && made.error().fault == Fault::kDestExists) {  // by us, before a crash; whether it is whole is looked at
    if (Status dropped = storage::drop_pin(*root_, order_.pin); !dropped.ok()) return std::move(dropped).error();
    made = storage::make_pin(*root_, order_.name, order_.pin);
  }
  const auto after = list_checkpoint(original());
  const bool is_same = after.ok() && after.value() == listing;
  if (!made.ok() && is_same) {
    sync(order_.name);
    return Outcome(Held{job::Hold::kInPlace, {}, {}, made.error().what, {}});
  }
  const auto in_pin = made.ok() ? list_checkpoint(pinned(listing)) : Result<checkpoint::Listing>(made.error());
  if (is_same && in_pin.ok() && in_pin.value() == listing) {
    sync(storage::pins_dir().child(order_.pin).value());
    return Outcome(Held{});
  }
  if (Status dropped = storage::drop_pin(*root_, order_.pin); !dropped.ok()) return std::move(dropped).error();
  if (!after.ok()) return after.error();
  return Outcome(Incomplete{"changing", "it changed while it was pinned"});
}

}  // namespace tideway::daemon
