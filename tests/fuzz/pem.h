// SPDX-License-Identifier: Apache-2.0
//
// Bytes as PEM, so that what stands behind its armour is reached, too.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace tideway::test {

inline std::string to_pem(std::string_view label, std::span<const uint8_t> der) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text = "-----BEGIN " + std::string(label) + "-----\n";
  for (size_t at = 0, line = 0; at < der.size(); at += 3) {
    uint32_t three = 0;
    for (size_t i = 0; i < 3; ++i) three = three << 8 | (at + i < der.size() ? der[at + i] : 0U);
    for (int digit = 0; digit < 4; ++digit)
      text += at + static_cast<size_t>(digit) > der.size() ? '=' : kDigits[three >> (18 - 6 * digit) & 63];
    if (++line % 16 == 0) text += '\n';
  }
  return text + "\n-----END " + std::string(label) + "-----\n";
}

}  // namespace tideway::test
