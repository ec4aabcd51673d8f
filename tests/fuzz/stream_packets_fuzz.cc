// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as what comes over a TLS connection that carries packets, in pieces of any length: the first byte picks them. Packets come out as they were
// put in, in their order, whatever the pieces; a length that none can have ends the connection, and nothing behind it is taken for a packet.
#include "packet_io/stream_packet_io.h"

#include <tideway/check.h>

#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

namespace {

using namespace tideway;
using namespace tideway::packet_io;

class Pieces final : public ByteStream {
 public:
  Pieces(std::span<const std::byte> bytes, size_t piece) : bytes_(bytes), piece_(piece) {}
  size_t write(std::span<const std::byte> bytes) override { return bytes.size(); }
  void flush() override {}
  size_t read(std::span<std::byte> out) override {
    const size_t size = std::min({out.size(), piece_, bytes_.size()});
    std::ranges::copy(bytes_.first(size), out.begin());
    bytes_ = bytes_.subspan(size);
    return size;
  }
  bool has_output() const override { return false; }
  bool is_broken() const override { return false; }
  int fd() const override {  // which nobody reads: it is there to be waited for
    static const int event = ::eventfd(0, EFD_CLOEXEC);
    return event;
  }

 private:
  std::span<const std::byte> bytes_;
  size_t piece_;
};

// What a reader who sees all bytes at once takes for packets.
std::vector<std::span<const std::byte>> packets_in(std::span<const std::byte> bytes) {
  std::vector<std::span<const std::byte>> packets;
  while (bytes.size() >= 2) {
    const size_t size = std::to_integer<size_t>(bytes[0]) << 8 | std::to_integer<size_t>(bytes[1]);
    if (size == 0 || size > StreamPacketIo::kPayloadMax.count() || bytes.size() < 2 + size) break;
    packets.push_back(bytes.subspan(2, size));
    bytes = bytes.subspan(2 + size);
  }
  return packets;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const auto bytes = std::as_bytes(std::span(data, size)).subspan(1);
  StreamPacketIo io;
  const Endpoint here = Endpoint::parse("10.0.0.1:7400").value(), there = Endpoint::parse("10.0.0.2:7400").value();
  const PathId path = io.open_path({.local = here, .remote = there}).value().id;
  TIDEWAY_CHECK(io.attach(path, std::make_unique<Pieces>(bytes, size_t{1} + data[0] * size_t{37})));
  const auto expected = packets_in(bytes);
  size_t seen = 0;
  const size_t turns_max = size + 2;  // each brings a byte at least
  for (size_t turn = 0; turn < turns_max && !io.is_broken(path); ++turn) {
    std::array<Packet, kBurstMax> burst;
    const size_t got = io.receive(burst);
    for (const Packet& packet : std::span(burst).first(got)) {
      TIDEWAY_CHECK(seen < expected.size());
      const auto wanted = expected[seen++];
      TIDEWAY_CHECK(std::ranges::equal(packet.bytes, wanted));
    }
    if (got == 0 && seen == expected.size()) break;
  }
  TIDEWAY_CHECK(seen == expected.size());
  return 0;
}
