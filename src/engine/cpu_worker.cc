// SPDX-License-Identifier: Apache-2.0
#include "engine/cpu_worker.h"

#include "block/block_head.h"
#include "block/pack.h"
#include "block/unpack.h"

namespace tideway::engine {
namespace {

constexpr size_t kEffortsMax = 256;  // transfers whose compression state is remembered; then all start afresh

}  // namespace

CpuWorker::CpuWorker(Rings& rings, size_t index, BufferPool& pool)
    : rings_(rings), index_(index), pool_(pool) {}

bool CpuWorker::poll() {
  bool worked = pack_one(*rings_.io_cpu[index_]);
  for (auto& of_net : rings_.net_cpu) worked |= unpack_one(*of_net[index_]);
  return worked;
}

bool CpuWorker::is_idle() const {
  for (const auto& of_net : rings_.net_cpu)
    if (!of_net[index_]->received.is_empty()) return false;
  return rings_.io_cpu[index_]->to_pack.is_empty();
}

block::Effort& CpuWorker::effort_of(const BlockToPack& job) {
  if (efforts_.size() > kEffortsMax) efforts_.clear();
  auto& effort = efforts_[job.transfer];
  if (!effort) effort = std::make_unique<block::Effort>(job.effort);
  return *effort;
}

bool CpuWorker::pack_one(IoCpuRings& io) {
  auto job = io.to_pack.pop();
  if (!job) return false;
  block::Effort& effort = effort_of(*job);
  const uint32_t net_worker = net_worker_of(job->lane);
  effort.on_pressure(job->pressure);
  BlockPacked report{.transfer = job->transfer, .lane = job->lane, .key = job->block.key, .segments = {}, .raw_size = job->block.raw_size};
  const bool is_hashed_only = job->use == BlockToPack::Use::kHash;
  if (is_hashed_only) block::hash(job->block);
  if (is_hashed_only || (!job->base.empty() && block::hash_and_compare(job->block, job->base))) {
    report.goes = is_hashed_only ? BlockPacked::Goes::kHashed : BlockPacked::Goes::kNowhere;
    report.segments = std::move(job->block.segments);
    job->block.bytes.reset();
    pass_on(io.packed, std::move(report), *rings_.io_bell);
    return true;
  }
  PackedBlock packed = block::pack(std::move(job->block), codecs_.at(CodecId::kZstd), effort, pool_.take());
  report.segments = block::parse_head(packed.head()).value().segments;
  report.packed_size = packed.length;
  pass_on(rings_.net_cpu[net_worker][index_]->to_send, BlockToSend{job->lane, job->transfer, std::move(packed)}, *rings_.net_bells[net_worker]);
  pass_on(io.packed, std::move(report), *rings_.io_bell);
  return true;
}

bool CpuWorker::unpack_one(NetCpuRings& net) {
  if (pool_.free() == 0) return false;  // none to decompress into: a lane that just ended still has what is ours
  auto received = net.received.pop();
  if (!received) return false;
  const BlockKey key = received->block.key;
  const uint32_t packed_size = received->block.length;
  Buffer scratch;
  if (block::needs_scratch(received->block)) scratch = pool_.take();
  auto unpacked = block::unpack(std::move(received->block), codecs_, std::move(scratch), received->hashes);
  pass_on(rings_.io_cpu[index_]->unpacked,
          BlockUnpacked{received->lane, received->transfer, std::move(unpacked), key, packed_size,
                        net.received.is_empty() ? BlockUnpacked::Behind::kNone : BlockUnpacked::Behind::kMore}, *rings_.io_bell);
  return true;
}

}  // namespace tideway::engine
