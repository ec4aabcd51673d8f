// SPDX-License-Identifier: Apache-2.0
#include "port_bins.h"

#include "base/cursor.h"
#include "wan/link_model.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

namespace tideway::wan {
namespace {

constexpr size_t kEthernet = 14, kIpv6 = 40;
constexpr uint16_t kVlan = 0x8100, kTypeIpv4 = 0x0800, kTypeIpv6 = 0x86dd;
constexpr uint8_t kTcp = 6, kUdp = 17;

struct Ports { uint16_t from, to; };

// Of a TCP or UDP packet without extension headers; the first fragment only.
std::optional<Ports> ports_of(std::span<const std::byte> frame) {
  Reader in(frame);
  in.read_bytes(kEthernet - 2);
  auto type = in.read_u16();
  if (type == kVlan) {
    in.read_u16();
    type = in.read_u16();
  }
  const auto ip = in.rest();
  if (ip.size() < 20) return std::nullopt;
  const bool is_ipv4 = type == kTypeIpv4;
  if (!is_ipv4 && type != kTypeIpv6) return std::nullopt;
  const auto protocol = std::to_integer<uint8_t>(ip[is_ipv4 ? 9 : 6]);
  if (protocol != kTcp && protocol != kUdp) return std::nullopt;
  in.read_bytes(is_ipv4 ? 4 * (std::to_integer<size_t>(ip[0]) & 0xF) : kIpv6);
  const auto from = in.read_u16(), to = in.read_u16();
  if (!from || !to) return std::nullopt;
  return Ports{*from, *to};
}

}  // namespace

Result<std::unique_ptr<PortBins>> PortBins::open(const std::string& file, std::vector<uint16_t> ports) {
  std::FILE* const out = std::fopen(file.c_str(), "we");
  if (out == nullptr) return Error{Fault::kConfigInvalid, "cannot write " + file + ": " + std::strerror(errno), ""};
  std::fputs("ms,direction,port,bytes\n", out);
  return std::unique_ptr<PortBins>(new PortBins(out, std::move(ports)));
}

PortBins::PortBins(std::FILE* file, std::vector<uint16_t> ports) : file_(file), ports_(std::move(ports)) {
  for (auto& bytes : bytes_) bytes.resize(ports_.size() + 1);
}

void PortBins::count(Time now, Way way, std::span<const std::byte> frame) {
  const int64_t bin = now.time_since_epoch() / kBin;
  if (bin != bin_) {
    write_out();
    bin_ = bin;
  }
  size_t kind = ports_.size();
  if (const auto ports = ports_of(frame))
    kind = static_cast<size_t>(std::ranges::find_if(ports_, [&](uint16_t port) { return port == ports->from || port == ports->to; }) - ports_.begin());
  bytes_[static_cast<size_t>(way)][kind] += frame.size() + kFrameOverhead.count();
}

void PortBins::write_out() {
  for (size_t way = 0; way < bytes_.size(); ++way) {
    for (size_t kind = 0; kind < bytes_[way].size(); ++kind) {
      uint64_t& bytes = bytes_[way][kind];
      if (bytes == 0) continue;
      std::fprintf(file_.get(), "%lld,%s,%u,%llu\n", static_cast<long long>(bin_ * (kBin / std::chrono::milliseconds(1))), way == 0 ? "ab" : "ba",
                   kind == ports_.size() ? 0U : ports_[kind], static_cast<unsigned long long>(bytes));
      bytes = 0;
    }
  }
}

}  // namespace tideway::wan
