// SPDX-License-Identifier: Apache-2.0
//
// Sealing and opening bursts of packets, by each provider that works here, from 64 bytes to a jumbo frame's payload.
// The buffers stay in the cache: over blocks of 4 MiB the rate is about two thirds (`tideway bench path`).
#include "crypto/registry.h"
#include "limits.h"
#include "wire/packet_header.h"

#include <array>
#include <memory>

namespace tideway::crypto {
namespace {

using perf::kBurst;

struct Sizes {
  static void apply(benchmark::internal::Benchmark* bench) {
    bench->ArgNames({"provider", "size"});
    for (size_t i = 0; i < aead_providers().size(); ++i)
      for (const int64_t size : {64, 256, 512, 1408, 4096, 8896}) bench->Args({static_cast<int64_t>(i), size});
  }
};

// A burst of plain packets, sealed ones, and room to open into.
struct Burst {
  explicit Burst(size_t packet)
      : size(packet), plain(kBurst * packet, std::byte{1}), sealed(kBurst * (packet + kAeadTagSize)), opened(kBurst * packet) {}

  void list(uint64_t first_number) {
    for (size_t i = 0; i < kBurst; ++i) {
      const auto at = std::span(sealed).subspan(i * (size + kAeadTagSize), size + kAeadTagSize);
      seal[i] = {first_number + i, header, std::span(plain).subspan(i * size, size), at};
      open[i] = {first_number + i, header, at, std::span(opened).subspan(i * size, size), false};
    }
  }

  size_t size;
  std::array<std::byte, wire::kDataHeaderSize> header{};
  std::vector<std::byte> plain, sealed, opened;
  std::array<SealJob, kBurst> seal;
  std::array<OpenJob, kBurst> open;
};

// Nothing, and the bench is skipped, where this machine cannot run the provider.
std::unique_ptr<Aead> make(benchmark::State& state) {
  const AeadProvider& provider = aead_providers()[static_cast<size_t>(state.range(0))];
  state.SetLabel(std::string(provider.name));
  if (!provider.is_usable()) {
    state.SkipWithError("not usable on this machine");
    return nullptr;
  }
  return provider.make(std::array<std::byte, kAeadKeySize>{}, std::array<std::byte, kAeadIvSize>{});
}

void seal(benchmark::State& state) {
  const auto aead = make(state);
  if (!aead) return;
  Burst burst(static_cast<size_t>(state.range(1)));
  uint64_t number = 0;
  for (auto _ : state) {
    burst.list(number);
    aead->seal(burst.seal);
    number += kBurst;
  }
  perf::count(state, kBurst, burst.size);
}
BENCHMARK(seal)->Apply(Sizes::apply);

void open(benchmark::State& state) {
  const auto aead = make(state);
  if (!aead) return;
  Burst burst(static_cast<size_t>(state.range(1)));
  burst.list(0);
  aead->seal(burst.seal);
  for (auto _ : state)
    if (aead->open(burst.open) != kBurst) state.SkipWithError("a tag was wrong");
  perf::count(state, kBurst, burst.size);
}
BENCHMARK(open)->Apply(Sizes::apply);

void copy_burst(benchmark::State& state) { perf::copy_burst(state, static_cast<size_t>(state.range(0))); }
BENCHMARK(copy_burst)->ArgName("size")->Arg(64)->Arg(256)->Arg(512)->Arg(1408)->Arg(4096)->Arg(8896);

}  // namespace
}  // namespace tideway::crypto
