// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_keys.h"

#include "base/random.h"
#include "crypto/registry.h"
#include "support/test_aead.h"
#include "wire/packet_header.h"

#include <algorithm>

namespace tideway::test {
namespace {

constexpr uint64_t kWindowBefore = 1 << 16;  // numbers below the first that was opened: late ones

bool carries_frames(std::span<const std::byte> header) {
  return (std::to_integer<uint8_t>(header[0]) & 0x0F) != static_cast<uint8_t>(wire::PacketType::kData);
}

}  // namespace

class WatchedAead final : public Aead {
 public:
  WatchedAead(SimKeys& keys, SimWay way, KeyEpoch epoch) : keys_(keys), way_(way), epoch_(epoch), key_(keys.make(way, epoch)) {}
  void seal(std::span<const SealJob> burst) override {
    for (const SealJob& job : burst) keys_.note_sealed(way_, epoch_, job);
    key_->seal(burst);
  }
  size_t open(std::span<OpenJob> burst) override {
    const size_t authentic = key_->open(burst);
    for (const OpenJob& job : burst)
      if (job.authentic) keys_.note_opened(way_, job);
    return authentic;
  }

 private:
  SimKeys& keys_;
  const SimWay way_;
  const KeyEpoch epoch_;
  const std::unique_ptr<Aead> key_;
};

std::unique_ptr<Aead> SimKeys::sealing(SimWay way, KeyEpoch epoch) {
  return std::make_unique<WatchedAead>(*this, way, epoch);
}

std::unique_ptr<Aead> SimKeys::opening(SimWay way, KeyEpoch epoch) {
  return std::make_unique<WatchedAead>(*this, way, epoch);
}

std::unique_ptr<Aead> SimKeys::make(SimWay way, KeyEpoch epoch) const {
  const uint64_t name = seed_ * 77 + way.from * 0x10001 + way.flow * 0x100003 + epoch.value() * 0x9000000007 + 1;
  if (provider_.empty()) return std::make_unique<TestAead>(name);
  Random random(name);
  std::array<std::byte, kAeadKeySize> key;
  std::array<std::byte, kAeadIvSize> iv;
  for (std::byte& byte : key) byte = static_cast<std::byte>(random.next());
  for (std::byte& byte : iv) byte = static_cast<std::byte>(random.next());
  return crypto::aead_provider(provider_).value().make(key, iv);
}

void SimKeys::note_sealed(SimWay way, KeyEpoch epoch, const SealJob& job) {
  Sealed& sealed = sealed_[way];
  uint64_t& end = sealed.end_of_epoch[epoch.value()];
  if (job.packet_number < end) problem_ = "a key sealed a packet number twice";
  else if (job.packet_number < sealed.end) problem_ = "packet numbers did not rise over a change of key epoch";
  end = sealed.end = job.packet_number + 1;
  if (on_sealed && carries_frames(job.header)) on_sealed(way, job.plain);
}

void SimKeys::note_opened(SimWay way, const OpenJob& job) {
  Opened& opened = opened_of_[way];
  if (opened.numbers.empty()) opened.first = job.packet_number - std::min(job.packet_number, kWindowBefore);
  const uint64_t at = job.packet_number - opened.first;
  if (opened.numbers.size() <= at) opened.numbers.resize(at + 1);
  if (opened.numbers[at]) return;  // twice within one burst
  opened.numbers[at] = true;
  ++opened_;
  if (on_opened && carries_frames(job.header)) on_opened(way, job.out);
}

bool SimKeys::was_opened(SimWay way, uint64_t number) const {
  const auto found = opened_of_.find(way);
  if (found == opened_of_.end() || number < found->second.first) return false;
  const uint64_t at = number - found->second.first;
  return at < found->second.numbers.size() && found->second.numbers[at];
}

uint64_t SimKeys::epochs_used(SimWay way) const {
  const auto found = sealed_.find(way);
  return found == sealed_.end() ? 0 : found->second.end_of_epoch.size();
}

}  // namespace tideway::test
