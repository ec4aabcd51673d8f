// SPDX-License-Identifier: Apache-2.0
//
// Text form of <tideway/packet_io.h>'s Endpoint.
#include <tideway/packet_io.h>

#include <arpa/inet.h>

#include <charconv>
#include <cstring>

namespace tideway {
namespace {

constexpr std::array<std::byte, 12> kIpv4Mapped = {std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},
                                                   std::byte{0}, std::byte{0}, std::byte{0}, std::byte{0},
                                                   std::byte{0}, std::byte{0}, std::byte{0xFF}, std::byte{0xFF}};

Error bad_endpoint(std::string_view text) {
  return {Fault::kConfigInvalid, "\"" + std::string(text.substr(0, 128)) + "\" is not an address and port",
          "write 10.0.0.1:7400 or [fd00::1]:7400"};
}

}  // namespace

bool Endpoint::is_ipv4() const { return std::memcmp(address.data(), kIpv4Mapped.data(), kIpv4Mapped.size()) == 0; }

Result<Endpoint> Endpoint::parse(std::string_view text) {
  const size_t colon = text.rfind(':');
  if (colon == text.npos || colon == 0) return bad_endpoint(text);
  Endpoint endpoint;
  const std::string_view digits = text.substr(colon + 1);
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), endpoint.port);
  if (failure != std::errc() || end != digits.data() + digits.size()) return bad_endpoint(text);
  if (text.front() == '[') {
    if (colon < 2 || text[colon - 1] != ']') return bad_endpoint(text);
    const std::string host(text.substr(1, colon - 2));
    if (inet_pton(AF_INET6, host.c_str(), endpoint.address.data()) != 1) return bad_endpoint(text);
    return endpoint;
  }
  std::memcpy(endpoint.address.data(), kIpv4Mapped.data(), kIpv4Mapped.size());
  const std::string host(text.substr(0, colon));
  if (inet_pton(AF_INET, host.c_str(), endpoint.address.data() + 12) != 1) return bad_endpoint(text);
  return endpoint;
}

std::string to_string(const Endpoint& endpoint) {
  char host[INET6_ADDRSTRLEN] = "";
  if (endpoint.is_ipv4()) {
    inet_ntop(AF_INET, endpoint.address.data() + 12, host, sizeof host);
    return std::string(host) + ':' + std::to_string(endpoint.port);
  }
  inet_ntop(AF_INET6, endpoint.address.data(), host, sizeof host);
  return '[' + std::string(host) + "]:" + std::to_string(endpoint.port);
}

}  // namespace tideway
