// SPDX-License-Identifier: Apache-2.0
#include "flow/ack_ranges.h"

#include <tideway/check.h>

#include <algorithm>
#include <bit>

namespace tideway::flow {

AckRanges::AckRanges(size_t bits) : words_(bits / 64), mask_(bits - 1) {
  TIDEWAY_CHECK(std::has_single_bit(bits) && bits >= kBitsMin);
}

bool AckRanges::is_new(uint64_t number) const {
  if (number >= next_) return true;
  return next_ - number <= mask_ + 1 && !bit(number);
}

bool AckRanges::on_received(uint64_t number) {
  if (next_ == 0) report_floor_ = number - std::min<uint64_t>(number, kBitsMin);  // a few may come late even then
  if (number >= next_) {
    if (next_ != 0) clear_from_to(next_, number + 1);
    next_ = number + 1;
  } else if (!is_new(number)) {
    return false;
  }
  words_[(number & mask_) >> 6] |= uint64_t{1} << (number & 63);
  return true;
}

void AckRanges::clear_from_to(uint64_t first, uint64_t end) {
  if (end - first > mask_) {
    std::ranges::fill(words_, 0);
    return;
  }
  while (first < end) {
    const uint64_t in_word = std::min<uint64_t>(64 - (first & 63), end - first);
    const uint64_t ones = in_word == 64 ? ~uint64_t{0} : ((uint64_t{1} << in_word) - 1) << (first & 63);
    words_[(first & mask_) >> 6] &= ~ones;
    first += in_word;
  }
}

void AckRanges::forget_below(uint64_t number) { report_floor_ = std::max(report_floor_, std::min(number, next_)); }

uint64_t AckRanges::floor() const {
  const uint64_t kept = next_ > mask_ + 1 ? next_ - mask_ - 1 : 0;
  return std::max(kept, report_floor_);
}

uint64_t AckRanges::find_down(uint64_t from, uint64_t floor, Looking looking) const {
  const uint64_t flip = looking == Looking::kThere ? 0 : ~uint64_t{0};
  uint64_t at = from;
  while (at + 1 > floor) {
    const unsigned position = at & 63;
    const uint64_t wanted = (words_[(at & mask_) >> 6] ^ flip) << (63 - position);
    if (wanted != 0) {
      const auto skip = static_cast<uint64_t>(std::countl_zero(wanted));
      return skip > at - floor ? floor - 1 : at - skip;
    }
    if (at - floor < position + 1U) break;
    at -= position + 1U;
  }
  return floor - 1;
}

uint64_t AckRanges::collect(wire::AckFrame& frame, uint64_t from, size_t limit) const {
  const uint64_t stop = frame.floor - 1;  // wraps to the largest value when the floor is 0, and compares equal all the same
  uint64_t at = from;
  while (frame.ranges_count < limit && at != stop) {
    const uint64_t last = find_down(at, frame.floor, Looking::kThere);
    if (last == stop) return stop;
    at = find_down(last, frame.floor, Looking::kMissing);
    frame.ranges[frame.ranges_count++] = {at + 1, last};
  }
  return at;
}

void AckRanges::write(wire::AckFrame& frame) {
  frame.largest = largest();
  frame.floor = floor();
  frame.ranges_count = 0;
  const uint64_t stop = frame.floor - 1;
  uint64_t at = frame.floor > frame.largest ? stop : collect(frame, frame.largest, kNewestAlways);
  if (at == stop) {
    rotate_from_ = 0;
    return;
  }
  if (rotate_from_ != 0 && rotate_from_ < at && rotate_from_ >= frame.floor) at = rotate_from_;
  at = collect(frame, at, wire::kAckRangesMax);
  rotate_from_ = at == stop ? 0 : at;
}

}  // namespace tideway::flow
