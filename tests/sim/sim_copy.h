// SPDX-License-Identifier: Apache-2.0
//
// One run of a copy between two whole gateways' io and cpu workers, in one thread and virtual time: a real tree is read, packed,
// carried, unpacked, written, synced and published below real folders. The control channel and the lanes between them are
// played here: blocks arrive in any order, late, and damaged where a fault is drawn behind the seal. What lies beneath is the
// test's business: a SimDisk may fail or lose power under it.
// Thread: one.
#pragma once
#include "base/random.h"
#include "engine/cpu_worker.h"
#include "engine/io_worker.h"

#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>

namespace tideway::test {

struct SimCopyConfig {
  std::filesystem::path source, root;    // the tree, or what it lies in; the destination's root
  std::string source_name = "";          // in `source`
  std::string destination = "out";
  messages::TransferOptions options;
  engine::StartSink::Base base = engine::StartSink::Base::kNone;
  std::shared_ptr<const engine::RepairOrder> repair = {};  // set: what was published at the destination is mended
  uint64_t lease_epoch = 0;              // of the sink
  transfer::BootId boot{std::byte{1}};   // of its host
  uint64_t seed = 1;
  double damaged = 0;                    // per block
  uint32_t late_max = 0;                 // turns that a block may be under way
  uint64_t silent_from = UINT64_MAX;     // from that turn on nothing that the source says arrives, but its blocks do
  Duration turn = std::chrono::milliseconds(100);
  std::function<std::unique_ptr<storage::IoQueue>()> queue = {};  // of either end; none: plain calls
};

class SimCopy {
 public:
  explicit SimCopy(const SimCopyConfig& config);
  ~SimCopy();
  SimCopy(const SimCopy&) = delete;
  SimCopy& operator=(const SimCopy&) = delete;

  // Until it is over, `goes_on` says no, or nothing came of `turns_max` turns. The sink's end of it, if it came to one.
  using Outcome = std::optional<Result<engine::TransferDone::Outcome>>;
  const Outcome& run(const std::function<bool()>& goes_on, int turns_max = 20'000);
  // What was kept of it, for another run; nothing when the process of the sink died instead.
  void end();

  uint64_t turns() const { return turns_; }
  const std::vector<Error>& reported() const { return reported_; }  // entries that failed or were left out, at either end
  uint64_t publishes_lost() const { return sink_.io->board().publishes_lost.get(); }  // before its end
  Bytes bytes_read() const { return Bytes(source_.board->bytes_raw.get()); }  // at the source, to be sent
  uint64_t leaves_rejected() const { return sink_.board->leaves_rejected.get(); }
  Bytes bytes_held() const { return Bytes(source_.board->bytes_held.get()); }

 private:
  // What takes long to make, and is as new after a run.
  struct Base {
    std::unique_ptr<BufferPool> pool;
    std::unique_ptr<engine::Doorbell> bell;
    std::unique_ptr<engine::Rings> rings;
    std::unique_ptr<engine::CpuWorker> cpu;
  };
  struct Side : Base {
    std::unique_ptr<engine::IoWorker> io;
    std::shared_ptr<engine::TransferBoard> board;
  };
  struct Flying {
    uint64_t due;
    PackedBlock block;
  };
  static std::vector<Base>& spare();
  static Base make_base();
  static void empty(engine::Rings& rings);
  void make_side(Side& side);
  void start();
  void turn();
  void take_events(Side& from);
  void carry_blocks();
  void tell(Side& side, engine::IoCommand command) { TIDEWAY_CHECK(side.rings->io_control.commands.push(std::move(command))); }
  void notice(BlockId block, engine::BlockNotice::Kind kind);

  const SimCopyConfig config_;
  const engine::TransferHandle handle_;
  Random random_;
  Side source_, sink_;
  std::deque<Flying> flying_;
  size_t credit_ = 0;  // blocks that the sink may still be given
  Time now_{};
  uint64_t turns_ = 0;
  std::vector<Error> reported_;
  Outcome outcome_;
};

}  // namespace tideway::test
