// SPDX-License-Identifier: Apache-2.0
#include "direction.h"

#include "base/amounts.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace tideway::wan {
namespace {

constexpr size_t kEthernetHeaderSize = 14;
constexpr size_t kFramesPerTurn = 512;   // of one direction, so that the other gets its turn
constexpr Duration kSendPause = std::chrono::microseconds(50);
// The far end of a virtual interface takes 256 frames and then refuses until its reader gets a core: wait up to 20 ms.
constexpr int kSendTries = 400;
constexpr Bytes kStoreMin = 8_MiB;       // what arrives between two turns
constexpr Bytes kStoreMax = Bytes(uint64_t{4} << 30);
constexpr Rate kUnlimitedAssumed = 10_Gbit;  // no rate given: more than two packet sockets carry on one core
constexpr Duration kUnlimitedSlack = std::chrono::milliseconds(20);

// Everything the link may hold at once. The factor covers the store's own overhead for the smallest frames, 128 bytes for a
// frame that is charged 84.
Bytes store_size(const LinkConfig& config) {
  const bool limited = !config.rate.is_unlimited();
  const Rate rate = limited ? config.rate : kUnlimitedAssumed;
  Duration held = config.delay + config.impairments.jitter + config.impairments.reorder.extra_max;
  if (!limited) held += kUnlimitedSlack;
  const Bytes queue = limited ? queue_limit(config) : Bytes();
  return kStoreMin + (rate.over(held) + std::min(queue, kStoreMax)) * 8 / 5;
}

}  // namespace

Result<Direction> Direction::make(Time start, Port& from, Port& to, const LinkModel& model) {
  const Bytes size = store_size(model.config());
  if (size > kStoreMax)
    return Error{Fault::kConfigInvalid,
                 "the link from " + from.interface() + " would hold up to " + to_string(size) + " at once, more than " +
                     to_string(kStoreMax),
                 "lower --rate, --delay or --queue"};
  return Direction(start, from, to, model);
}

Direction::Direction(Time start, Port& from, Port& to, const LinkModel& model)
    : from_(from), to_(to), model_(model), store_(store_size(model.config())), arrived_last_(start) {}

size_t Direction::receive(Time now, Duration wall_offset) {
  size_t taken = 0;
  for (; taken < kFramesPerTurn; ++taken) {
    const auto frame = from_.receive();
    if (!frame) break;
    // The kernel stamps wall time, which somebody may set; so it counts only between the last frame and now.
    const Time stamped = Time(frame->wall_time - wall_offset);
    arrived_last_ = std::clamp(stamped, arrived_last_, std::max(now, arrived_last_));
    forward(arrived_last_, *frame);
    from_.release();
  }
  return taken;
}

void Direction::forward(Time arrived, const ReceivedFrame& frame) {
  if (frame.bytes.size() < kEthernetHeaderSize) return;
  if (frame.wire_size > frame.bytes.size() || frame.size() > from_.frame_max()) {
    ++mistakes_.superframes;
    return;
  }
  mistakes_.checksums_missing += frame.is_checksum_missing;
  const Fate fate = model_.offer(arrived, Bytes(frame.size()));
  if (fate.dropped) return;
  for (uint8_t copy = 0; copy < fate.copies; ++copy)
    if (!keep(frame, fate)) ++mistakes_.store_full;
}

bool Direction::keep(const ReceivedFrame& frame, const Fate& fate) {
  const auto room = store_.add(fate.deliver_at, frame.size(), fate.is_reordered ? Order::kOvertaken : Order::kKept);
  if (!room) return false;
  frame.copy_to(*room);
  if (fate.is_ce_marked) mark_congestion(*room);
  if (fate.flip) flip_bits(room->subspan(kEthernetHeaderSize), *fate.flip);
  return true;
}

void Direction::transmit(Time now, Time due_until) {
  std::array<std::span<std::byte>, kSendMax> batch;
  for (size_t left = kFramesPerTurn; left > 0;) {
    size_t count = 0;
    for (; count < std::min(kSendMax, left); ++count) {
      const Time due = store_.next_deadline();
      const auto frame = store_.front(due_until);
      if (!frame) break;
      lateness_.sum += now - due;
      lateness_.max = std::max(lateness_.max, now - due);
      ++lateness_.frames;
      batch[count] = *frame;
      if (bins_ != nullptr) bins_->count(due, way_, *frame);
      store_.pop();  // the bytes stay as they are until the next add()
    }
    if (count == 0) return;
    send_all(std::span(batch).first(count));
    left -= count;
  }
}

void Direction::send_all(std::span<const std::span<std::byte>> frames) {
  for (int tries = kSendTries; !frames.empty();) {
    const size_t sent = to_.send(frames);
    frames = frames.subspan(sent);
    if (sent > 0 || frames.empty()) continue;
    if (errno == EINTR) continue;
    if ((errno == EAGAIN || errno == ENOBUFS) && tries-- > 0) {
      const timespec pause{0, static_cast<long>(kSendPause.count())};
      ::nanosleep(&pause, nullptr);
      continue;
    }
    ++mistakes_.sends_refused;
    frames = frames.subspan(1);
  }
}

const Mistakes& Direction::mistakes() {
  mistakes_.ring_drops += from_.take_ring_drops();
  return mistakes_;
}

}  // namespace tideway::wan
