// SPDX-License-Identifier: Apache-2.0
//
// Test vectors of docs/vectors: lines of `name = hex`, with spaces in the hex where they help the eye, `#` for comments.
#pragma once
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace tideway::test {

using Octets = std::vector<std::byte>;

inline Octets from_hex(const std::string& text) {
  Octets bytes;
  std::string digits;
  for (const char c : text)
    if (c != ' ') digits += c;
  for (size_t i = 0; i + 1 < digits.size(); i += 2)
    bytes.push_back(static_cast<std::byte>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return bytes;
}

inline std::string to_hex(std::span<const std::byte> bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) text += {kDigits[static_cast<size_t>(byte) >> 4], kDigits[static_cast<size_t>(byte) & 15]};
  return text;
}

// In the order of the names. An absent or empty file fails the test that reads it.
inline std::map<std::string, Octets> load_vectors(const std::string& file) {
  std::ifstream in(std::string(TIDEWAY_TEST_VECTORS) + "/" + file);
  std::map<std::string, Octets> vectors;
  for (std::string line; std::getline(in, line);) {
    const size_t equals = line.find(" = ");
    if (line.starts_with('#') || equals == line.npos) continue;
    EXPECT_TRUE(vectors.emplace(line.substr(0, equals), from_hex(line.substr(equals + 3))).second) << line;
  }
  EXPECT_FALSE(vectors.empty()) << file;
  return vectors;
}

// Byte i of every test pattern of this project: easy to make again in another language.
inline Octets pattern(size_t size, uint32_t seed = 0) {
  Octets bytes(size);
  uint32_t state = seed * 2654435761U + 1;
  for (std::byte& byte : bytes) {
    state = state * 1664525U + 1013904223U;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

}  // namespace tideway::test
