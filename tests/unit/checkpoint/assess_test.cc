// SPDX-License-Identifier: Apache-2.0
//
// The rules against tests/fixtures/checkpoints.
#include "checkpoint/assess.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>

namespace tideway::checkpoint {
namespace {

using Json = nlohmann::json;
const std::filesystem::path kFixtures = TIDEWAY_TEST_VECTORS "/../../tests/fixtures/checkpoints";

std::string from_base64(const std::string& text) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t held = 0, bits = 0;
  for (const char c : text) {
    if (c == '=') break;
    held = held << 6 | static_cast<uint32_t>(kDigits.find(c));
    if ((bits += 6) < 8) continue;
    bits -= 8;
    bytes.push_back(static_cast<char>(held >> bits & 0xff));
  }
  return bytes;
}

Part part_named(const std::string& name) {
  const std::map<std::string, Part> parts{{"whole", Part::kWhole}, {"again", Part::kAgain}, {"head", Part::kHead}, {"tail", Part::kTail}};
  return parts.at(name);
}

struct Case {
  Listing listing;
  Pieces pieces;
  Format format;
  Quiet quiet;
};

Case read_case(const Json& json) {
  Case one;
  one.listing.name = json["name"];
  for (const Json& file : json["tree"]) one.listing.files.push_back({file["path"], Bytes(file["size"].get<uint64_t>()), file["mtime_ns"]});
  for (const Json& piece : json.value("pieces", Json::array()))
    one.pieces[{piece["path"], part_named(piece["part"])}] = piece.contains("text") ? piece["text"].get<std::string>() : from_base64(piece["base64"]);
  one.format = *format_named(json.value("format", "auto"));
  one.format.world = json.value("world", 0U);
  const Json quiet = json.value("quiet", Json{{"source", "looking"}, {"unchanged_s", 3}, {"settle_s", 2}});
  const auto seconds = [&](const char* name) { return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(quiet[name].get<double>())); };
  one.quiet = {quiet["source"] == "hook" ? Quiet::Source::kHook : Quiet::Source::kLooking, seconds("unchanged_s"), seconds("settle_s")};
  return one;
}

void expect_answer(const Json& expect, const Case& one) {
  const auto answer = assess({one.listing, one.pieces}, one.format, one.quiet);
  if (expect["state"] == "ambiguous") {
    ASSERT_FALSE(answer.ok());
    for (const std::string format : expect["formats"]) EXPECT_NE(answer.error().what.find(format), std::string::npos) << answer.error().what;
    return;
  }
  ASSERT_TRUE(answer.ok()) << answer.error().what;
  const auto* incomplete = std::get_if<Incomplete>(&answer.value());
  if (expect["state"] == "incomplete") {
    ASSERT_NE(incomplete, nullptr);
    EXPECT_EQ(incomplete->reason, expect["reason"].get<std::string>()) << incomplete->detail;
    return;
  }
  ASSERT_EQ(incomplete, nullptr) << incomplete->reason << ": " << incomplete->detail;
  const auto& complete = std::get<Complete>(answer.value());
  EXPECT_EQ(to_string(complete.kind), expect["format"].get<std::string>());
  EXPECT_EQ(complete.markers, expect["markers"].get<std::vector<std::string>>());
  EXPECT_EQ(complete.pointers, expect["pointers"].get<std::vector<std::string>>());
  EXPECT_EQ(complete.files.size(), one.listing.files.size());
}

TEST(Assess, SaysOfEveryFixtureWhatItExpects) {
  size_t cases = 0;
  for (const auto& file : std::filesystem::directory_iterator(kFixtures)) {
    if (file.path().extension() != ".json") continue;
    std::ifstream stream(file.path());
    const Json fixtures = Json::parse(stream);
    for (const Json& json : fixtures["cases"]) {
      SCOPED_TRACE(file.path().filename().string() + ": " + json["about"].get<std::string>());
      expect_answer(json["expect"], read_case(json));
      ++cases;
    }
  }
  EXPECT_GT(cases, 70U);
}

TEST(Assess, AsksForEveryPieceThatAFixtureGives) {
  for (const auto& file : std::filesystem::directory_iterator(kFixtures)) {
    if (file.path().extension() != ".json") continue;
    std::ifstream stream(file.path());
    const Json fixtures = Json::parse(stream);
    for (const Json& json : fixtures["cases"]) {
      const Case one = read_case(json);
      const auto wanted = wanted_pieces(one.listing);
      for (const auto& [name, bytes] : one.pieces) EXPECT_EQ(std::ranges::count(wanted, name), 1) << file.path() << ' ' << json["about"] << ' ' << name.path;
    }
  }
}

TEST(Assess, KnowsEveryFormatByItsName) {
  for (const std::string_view name : {"megatron", "deepspeed", "hf", "orbax", "lightning", "dcp", "safetensors", "torch"}) {
    const auto format = format_named(name);
    ASSERT_TRUE(format && format->kind) << name;
    EXPECT_EQ(to_string(*format->kind), name);
  }
  EXPECT_FALSE(format_named("auto")->kind);
  EXPECT_FALSE(format_named("pickle"));
}

}  // namespace
}  // namespace tideway::checkpoint
