// SPDX-License-Identifier: Apache-2.0
//
// One end of a bench of the data path: a net worker as an engine runs it, and in place of storage,
// cpu workers and a peer's control channel somebody who does nothing that costs. A source offers
// packed blocks that lie in memory, again and again; a sink takes complete ones, holds a few as
// those behind it would, and gives their buffers back. Keys come from a schedule that both ends
// know.
//
// Both ends walk through more memory than a cache holds, because blocks of a gateway do so too.
// Thread: whoever polls it; create() may run elsewhere.
#pragma once
#include <tideway/packet_io.h>
#include "congestion/registry.h"
#include "crypto/key_schedule.h"
#include "engine/net_worker.h"
#include "engine/rings.h"
#include "mem/buffer_pool.h"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <vector>

namespace tideway::engine {

inline constexpr uint32_t kPathSourceBlocks = 16;  // offered at any time: 64 MiB
inline constexpr size_t kPathBlocksHeld =
    8;  // by a sink, for those that would unpack and write them
inline constexpr uint32_t kPathSinkBuffers =
    64;  // credit for one lane of a worker takes at most half

// What the blocks of a bench hold: the same random bytes, and in front of them the block's number.
class PathPattern {
 public:
  explicit PathPattern(uint64_t seed);
  void fill(PackedBlock& block) const;
  static void number(PackedBlock& block);  // writes it into a block that was filled
  bool matches(const PackedBlock& block) const;
  uint32_t length() const { return static_cast<uint32_t>(bytes_.size()); }

 private:
  std::vector<std::byte> bytes_;
};

struct PathEndConfig {
  enum class Role : uint8_t { kSource, kSink } role = Role::kSource;
  Endpoint local;  // of the backend; the port is picked
  uint32_t flows = 1;
  Bytes mtu = Bytes(1500);
  congestion::ControllerEntry controller;
  Rate rate = Rate::unlimited();
  Gates* gates = nullptr;  // the first stands before its lane; null: none. They outlive the end
  const PathPattern* pattern = nullptr;                               // outlives the end
  enum class Check : uint8_t { kLast, kEvery } check = Check::kLast;  // of the blocks that arrive
};

struct PathCounts {
  uint64_t blocks = 0;   // complete at the sink, acked at the source
  Bytes payload;         // of them, without heads
  uint64_t damaged = 0;  // of those that were checked
};

class PathEnd {
 public:
  // Errors: no_memory, overloaded (out of descriptors).
  static Result<std::unique_ptr<PathEnd>> create(const PathEndConfig& config,
                                                 std::unique_ptr<PacketIo> io);

  // In this order. Errors: those of the backend's open_path.
  Result<std::vector<BoundPort>> bind(Time now);
  Status open(Time now, const std::vector<BoundPort>& theirs);
  bool poll(Time now);   // false: there was nothing to do
  void close(Time now);  // looks at the last block that arrived

  // Behind the turn of `now`: sleeps until its backend has something or next_look() comes, as engine's workers
  // do. Where a backend must be polled it only lets others have the core, which costs next to nothing
  // when nobody wants it.
  void rest(Time now);
  // As the worker's, and at once where blocks wait for it, for which an engine's others would ring.
  Time next_look(Time now) const { return worker_->has_commands() ? now : worker_->next_look(now); }
  bool is_woken() const { return !worker_->is_polled(); }  // by its backend
  PathCounts counts() const { return counts_; }
  const LaneBoard& board() const { return *board_; }  // as of up to 100 ms ago
  const std::optional<Error>& failure() const { return failure_; }

 private:
  PathEnd(const PathEndConfig& config, std::unique_ptr<BufferPool> pool,
          std::unique_ptr<Doorbell> bell);
  void start(std::unique_ptr<PacketIo> io);
  bool is_source() const { return config_.role == PathEndConfig::Role::kSource; }
  void command(NetCommand command);
  OpenFlow flow(uint16_t number, const BoundPort& theirs);
  std::unique_ptr<Aead> next_key(FlowId flow, KeyDirection direction);
  void obey_events();
  bool offer_blocks();
  bool take_blocks();
  void take(PackedBlock&& block);
  void check_last();

  const PathEndConfig config_;
  std::unique_ptr<BufferPool> pool_;
  std::unique_ptr<Doorbell> bell_;
  Rings rings_;
  NetBoard net_board_;
  std::unique_ptr<NetWorker> worker_;
  std::shared_ptr<LaneBoard> board_;
  crypto::KeySchedule schedule_;
  std::map<std::pair<FlowId, KeyDirection>, crypto::FlowSecret>
      secrets_;  // of the newest key that was made
  std::vector<BoundPort> ours_;
  uint32_t next_block_ = 0;
  std::deque<PackedBlock> held_;
  PathCounts counts_;
  std::optional<Error> failure_;
};

}  // namespace tideway::engine
