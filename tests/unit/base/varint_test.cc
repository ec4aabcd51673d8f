// SPDX-License-Identifier: Apache-2.0
#include "base/varint.h"

#include <gtest/gtest.h>

#include <array>

namespace tideway {
namespace {

TEST(Varint, MatchesTheExamplesOfRfc9000) {  // appendix A.1
  struct Case { uint64_t value; size_t size; };
  for (const auto [value, size] : {Case{151288809941952652, 8}, Case{494878333, 4}, Case{15293, 2}, Case{37, 1}}) {
    std::array<std::byte, 8> room{};
    Writer out(room);
    write_varint(out, value);
    EXPECT_EQ(out.used(), size);
    Reader in(out.written());
    EXPECT_EQ(read_varint(in), value);
  }
}

TEST(Varint, ACutOneIsRefused) {
  const std::array bytes = {std::byte{0x9D}, std::byte{0x7F}, std::byte{0x3E}};
  Reader in(bytes);
  EXPECT_EQ(read_varint(in), std::nullopt);
}

}  // namespace
}  // namespace tideway
