// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/index_json.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/tracker.h"
#include "checkpoint/zip_directory.h"

#include <gtest/gtest.h>

namespace tideway::checkpoint {
namespace {

void append(std::string& bytes, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) bytes.push_back(static_cast<char>(i < 8 ? value >> 8 * i & 0xff : 0));
}

// A zip of `content` bytes and a directory of `directory`, with zip64 records as torch writes them.
std::string zip64_tail(uint64_t content, uint64_t directory) {
  std::string tail;
  append(tail, 0x06064b50, 4);
  append(tail, 44, 8);
  append(tail, 0, 12);
  append(tail, 2, 8);
  append(tail, 2, 8);
  append(tail, directory, 8);
  append(tail, content, 8);
  append(tail, 0x07064b50, 4);
  append(tail, 0, 4);
  append(tail, content + directory, 8);
  append(tail, 1, 4);
  append(tail, 0x06054b50, 4);
  append(tail, 0, 4);
  append(tail, 2, 2);
  append(tail, 2, 2);
  append(tail, std::min<uint64_t>(directory, 0xffffffff), 4);
  append(tail, std::min<uint64_t>(content, 0xffffffff), 4);
  append(tail, 0, 2);
  return tail;
}

TEST(ZipDirectory, OfAFileBeyond4GiBIsFoundByItsZip64Records) {
  const uint64_t content = 5ULL << 30, directory = 4096;
  const std::string tail = zip64_tail(content, directory);
  ASSERT_EQ(tail.size(), kZipTail.count());
  EXPECT_TRUE(ends_as_zip(tail, Bytes(content + directory + 98)));
  EXPECT_FALSE(ends_as_zip(tail, Bytes(content + directory + 99)));  // something else ends there
}

TEST(ZipDirectory, OfACutFileIsNeverFound) {
  const std::string tail = zip64_tail(10'000, 400);
  for (size_t cut = 1; cut <= tail.size(); ++cut) EXPECT_FALSE(ends_as_zip(std::string_view(tail).substr(0, tail.size() - cut), Bytes(10'498 - cut))) << cut;
}

TEST(ZipDirectory, WithoutAnEntryIsNone) { EXPECT_FALSE(ends_as_zip(zip64_tail(10'000, 0), Bytes(10'098))); }

TEST(Tracker, PointsToADirectory) {
  EXPECT_EQ(tracked_name(kMegatronTracker, "9000\n"), "iter_0009000");
  EXPECT_EQ(tracked_name(kMegatronTracker, "12345678"), "iter_12345678");
  EXPECT_EQ(tracked_name(kMegatronTracker, "release"), "release");
  EXPECT_EQ(tracked_name(kDeepspeedTracker, "global_step9000\n"), "global_step9000");
  for (const std::string_view text : {"", "\n", "90 00", "-1", "99999999999999999999999", "../x", "iter_0009000"})
    EXPECT_FALSE(tracked_name(kMegatronTracker, text)) << text;
  EXPECT_FALSE(tracked_name(kDeepspeedTracker, "../../x"));
  EXPECT_FALSE(tracked_name(kDeepspeedTracker, std::string(kTrackerBytesMax + 1, ' ')));
}

TEST(Tracker, StepsAreFoundInNames) {
  EXPECT_EQ(step_in("iter_0009000"), 9000U);
  EXPECT_EQ(step_in("checkpoint-9000"), 9000U);
  EXPECT_EQ(step_in("global_step9000"), 9000U);
  EXPECT_EQ(step_in("step-9000"), 9000U);
  EXPECT_EQ(step_in("epoch=3-step=9000.ckpt"), 9000U);
  EXPECT_EQ(step_in("epoch=3-step=9000-v1.ckpt"), 9000U);
  EXPECT_EQ(step_in("9000"), 9000U);
  EXPECT_FALSE(step_in("last.ckpt"));
  EXPECT_FALSE(step_in("step-99999999999999999999999"));
}

TEST(IndexJson, OfHostileTextIsNothing) {
  EXPECT_FALSE(files_of_index(std::string(2000, '[')));
  EXPECT_FALSE(files_of_index(R"({"weight_map":{"a":7}})"));
  EXPECT_FALSE(files_of_index(R"({"weight_map":{"a":"/etc/x"}})"));
  EXPECT_FALSE(files_of_index(R"({"weight_map":{"a":"x/../y"}})"));
  EXPECT_FALSE(files_of_index(R"({"weight_map":{}})"));
  EXPECT_EQ(files_of_index(R"({"weight_map":{"a":"x","b":"x","c":"d/y"}})"), (std::vector<std::string>{"d/y", "x"}));
}

TEST(SafetensorsHeader, OfHostileBytesIsNothing) {
  EXPECT_FALSE(safetensors_head_size("\1\0\0"));
  EXPECT_FALSE(safetensors_head_size(std::string(8, '\xff')));
  EXPECT_FALSE(safetensors_head_size(std::string(8, '\0')));
  std::string head;
  append(head, 2, 8);
  EXPECT_EQ(safetensors_file_size(head + "{}"), Bytes(10));
  EXPECT_FALSE(safetensors_file_size(head + "{"));
  EXPECT_FALSE(safetensors_file_size(head + "[]"));
}

}  // namespace
}  // namespace tideway::checkpoint
