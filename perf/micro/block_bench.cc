// SPDX-License-Identifier: Apache-2.0
//
// What a cpu worker does with a block: hash, pack, unpack, and its head. `text` is 1 for bytes that compress, 0 for random ones.
#include "base/random.h"
#include "block/block_head.h"
#include "block/pack.h"
#include "block/unpack.h"
#include "digest/leaf_hash.h"
#include "limits.h"
#include "mem/buffer_pool.h"

#include <array>
#include <string_view>

namespace tideway::block {
namespace {

constexpr size_t kLeaf = 4 << 20;

// Words in random order, or random bytes.
void fill(std::span<std::byte> bytes, int64_t text) {
  static constexpr std::array<std::string_view, 12> kWords = {"tide ", "wave ", "moon ", "harbour ", "gull ", "salt ",
                                                             "ebb ", "flow ", "lock ", "keel ", "rope ", "anchor "};
  Random random(1);
  for (size_t at = 0; at < bytes.size();) {
    if (text == 0) {
      bytes[at++] = static_cast<std::byte>(random.next());
      continue;
    }
    const std::string_view word = kWords[random.below(kWords.size())];
    for (size_t i = 0; i < word.size() && at < bytes.size(); ++i) bytes[at++] = static_cast<std::byte>(word[i]);
  }
}

void hash_leaf(benchmark::State& state) {
  std::vector<std::byte> leaf(static_cast<size_t>(state.range(0)));
  fill(leaf, 0);
  for (auto _ : state) {
    auto hash = digest::leaf_hash(leaf);
    benchmark::DoNotOptimize(hash);
  }
  perf::count(state, 1, leaf.size());
}
BENCHMARK(hash_leaf)->ArgName("size")->Arg(64)->Arg(1408)->Arg(8896)->Arg(64 << 10)->Arg(kLeaf);

void copy_leaf(benchmark::State& state) { perf::copy_whole(state, static_cast<size_t>(state.range(0))); }
BENCHMARK(copy_leaf)->ArgName("size")->Arg(64)->Arg(1408)->Arg(8896)->Arg(64 << 10)->Arg(kLeaf);

// Fills a block anew: packing takes the one before away. The filling is not timed.
RawBlock make_block(BufferPool& pool, std::span<const std::byte> bytes, size_t segments) {
  RawBlock block{.key = {SlotId(1), BlockId(1)}, .segments = {}, .bytes = pool.take(), .raw_size = static_cast<uint32_t>(bytes.size())};
  const auto each = static_cast<uint32_t>(bytes.size() / segments);
  for (uint32_t i = 0; i < segments; ++i) block.segments.push_back({.object = ObjectId(i), .length = each});
  std::memcpy(block.bytes.data().data(), bytes.data(), bytes.size());
  return block;
}

struct Bench {
  explicit Bench(benchmark::State& state) : segments(static_cast<size_t>(state.range(1))), bytes(kLeaf) { fill(bytes, state.range(0)); }
  PackedBlock pack_one(RawBlock raw) { return pack(std::move(raw), codecs.at(CodecId::kZstd), effort, pool->take()); }

  size_t segments;
  std::vector<std::byte> bytes;
  std::unique_ptr<BufferPool> pool = BufferPool::create(4).value();
  codec::CodecSet codecs;
  Effort effort{EffortConfig{}};
};

void pack_block(benchmark::State& state) {
  Bench bench(state);
  size_t packed_size = 0;
  for (auto _ : state) {
    state.PauseTiming();
    RawBlock raw = make_block(*bench.pool, bench.bytes, bench.segments);
    state.ResumeTiming();
    packed_size = bench.pack_one(std::move(raw)).length;
  }
  state.counters["ratio"] = static_cast<double>(kLeaf) / static_cast<double>(packed_size);
  perf::count(state, 1, kLeaf);
}
BENCHMARK(pack_block)->ArgNames({"text", "segments"})->ArgsProduct({{0, 1}, {1, 256}});

void unpack_block(benchmark::State& state) {
  Bench bench(state);
  for (auto _ : state) {
    state.PauseTiming();
    PackedBlock packed = bench.pack_one(make_block(*bench.pool, bench.bytes, bench.segments));
    Buffer scratch = needs_scratch(packed) ? bench.pool->take() : Buffer();
    state.ResumeTiming();
    const auto unpacked = unpack(std::move(packed), bench.codecs, std::move(scratch));
    if (!unpacked.ok() || !unpacked.value().bad.empty()) state.SkipWithError("what was packed does not unpack");
  }
  perf::count(state, 1, kLeaf);
}
BENCHMARK(unpack_block)->ArgNames({"text", "segments"})->ArgsProduct({{0, 1}, {1, 256}});

// The head of a block of small files, with its checksum.
BlockHead head_of(size_t segments) {
  BlockHead head;
  for (uint32_t i = 0; i < segments; ++i) head.segments.push_back({.object = ObjectId(i), .length = 1000});
  head.raw_length = head.packed_length = static_cast<uint32_t>(segments * 1000);
  return head;
}

void head_write(benchmark::State& state) {
  const BlockHead head = head_of(static_cast<size_t>(state.range(0)));
  std::vector<std::byte> out(head_size(head.segments.size()));
  for (auto _ : state) {
    write_head(head, out);
    benchmark::ClobberMemory();
  }
  perf::count(state, 1, out.size());
}
BENCHMARK(head_write)->ArgName("segments")->Arg(1)->Arg(256)->Arg(4096);

void head_parse(benchmark::State& state) {
  const BlockHead head = head_of(static_cast<size_t>(state.range(0)));
  std::vector<std::byte> bytes(head_size(head.segments.size()));
  write_head(head, bytes);
  for (auto _ : state)
    if (auto parsed = parse_head(bytes); !parsed.ok()) state.SkipWithError("what was written does not parse");
  perf::count(state, 1, bytes.size());
}
BENCHMARK(head_parse)->ArgName("segments")->Arg(1)->Arg(256)->Arg(4096);

void head_hash(benchmark::State& state) {
  std::vector<std::byte> bytes(head_size(static_cast<size_t>(state.range(0))));
  for (auto _ : state) {
    auto hash = digest::leaf_hash(bytes);
    benchmark::DoNotOptimize(hash);
  }
  perf::count(state, 1, bytes.size());
}
BENCHMARK(head_hash)->ArgName("segments")->Arg(1)->Arg(256)->Arg(4096);

}  // namespace
}  // namespace tideway::block
