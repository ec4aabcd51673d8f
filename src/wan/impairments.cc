// SPDX-License-Identifier: Apache-2.0
#include "wan/impairments.h"

#include <tideway/check.h>

namespace tideway::wan {
namespace {

constexpr size_t kFrameHeader = 14;
constexpr uint8_t kEcnMask = 3;  // the low bits of the traffic class; both set: congestion experienced (RFC 3168)

uint16_t read_u16(std::span<const std::byte> bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<unsigned>(bytes[at]) << 8 | static_cast<unsigned>(bytes[at + 1]));
}

void write_u16(std::span<std::byte> bytes, size_t at, uint32_t value) {
  bytes[at] = static_cast<std::byte>(value >> 8);
  bytes[at + 1] = static_cast<std::byte>(value);
}

bool mark_ipv4(std::span<std::byte> packet) {
  constexpr size_t kHeader = 20, kChecksumAt = 10;
  if (packet.size() < kHeader) return false;
  const uint16_t before = read_u16(packet, 0);
  if ((before & kEcnMask) == 0) return false;
  const auto after = static_cast<uint16_t>(before | kEcnMask);
  write_u16(packet, 0, after);
  // Incremental update (RFC 1624, equation 3).
  uint32_t sum = uint16_t(~read_u16(packet, kChecksumAt)) + uint32_t{uint16_t(~before)} + after;
  sum = (sum & 0xFFFF) + (sum >> 16);
  sum = (sum & 0xFFFF) + (sum >> 16);
  write_u16(packet, kChecksumAt, ~sum & 0xFFFF);
  return true;
}

bool mark_ipv6(std::span<std::byte> packet) {
  constexpr size_t kHeader = 40;
  constexpr unsigned kEcnShift = 4;  // the field straddles two bytes: version 4, class 8, flow label 20
  if (packet.size() < kHeader) return false;
  const uint16_t first = read_u16(packet, 0);
  if ((first >> kEcnShift & kEcnMask) == 0) return false;
  write_u16(packet, 0, first | uint32_t{kEcnMask} << kEcnShift);
  return true;
}

}  // namespace

bool Windows::covers(Duration age) const {
  if (length.count() <= 0 || age < from) return false;
  const Duration since = age - from;
  return (every.count() > 0 ? since % every : since) < length;
}

LossProcess::LossProcess(double share, double burst) : share_(share), is_bursty_(burst > 1) {
  TIDEWAY_CHECK(share >= 0 && share <= 1 && burst >= 1);
  if (!is_bursty_ || share >= 1) return;
  to_good_ = 1 / burst;
  // Balance: the share of time in the bad state is to_bad / (to_bad + to_good).
  to_bad_ = to_good_ * share / (1 - share);
}

bool LossProcess::next_is_lost(Random& random) {
  if (share_ <= 0) return false;
  if (!is_bursty_ || share_ >= 1) return random.happens(share_);
  is_bad_ = is_bad_ ? !random.happens(to_good_) : random.happens(to_bad_);
  return is_bad_;
}

Duration JitterProcess::at(Duration age, Random& random) {
  if (jitter_.count() <= 0) return Duration(0);
  const Duration period = jitter_ * kPeriods;
  if (!has_target_ || age >= period_start_ + period) {
    from_ = to_;
    to_ = Duration(static_cast<int64_t>(random.below(static_cast<uint64_t>(jitter_.count()) + 1)));
    period_start_ = age;
    has_target_ = true;
  }
  const double share = static_cast<double>((age - period_start_).count()) / static_cast<double>(period.count());
  return from_ + Duration(static_cast<int64_t>(static_cast<double>((to_ - from_).count()) * share));
}

void flip_bits(std::span<std::byte> bytes, uint64_t choice) {
  if (bytes.empty()) return;
  Random random(choice);
  for (uint64_t left = 1 + random.below(4); left > 0; --left)
    bytes[random.below(bytes.size())] ^= static_cast<std::byte>(1U << random.below(8));
}

bool mark_congestion(std::span<std::byte> frame) {
  if (frame.size() < kFrameHeader) return false;
  switch (read_u16(frame, kFrameHeader - 2)) {
    case 0x0800: return mark_ipv4(frame.subspan(kFrameHeader));
    case 0x86DD: return mark_ipv6(frame.subspan(kFrameHeader));
    default: return false;
  }
}

}  // namespace tideway::wan
