// SPDX-License-Identifier: Apache-2.0
#include "ip/outbox.h"

#include <algorithm>

namespace tideway::ip {

std::optional<std::span<std::byte>> Outbox::room() {
  if (count_ == kOutboxFrames) return std::nullopt;
  return frame((first_ + count_) % kOutboxFrames);
}

void Outbox::push(size_t size) {
  TIDEWAY_CHECK(count_ < kOutboxFrames && size > 0 && size <= kOutboxFrameMax);
  sizes_[(first_ + count_) % kOutboxFrames] = size;
  ++count_;
}

std::span<const std::byte> Outbox::front() const {
  if (count_ == 0) return {};
  return std::span(bytes_).subspan(first_ * kOutboxFrameMax, sizes_[first_]);
}

void Outbox::pop() {
  TIDEWAY_CHECK(count_ > 0);
  first_ = (first_ + 1) % kOutboxFrames;
  --count_;
}

bool ReplyLimit::allows(Time now, Use use) const {
  const int burst = use == Use::kEcho ? kBurst - kReserve : kBurst;
  return spent_until_ <= now + (burst - 1) * kInterval;
}

void ReplyLimit::on_reply(Time now) { spent_until_ = std::max(spent_until_, now) + kInterval; }

}  // namespace tideway::ip
