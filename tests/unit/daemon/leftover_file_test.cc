// SPDX-License-Identifier: Apache-2.0
#include "daemon/leftover_file.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fstream>

namespace tideway::daemon {
namespace {

LeftoverHistories two_links() {
  LeftoverHistories histories;
  for (const auto& [peer, rate] : {std::pair("wisconsin", 1000U), std::pair("oslo", 70U)})
    for (int minute = 0; minute < 600; ++minute)
      histories[peer].on_measured(std::chrono::sys_seconds(std::chrono::days(20'000)) + minute * std::chrono::minutes(1), {Bytes(60 * rate), std::chrono::minutes(1)});
  histories["bergen"];  // nothing was seen there
  return histories;
}

TEST(LeftoverFile, BringsEachLinkBack) {
  const auto back = parse_histories(to_text(two_links()));
  ASSERT_TRUE(back);
  ASSERT_EQ(back->size(), 3U);
  for (const auto& [peer, history] : two_links()) EXPECT_EQ(back->at(peer).to_text(), history.to_text()) << peer;
  EXPECT_TRUE(parse_histories(to_text(LeftoverHistories{})));
}

TEST(LeftoverFile, TakesNothingOfATextThatIsDamaged) {
  const std::string whole = to_text(two_links());
  for (size_t length = 0; length < whole.size(); ++length) ASSERT_FALSE(parse_histories(whole.substr(0, length))) << length;
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ 1);
    ASSERT_FALSE(parse_histories(damaged)) << at;
  }
  EXPECT_FALSE(parse_histories(whole + whole));
}

TEST(LeftoverFile, OutlivesTheProcessAndAFileThatIsNone) {
  const TempRoot root;
  const std::string name = root / "leftover";
  EXPECT_TRUE(LeftoverFile(name).load().empty());
  LeftoverFile(name).save(two_links());
  EXPECT_EQ(to_text(LeftoverFile(name).load()), to_text(two_links()));
  std::ofstream(name) << "rubbish";
  EXPECT_TRUE(LeftoverFile(name).load().empty());
  LeftoverFile(name).save({});
  EXPECT_TRUE(LeftoverFile(name).load().empty());
  LeftoverFile("").save(two_links());
}

}  // namespace
}  // namespace tideway::daemon
