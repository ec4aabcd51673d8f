// SPDX-License-Identifier: Apache-2.0
#include "engine/sync_pace.h"

#include <algorithm>
#include <utility>

namespace tideway::engine {
namespace {

constexpr Duration kBatchTime = std::chrono::milliseconds(500);
constexpr int kRestPerSync = 3;      // at most a quarter of the time goes into syncs
constexpr Bytes kLostMin = 256_MiB;  // so much may be sent twice after a crash, or one second's worth
constexpr Duration kLostTime = std::chrono::seconds(1);
constexpr uint64_t kCreditPart = 2;       // of that; the fastest path needs a round trip's worth, and that is less than half a second

}  // namespace

void SyncPace::on_written(Time now, Bytes bytes) {
  if (open_ == 0_B) opened_at_ = now;
  open_ += bytes;
}

Bytes SyncPace::lost_max() const { return std::max(kLostMin, rate_.over(kLostTime)); }

Bytes SyncPace::credit_max() const { return lost_max() / kCreditPart; }

Bytes SyncPace::written_max() const { return lost_max() - std::min(credit_max(), buffers_); }

bool SyncPace::has_room_for(Bytes bytes) const { return open_ + syncing_ + writing_ + bytes <= written_max(); }

bool SyncPace::wants_sync(Time now) const {
  if (open_ == 0_B) return false;
  if (open_ * 2 >= written_max()) return true;
  return now >= rests_until_ && now - opened_at_ >= kBatchTime;
}

void SyncPace::on_sync_begun(Time now) {
  if (last_began_ != Time{} && now > last_began_) rate_ = Rate::of(open_, now - last_began_);
  last_began_ = sync_began_ = now;
  syncing_ += std::exchange(open_, {});
}

void SyncPace::on_synced(Time now) { rests_until_ = now + (now - sync_began_) * kRestPerSync; }

void SyncPace::on_batch_ended() { syncing_ = {}; }

}  // namespace tideway::engine
