// SPDX-License-Identifier: Apache-2.0
#include "engine/aead_alone.h"

#include "base/clock.h"
#include "crypto/registry.h"
#include "wire/packet_header.h"

#include <tideway/packet_io.h>

#include <array>

namespace tideway::engine {
namespace {

constexpr uint32_t kBlocks = 16;  // 64 MiB
constexpr size_t kHeaderSize = wire::kDataOverhead - kAeadTagSize;
constexpr std::array<std::byte, kAeadKeySize> kKey{};  // it protects nothing
constexpr std::array<std::byte, kAeadIvSize> kIv{};
constexpr std::array<std::byte, kHeaderSize> kHeader{};

}  // namespace

Result<std::unique_ptr<AeadAlone>> AeadAlone::create(Work work, Bytes payload) {
  auto pool = BufferPool::create(kBlocks);
  if (!pool.ok()) return std::move(pool).error();
  return std::unique_ptr<AeadAlone>(new AeadAlone(work, payload, std::move(pool).value()));
}

AeadAlone::AeadAlone(Work work, Bytes payload, std::unique_ptr<BufferPool> pool)
    : work_(work),
      payload_(payload.count()),
      pool_(std::move(pool)),
      aead_(crypto::make_aead(kKey, kIv)),
      rooms_(kBurstMax * (payload_ + kAeadTagSize)) {
  for (uint32_t i = 0; i < kBlocks; ++i) {
    blocks_.push_back(pool_->take());
    std::ranges::fill(blocks_.back().whole(),
                      std::byte{0x5A});  // pages that were never written share one of zeros
  }
  if (work_ != Work::kOpen) return;
  std::array<SealJob, kBurstMax> jobs;  // what will be opened again and again
  for (size_t i = 0; i < kBurstMax; ++i)
    jobs[i] = {i, kHeader, blocks_[0].data().first(payload_),
               std::span(rooms_).subspan(i * (payload_ + kAeadTagSize), payload_ + kAeadTagSize)};
  aead_->seal(jobs);
}

AeadAlone::~AeadAlone() = default;

Bytes AeadAlone::run(Duration time) {
  const Time start = read_clock();
  Bytes done;
  Time now = start;
  for (size_t i = 0; now < start + time; ++i, now = read_clock()) {
    work_on(blocks_[i % kBlocks]);
    done += Bytes(kLeafSize.count() / payload_ * payload_);
  }
  return done;
}

void AeadAlone::work_on(Buffer& block) {
  std::span<std::byte> plain = block.data().first(kLeafSize.count() / payload_ * payload_);
  while (!plain.empty()) {
    const auto burst = plain.first(std::min(plain.size(), kBurstMax * payload_));
    work_on(burst);
    plain = plain.subspan(burst.size());
  }
}

void AeadAlone::work_on(std::span<std::byte> plain) {
  const size_t count = plain.size() / payload_;
  const auto room = [&](size_t i) {
    return std::span(rooms_).subspan(i * (payload_ + kAeadTagSize), payload_ + kAeadTagSize);
  };
  if (work_ == Work::kSeal) {
    std::array<SealJob, kBurstMax> jobs;
    for (size_t i = 0; i < count; ++i)
      jobs[i] = {next_number_++, kHeader, plain.subspan(i * payload_, payload_), room(i)};
    aead_->seal(std::span(jobs).first(count));
    return;
  }
  std::array<OpenJob, kBurstMax> jobs;
  for (size_t i = 0; i < count; ++i)
    jobs[i] = {i, kHeader, room(i), plain.subspan(i * payload_, payload_), false};
  TIDEWAY_CHECK(aead_->open(std::span(jobs).first(count)) == count);
}

}  // namespace tideway::engine
