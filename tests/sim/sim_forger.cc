// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_forger.h"

#include "wire/packet_header.h"

namespace tideway::test {
namespace {

constexpr size_t kEpochAt = 1, kConnectionIdAt = 4, kNumberAt = 12;
constexpr size_t kPacketMax = 2000;

}  // namespace

uint64_t SimDatagram::number() const { return wire::parse_header(bytes)->packet_number; }

// A reservoir: each packet seen so far is kept with the same probability.
void SimForger::see(const SimDatagram& datagram) {
  ++seen_;
  if (kept_.size() < kKeptMax) kept_.push_back(datagram);
  else if (const uint64_t at = random_.below(seen_); at < kKeptMax) kept_[at] = datagram;
}

std::optional<SimDatagram> SimForger::take_old() {
  if (kept_.empty()) return std::nullopt;
  return kept_[random_.below(kept_.size())];
}

SimDatagram SimForger::change(SimDatagram datagram) {
  datagram.is_genuine = false;
  std::vector<std::byte>& bytes = datagram.bytes;
  const auto flip = [&](size_t at) { bytes[at] ^= static_cast<std::byte>(1 + random_.below(255)); };
  switch (random_.below(6)) {
    case 0: flip(random_.below(std::min<size_t>(bytes.size(), 36))); break;            // header
    case 1: flip(random_.below(bytes.size())); break;
    case 2: bytes[kEpochAt] = static_cast<std::byte>(std::to_integer<int>(bytes[kEpochAt]) + (random_.below(2) == 0 ? 1 : -1)); break;
    case 3: flip(kNumberAt + 4 + random_.below(4)); break;                               // a number far ahead, or a near one
    case 4: bytes.resize(bytes.size() - 1 - random_.below(std::min<size_t>(bytes.size() - 1, 64))); break;
    default: flip(kConnectionIdAt + random_.below(8)); break;
  }
  return datagram;
}

SimDatagram SimForger::make_up(const SimDatagram& like) {
  if (random_.below(4) != 0) return change(like);
  SimDatagram made = like;
  made.is_genuine = false;
  made.bytes.resize(1 + random_.below(kPacketMax));
  const size_t header = random_.below(2) * std::min<size_t>(made.bytes.size(), kNumberAt);  // half of them find a flow
  for (size_t i = header; i < made.bytes.size(); ++i) made.bytes[i] = static_cast<std::byte>(random_.next());
  return made;
}

}  // namespace tideway::test
