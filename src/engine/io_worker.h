// SPDX-License-Identifier: Apache-2.0
//
// Home of the transfers: each one's scan, reads, writes, hashes and publish happen here, in bounded turns, so that a
// slow one does not hold up the others. It owns the queue to the disk.
// Thread: io worker.
#pragma once
#include "engine/event_outlet.h"
#include "engine/gather_path.h"
#include "engine/layout.h"
#include "engine/receive_path.h"
#include "engine/send_path.h"
#include "storage/io_queue.h"

#include <map>
#include <memory>
#include <variant>

namespace tideway::engine {

class IoWorker {
 public:
  IoWorker(const Layout& layout, std::unique_ptr<storage::IoQueue> queue, Rings& rings, BufferPool& pool);

  const IoBoard& board() const { return board_; }

  bool poll(Time now);  // false: there was nothing to do
  // How long it may sleep without a ring: a moment while the disk is at work.
  Duration nap() const;
  bool has_commands() const;

 private:
  bool obey();
  void obey(StartSource&& start);
  void obey(StartSink&& start);
  void obey(SourceAccepted&& accepted);
  void obey(FromPeer&& message);
  void obey(MessageTaken&& taken);
  void obey(EndTransfer&& end);
  void obey(Grown&& grown);
  void obey(RemoveTree&& remove);
  void obey(EndGather&& end);
  GatherPath* gather_of(TransferHandle transfer);
  Status check_room_for(const ReceivePath& path, const TransferMessage& message) const;
  bool take_blocks();

  const Layout layout_;
  std::unique_ptr<storage::IoQueue> queue_;
  Rings& rings_;
  BufferPool& pool_;
  LeafBuffers leaf_buffers_;
  StagingBook staging_book_;
  IoBoard board_;
  EventOutlet events_;
  Time now_{};  // of this turn
  std::map<TransferHandle, std::unique_ptr<SendPath>> sending_;
  std::map<TransferHandle, std::unique_ptr<ReceivePath>> receiving_;
  std::map<GatherHandle, std::unique_ptr<GatherPath>> gathering_;
};

}  // namespace tideway::engine
