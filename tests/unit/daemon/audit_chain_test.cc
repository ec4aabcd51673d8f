// SPDX-License-Identifier: Apache-2.0
#include "daemon/audit_chain.h"

#include "crypto/sha256.h"
#include "session/audit_event.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

using Lines = std::vector<std::string>;

Lines chain(size_t count) {
  ChainEnd end;
  Lines lines;
  for (size_t i = 0; i < count; ++i)
    lines.push_back(next_line(end, "2026-11-26T02:50:00.123Z", "\"event\":\"e" + std::to_string(i) + "\""));
  return lines;
}

// What the check says; empty: nothing is wrong.
std::string verdict(const Lines& lines) {
  ChainCheck check;
  for (const std::string& line : lines)
    if (Status status = check.take("a.jsonl", line); !status.ok()) {
      EXPECT_EQ(status.error().fault, Fault::kHashMismatch);
      return status.error().what;
    }
  return "";
}

TEST(AuditChain, LinesCarryTheHashOfTheLineBefore) {
  const Lines lines = chain(3);
  EXPECT_EQ(lines[0], R"({"v":1,"seq":1,"time":"2026-11-26T02:50:00.123Z","event":"e0","prev":")" + std::string(64, '0') + "\"}");
  const auto link = parse_link(lines[2]);
  ASSERT_TRUE(link.has_value());
  EXPECT_EQ(link->sequence, 3U);
  EXPECT_EQ(link->previous, crypto::sha256(std::as_bytes(std::span(lines[1]))));
  EXPECT_EQ(verdict(lines), "");
  EXPECT_EQ(end_at(lines[2])->sequence, 3U);
}

TEST(AuditChain, EachEditOfALineButTheLastIsFoundBehindIt) {
  const Lines good = chain(4);
  for (size_t line = 0; line + 1 < good.size(); ++line) {
    for (size_t at = 0; at < good[line].size(); ++at) {
      Lines bad = good;
      bad[line][at] = static_cast<char>(bad[line][at] ^ 1);
      EXPECT_NE(verdict(bad), "") << "line " << line << ", byte " << at;
    }
  }
  Lines bad = good;
  bad[1].replace(bad[1].find("e1"), 2, "eX");
  EXPECT_NE(verdict(bad).find("a.jsonl:3: the line before it (seq 2) was changed"), std::string::npos) << verdict(bad);
}

TEST(AuditChain, LastLineIsCoveredByItsHashAlone) {
  Lines lines = chain(2);
  const auto noted = end_at(lines[1]);
  lines[1].replace(lines[1].find("e1"), 2, "eX");
  EXPECT_EQ(verdict(lines), "");
  EXPECT_NE(end_at(lines[1])->hash, noted->hash);
}

TEST(AuditChain, RemovedLinesAreCounted) {
  Lines lines = chain(6);
  lines.erase(lines.begin() + 2, lines.begin() + 4);
  EXPECT_NE(verdict(lines).find("a.jsonl:3: 2 lines before this one are missing, from seq 3 on"), std::string::npos) << verdict(lines);
}

TEST(AuditChain, MovedAndRepeatedLinesAreFound) {
  Lines moved = chain(4);
  std::swap(moved[1], moved[2]);
  EXPECT_NE(verdict(moved).find("a.jsonl:2: 1 lines before this one are missing"), std::string::npos) << verdict(moved);
  Lines repeated = chain(3);
  repeated.push_back(repeated[1]);
  EXPECT_NE(verdict(repeated).find("a.jsonl:4: seq 2 stands behind seq 3"), std::string::npos) << verdict(repeated);
}

TEST(AuditChain, ForeignLinesAreNoneOfOurs) {
  const std::string good = chain(1)[0];
  for (const std::string& line : {std::string(), std::string("{}"), good + " ", " " + good, good.substr(0, good.size() - 1),
                                  R"({"v":1,"seq":0,"time":"x","prev":")" + std::string(64, '0') + "\"}",
                                  R"({"v":1,"seq":1,"time":"x","prev":")" + std::string(64, 'g') + "\"}",
                                  R"({"v":1,"seq":99999999999999999999,"time":"x","prev":")" + std::string(64, '0') + "\"}",
                                  R"({"v":1,"seq":1,"prev":")" + std::string(64, '0') + "\"}"})
    EXPECT_FALSE(parse_link(line).has_value()) << line;
}

TEST(AuditChain, AFileThatFollowsAnotherGoesOnAndAlonePassesFromItsFirstLine) {
  const Lines lines = chain(4);
  EXPECT_EQ(verdict({lines[2], lines[3]}), "");
  ChainCheck check;
  ASSERT_TRUE(check.take("a.1", lines[0]).ok());
  check.begin_file();
  const Status gap = check.take("a", lines[2]);
  ASSERT_FALSE(gap.ok());
  EXPECT_NE(gap.error().what.find("a:1: 1 lines before"), std::string::npos) << gap.error().what;
}

TEST(AuditEvent, NamesOfPeersCannotForgeALine) {
  const std::string hostile = "x\",\"event\":\"published\"}\n{\"v\":1,\x1b[2J\xff\\";
  const session::AuditEvent event = session::AuditEvent("grant_denied").with("path", hostile).with("bytes", uint64_t{7});
  EXPECT_EQ(event.members(), R"("event":"grant_denied","path":"x\",\"event\":\"published\"}\\x0a{\"v\":1,\\x1b[2J\\xff\\x5c","bytes":7)");
}

TEST(AuditEvent, FieldsAreBoundedSoThatLinesAre) {
  session::AuditEvent event("x");
  for (int i = 0; i < 4; ++i) event.with("f", std::string(100'000, '\x01'));
  ChainEnd end;
  const std::string line = next_line(end, "t", event.members());
  EXPECT_LT(line.size(), kAuditLineMax);
  EXPECT_TRUE(parse_link(line).has_value());
}

TEST(AuditEvent, LongNameIsNotCutWithinACharacter) {
  for (const std::string front : {"x", "xx"}) {  // one of them has a character across the limit
    std::string component;
    for (int i = 0; i < 100; ++i) component += "\xC3\xA9";
    std::vector<std::string> components(40, component);
    components[0] = front;
    const std::string members = session::AuditEvent("x").with("path", ObjectName::from_components(components).value()).members();
    EXPECT_EQ(members.substr(members.size() - 3), "\xC3\xA9\"") << front;
  }
}

}  // namespace
}  // namespace tideway::daemon
