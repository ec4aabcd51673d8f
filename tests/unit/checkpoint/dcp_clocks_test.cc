// SPDX-License-Identifier: Apache-2.0
//
// Checkpoints of torch.distributed.checkpoint that hosts with clocks of their own have written.
#include "checkpoint/assess.h"
#include "checkpoint/dcp_metadata.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

namespace tideway::checkpoint {
namespace {

using namespace std::chrono_literals;

std::string metadata_of_torch(const std::string& name) {
  std::ifstream file(TIDEWAY_TEST_VECTORS "/../../tests/fixtures/dcp_metadata/" + name, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(DcpMetadata, OfTorchTellsHowFarEachFileIsFilled) {
  const std::string one = metadata_of_torch("one_file.pickle"), several = metadata_of_torch("file_per_tensor.pickle");
  EXPECT_EQ(files_of_dcp(one), (FileEnds{{"__0_0.distcp", 2612}}));
  EXPECT_EQ(files_of_dcp(several), (FileEnds{{"__0_0.distcp", 1003}, {"__0_1.distcp", 747}, {"__0_2.distcp", 431}, {"__0_3.distcp", 431}}));
}

TEST(DcpMetadata, ThatIsCutOrHostileIsNothing) {
  const std::string whole = metadata_of_torch("file_per_tensor.pickle");
  ASSERT_FALSE(whole.empty());
  for (size_t size = 0; size < whole.size(); ++size) EXPECT_EQ(files_of_dcp(whole.substr(0, size)), std::nullopt) << size;
  const std::string text = "\x8c\x0drelative_path", path = std::string("\x8c\x01" "a", 3), offset = "\x8c\x06offset", length = "\x8c\x06length";
  const std::string far("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", 10);
  EXPECT_EQ(files_of_dcp(text + path + offset + "K\x01" + length + "K\x02."), (FileEnds{{"a", 3}}));
  EXPECT_EQ(files_of_dcp(text + path + offset + far + length + far + "."), (FileEnds{{"a", UINT64_MAX - 1}}));
  for (const std::string& hostile : {text + path + offset + "J\xff\xff\xff\xff" + length + "K\x02.",                 // before its beginning
                                     text + path + length + "K\x02" + offset + "K\x01.",                             // in another order
                                     text + path + offset + "(" + length + "K\x02.",                                 // no number
                                     std::string("\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", 10), std::string("h\x01."),
                                     std::string("I1\n."), std::string("cno end"), std::string(".")})
    EXPECT_EQ(files_of_dcp(hostile), std::nullopt);
}

TEST(DcpMetadata, ThatKeepsMoreTextsThanAnyTrainingIsNothing) {
  const std::string file = std::string("\x8c\x0drelative_path\x8c\x01" "a\x8c\x06offset", 26) + "K\x01\x8c\x06lengthK\x02";
  std::string texts;
  for (size_t i = 0; i < kDcpTextsMax; ++i) texts.append("\x8c\0\x94", 3);
  EXPECT_EQ(files_of_dcp(texts + file + "."), (FileEnds{{"a", 3}}));
  EXPECT_EQ(files_of_dcp(texts + std::string("\x8c\0\x94", 3) + file + "."), std::nullopt);
}

// A marker whose host has a clock that is five seconds behind that of the shard.
class DcpClocks : public testing::Test {
 protected:
  std::string reason(const Quiet& quiet = {Quiet::Source::kLooking, 3s, 2s}) const {
    const auto answer = assess({listing, pieces, came}, {Kind::kDcp, 0}, quiet);
    const auto* why = answer.ok() ? std::get_if<Incomplete>(&answer.value()) : nullptr;
    return !answer.ok() ? "error" : why == nullptr ? "complete" : why->reason;
  }
  Listing listing{"step-9", {{".metadata", 1013_B, 100'000'000'000}, {"__0_0.distcp", 2612_B, 105'000'000'000}}};
  Pieces pieces{{{".metadata", Part::kWhole}, metadata_of_torch("one_file.pickle")}};
  std::vector<uint32_t> came{2, 1};  // the shard at the first look, then the marker
};

TEST_F(DcpClocks, AMarkerThatWasSeenToComeClosesShardsWhateverTheirTimes) {
  EXPECT_EQ(reason(), "complete");
  came = {1, 1};
  EXPECT_EQ(reason(), "complete") << "with the directory, between two looks";
  const auto wanted = wanted_pieces(listing);
  EXPECT_EQ(std::ranges::count(wanted, PieceName{".metadata", Part::kWhole}), 1);
}

TEST_F(DcpClocks, AMarkerThatWasThereAtTheFirstLookIsTakenForAnOldOne) {
  for (const std::vector<uint32_t>& seen : {std::vector<uint32_t>{}, {0, 0}, {0, 1}}) {
    came = seen;
    EXPECT_EQ(reason(), "old_marker");
  }
}

TEST_F(DcpClocks, AShardThatChangesBehindTheMarkerIsOfTheNextSave) {
  came = {2, 3};
  EXPECT_EQ(reason(), "old_marker");
}

TEST_F(DcpClocks, ClocksThatAreTooFarApartAreASaveLongAfter) {
  listing.files[1].mtime_ns = listing.files[0].mtime_ns + Duration(kClocksApartMax).count() + 1;
  EXPECT_EQ(reason(), "old_marker");
}

TEST_F(DcpClocks, WhatTheMarkerSpeaksOfHasToBeThere) {
  listing.files[1].size = 2611_B;
  EXPECT_EQ(reason(), "cut");
  listing.files[1].size = 2612_B;
  pieces.begin()->second = metadata_of_torch("file_per_tensor.pickle");
  listing.files[1].size = 1003_B;
  EXPECT_EQ(reason(), "missing");
  pieces.begin()->second = "no pickle";
  EXPECT_EQ(reason(), "old_marker") << "nobody says what it closes";
  pieces.clear();
  EXPECT_EQ(reason(), "old_marker");
}

TEST_F(DcpClocks, ANameInTheMarkerIsShownWithoutItsControlCharactersAndInALineAtMost) {
  const auto filled = [](const std::string& path) {  // to 2,612 bytes
    const std::string size{static_cast<char>(path.size()), static_cast<char>(path.size() >> 8), '\0', '\0'};
    return "\x8c\x0drelative_pathX" + size + path + "\x8c\x06offsetK\x01\x8c\x06lengthM\x33\x0a";
  };
  pieces.begin()->second = filled("__0_0.distcp") + filled("a\nb" + std::string(kDetailMax, 'x')) + ".";
  const auto answer = assess({listing, pieces, came}, {Kind::kDcp, 0}, {Quiet::Source::kLooking, 3s, 2s});
  const std::string& why = std::get<Incomplete>(answer.value()).detail;
  EXPECT_TRUE(why.starts_with(".metadata names a\\x0abxxx")) << why;
  EXPECT_LT(why.size(), kDetailMax + 10);
}

TEST_F(DcpClocks, AShardThatTheMarkerDoesNotKnowIsOfTheNextSave) {
  listing.files.push_back({"__1_0.distcp", 1_B, 105'000'000'000});
  came.push_back(1);
  EXPECT_EQ(reason(), "old_marker");
}

TEST_F(DcpClocks, ItStaysAsItIsForAWhileEvenWhereNobodyHasItOpen) {
  for (const auto source : {Quiet::Source::kLooking, Quiet::Source::kClosed}) EXPECT_EQ(reason({source, 1s, 2s}), "changing");
}

}  // namespace
}  // namespace tideway::checkpoint
