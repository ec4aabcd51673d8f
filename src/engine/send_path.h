// SPDX-License-Identifier: Apache-2.0
//
// A source's way from disk to the cpu worker: scan, tell pages, read leaves into blocks, hand them on, and check each
// object once more when all of it was read. What to do next the transfer's Sender says; this joins it with its store
// and its rings.
// Thread: io worker.
#pragma once
#include "engine/rings.h"
#include "engine/event_outlet.h"
#include "engine/published_entries.h"
#include "mem/buffer_pool.h"
#include "storage/file_source.h"
#include "transfer/sender.h"
#include <tideway/object_store.h>
#include <tideway/time.h>

#include <deque>
#include <memory>
#include <unordered_map>
#include <vector>

namespace tideway::engine {

class SendPath {
 public:
  struct Reads {
    std::unique_ptr<storage::FileSource> store;
    std::vector<Descriptor> holds = {};  // of published trees, see storage/published.h
    std::optional<PublishedEntries> published = {};  // of the only source
  };
  SendPath(StartSource&& start, Reads reads, Rings& rings, BufferPool& pool);

  // One bounded turn; `buffers_max` is this transfer's share. False: nothing to do now.
  bool poll(size_t buffers_max, EventOutlet& events);
  ~SendPath() { lister_.reset(); store_.reset(); }  // before the buffers that its reads go to
  SendPath(const SendPath&) = delete;
  SendPath& operator=(const SendPath&) = delete;

  size_t buffers_out() const { return buffers_out_; }  // read or being read, and not acked
  bool has_reads() const { return !readings_used_.empty() || !closing_.empty(); }

  void on_accepted(const SourceAccepted& accepted);
  void on_grown(std::vector<GrownPart>&& parts);
  void on_peer_message(TransferMessage&& message, EventOutlet& events);
  void on_message_taken() { messages_out_ -= 1; }
  void on_packed(const BlockPacked& packed);
  void on_notice(const BlockNotice& notice);

 private:
  // A block whose leaves are being read.
  struct Reading {
    transfer::BlockPlan plan;
    Buffer buffer;
    size_t lane = 0;           // index of the one it will go to
    size_t submitted = 0, answered = 0;
    std::vector<bool> failed;  // per leaf; empty while none did
  };
  bool scan(EventOutlet& events);
  bool list_grown(EventOutlet& events);
  ManifestEntry entry_of(const GrownPart& part);
  std::optional<size_t> lane_for_next() const;
  bool start_reading(size_t buffers_max);
  bool submit_reads();
  bool take_answers();
  void on_read(Reading& reading, size_t leaf, const Status& status);
  void hand_on(Reading&& reading);
  void take_from_ahead(LaneHandle lane);
  size_t blocks_ahead_max() const;
  size_t blocks_waiting() const;  // of those ahead, packed, for a lane
  bool submit_closes();
  void give_up_rotten(std::span<const block::Segment> segments);
  Status take_held(const messages::ObjectsHeld& held);
  bool is_damaged(const transfer::SenderMessage& message) const;
  bool say(EventOutlet& events);
  void tell_board();
  void fail(const Error& why, EventOutlet& events);

  TransferHandle handle_;
  std::shared_ptr<TransferBoard> board_;
  const StartSource::Held held_;
  const std::vector<Descriptor> holds_;
  std::optional<PublishedEntries> published_;
  std::unique_ptr<storage::FileSource> store_;
  std::unique_ptr<ObjectLister> lister_;
  transfer::Sender sender_;
  Rings& rings_;
  BufferPool& pool_;
  block::EffortConfig effort_;
  StartSource::Content content_;
  std::deque<GrownPart> grown_;           // not listed yet
  uint32_t grown_listed_ = 0;             // with the directory that they lie in
  uint64_t grown_leaves_ = 0;
  std::optional<SourceAccepted> accepted_;
  std::vector<size_t> lanes_ahead_;       // by lane: blocks it has not started
  std::vector<Reading> readings_;         // by the high half of a request's token
  std::vector<uint16_t> readings_used_, readings_free_;
  std::unordered_map<uint32_t, ObjectId> closing_;
  uint32_t next_close_token_;
  std::optional<ObjectId> close_waiting_;  // the store had no room for it
  size_t buffers_out_ = 0;                 // read or being read, and not acked
  size_t blocks_read_ = 0;
  size_t blocks_ahead_ = 0;                // of these, what no lane has started
  // Of the blocks ahead, what waits to be packed. A lane may tell that it started a block before the cpu worker tells
  // that it packed it.
  size_t to_pack_ = 0;
  uint32_t messages_out_ = 0;
  size_t next_cpu_ = 0;
  std::optional<EntryReported> report_waiting_;
  enum class State : uint8_t { kRunning, kDone } state_ = State::kRunning;
};

}  // namespace tideway::engine
