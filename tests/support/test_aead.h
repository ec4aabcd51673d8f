// SPDX-License-Identifier: Apache-2.0
//
// A keyed hash in place of AES, for simulations where speed matters: it detects tampering, wrong keys and wrong numbers
// as the real one does, and hides nothing. It also stops the test when one key seals a number that is not above all
// before it.
#pragma once
#include <tideway/aead.h>
#include <tideway/check.h>

#include <array>
#include <bit>
#include <cstring>

namespace tideway::test {

class TestAead final : public Aead {
 public:
  explicit TestAead(uint64_t key) : key_(key) {}

  void seal(std::span<const SealJob> burst) override {
    for (const SealJob& job : burst) {
      TIDEWAY_CHECK(job.packet_number >= sealed_end_);
      TIDEWAY_CHECK(job.out.size() == job.plain.size() + kAeadTagSize);
      sealed_end_ = job.packet_number + 1;
      if (!job.plain.empty()) std::memcpy(job.out.data(), job.plain.data(), job.plain.size());
      mask(job.packet_number, job.out.first(job.plain.size()));
      const Tag tag = tag_of(job.packet_number, job.header, job.out.first(job.plain.size()));
      std::memcpy(job.out.data() + job.plain.size(), tag.data(), tag.size());
    }
  }

  size_t open(std::span<OpenJob> burst) override {
    size_t authentic = 0;
    for (OpenJob& job : burst) {
      TIDEWAY_CHECK(job.sealed.size() == job.out.size() + kAeadTagSize);
      const Tag tag = tag_of(job.packet_number, job.header, job.sealed.first(job.out.size()));
      job.authentic = std::memcmp(tag.data(), job.sealed.data() + job.out.size(), tag.size()) == 0;
      // Like the real one it writes before it knows: what is not authentic leaves rubbish behind.
      if (!job.out.empty()) std::memcpy(job.out.data(), job.sealed.data(), job.out.size());
      mask(job.packet_number, job.out);
      if (job.authentic) ++authentic;
    }
    return authentic;
  }

 private:
  using Tag = std::array<std::byte, kAeadTagSize>;

  // Ciphertext that looks like plain text would hide mistakes, so every 64th byte differs.
  void mask(uint64_t number, std::span<std::byte> bytes) const {
    const auto change = static_cast<std::byte>((key_ ^ number * 0x9E3779B97F4A7C15) >> 56 | 1);
    for (size_t i = 0; i < bytes.size(); i += 64) bytes[i] ^= change;
  }
  static uint64_t mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * 0x9FB21C651E98DF25;
    return hash ^ std::rotl(hash, 23);
  }
  static uint64_t absorb(uint64_t hash, std::span<const std::byte> bytes) {
    hash = mix(hash, bytes.size());
    while (bytes.size() >= 8) {
      uint64_t word;
      std::memcpy(&word, bytes.data(), 8);
      hash = mix(hash, word);
      bytes = bytes.subspan(8);
    }
    uint64_t rest = 0;
    if (!bytes.empty()) std::memcpy(&rest, bytes.data(), bytes.size());
    return mix(hash, rest);
  }
  Tag tag_of(uint64_t number, std::span<const std::byte> header, std::span<const std::byte> sealed) const {
    const uint64_t first = absorb(absorb(mix(key_, number), header), sealed);
    const std::array<uint64_t, 2> words = {first, mix(first, key_)};
    return std::bit_cast<Tag>(words);
  }

  uint64_t key_;
  uint64_t sealed_end_ = 0;
};

}  // namespace tideway::test
