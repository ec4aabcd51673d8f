// SPDX-License-Identifier: Apache-2.0
//
// When a sink syncs what it has written, and how much of a transfer may be begun and not durable: what is lost with the process
// is sent again. That is at most 256 MiB, or what comes in one second, and it has two parts:
//
//   credit    what the source may have begun and is not written yet: on its way, in block buffers, being written. At most half
//   written   what no sync has covered: the rest
//
// A block goes from the first part to the second when it is written; its credit is given anew up to the ceiling of the
// first, and the next one is written while the second has room.
// Thread: io worker. Pure.
#pragma once
#include <tideway/time.h>
#include <tideway/units.h>

namespace tideway::engine {

class SyncPace {
 public:
  // What block buffers of this process can hold: what credit cannot take, writing may.
  void set_buffers(Bytes receiving) { buffers_ = receiving; }

  void on_write_begun(Bytes bytes) { writing_ += bytes; }
  void on_write_ended(Bytes bytes) { writing_ -= bytes; }
  void on_written(Time now, Bytes bytes);
  bool wants_sync(Time now) const;
  bool has_room_for(Bytes bytes) const;  // to write a block now; else a sync has to end first
  Bytes writing() const { return writing_; }  // of blocks that are being written
  Bytes undurable() const { return open_ + syncing_; }
  Bytes credit_max() const;
  void on_sync_begun(Time now);
  void on_synced(Time now);  // the next one waits for a while
  void on_batch_ended();     // and so much less would be lost

 private:
  Bytes lost_max() const;
  Bytes written_max() const;
  Bytes buffers_, writing_, open_, syncing_;
  Time opened_at_ = kNever, sync_began_{}, last_began_{}, rests_until_{};
  Rate rate_;  // between the last two syncs
};

}  // namespace tideway::engine
