// SPDX-License-Identifier: Apache-2.0
#include "base/cursor.h"

#include <gtest/gtest.h>

#include <array>

namespace tideway {
namespace {

TEST(Reader, ReadsBigEndianAndStopsAtTheEnd) {
  const std::array bytes = {std::byte{0x12}, std::byte{0x34}, std::byte{0x56}};
  Reader in(bytes);
  EXPECT_EQ(in.read_u16(), 0x1234);
  EXPECT_EQ(in.read_u16(), std::nullopt);
  EXPECT_EQ(in.read_u8(), std::nullopt) << "a failed read leaves nothing behind it to misread";
}

TEST(Writer, WritesWhatReaderReads) {
  std::array<std::byte, 15> room{};
  Writer out(room);
  out.write_u8(1);
  out.write_u16(0x0203);
  out.write_u32(0x04050607);
  out.write_u64(0x08090A0B0C0D0E0F);
  EXPECT_EQ(out.left(), 0U);
  Reader in(out.written());
  EXPECT_EQ(in.read_u8(), 1);
  EXPECT_EQ(in.read_u16(), 0x0203);
  EXPECT_EQ(in.read_u32(), 0x04050607U);
  EXPECT_EQ(in.read_u64(), 0x08090A0B0C0D0E0FU);
  EXPECT_TRUE(in.is_empty());
}

TEST(WriterDeathTest, RunningOverItsRoomStopsTheProgram) {
  std::array<std::byte, 1> room{};
  Writer out(room);
  EXPECT_DEATH(out.write_u16(1), "check failed");
}

}  // namespace
}  // namespace tideway
