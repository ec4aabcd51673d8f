// SPDX-License-Identifier: Apache-2.0
//
// The least that a gateway needs, for tests that add to it.
#pragma once
#include <string>
#include <string_view>

namespace tideway::config {

inline constexpr std::string_view kMinimal = R"([site]
name = "atlanta"
gateway = "gw1"
trust_domain = "example.org"
[tls]
ca = "/etc/ca.crt"
cert = "/etc/gw.crt"
key = "/etc/gw.key"
[listen]
control = "10.77.0.1:7400"
[data_plane]
address = "10.77.0.1:7401"
[[root]]
name = "ckpt"
path = "/data/ckpt"
)";  // lines 1 to 15

inline std::string minimal_and(std::string_view more) { return std::string(kMinimal) + std::string(more); }

}  // namespace tideway::config
