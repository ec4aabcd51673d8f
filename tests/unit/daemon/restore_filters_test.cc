// SPDX-License-Identifier: Apache-2.0
#include "daemon/checkpoints.h"
#include "storage/filter.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

// What of a checkpoint comes.
std::string taken(const std::vector<std::string>& include) {
  storage::Filter filter;
  for (const job::Filter& one : filters_of(include))
    EXPECT_TRUE(filter.add(one.kind == job::Filter::Kind::kInclude ? storage::Verdict::kInclude : storage::Verdict::kExclude, one.pattern).ok());
  std::string text;
  const auto look = [&](const char* name, EntryType type) {
    if (filter.admits(ObjectName::from_text(name).value(), type)) text += std::string(name) + ' ';
  };
  look("model", EntryType::kDirectory);
  look("model/a.bin", EntryType::kFile);
  look("model/deep", EntryType::kDirectory);
  look("model/deep/a.bin", EntryType::kFile);
  look("optimizer", EntryType::kDirectory);
  look("optimizer/deep", EntryType::kDirectory);
  look("optimizer/deep/a.bin", EntryType::kFile);
  look("a.bin", EntryType::kFile);
  look("config.json", EntryType::kFile);
  return text;
}

TEST(RestoreFilters, TakeFilesFromTheTopOnAndEnterWhatIsAboveThem) {
  EXPECT_EQ(taken({"*.json"}), "config.json ");
  EXPECT_EQ(taken({"*.bin"}), "a.bin ") << "at the top alone";
  EXPECT_EQ(taken({"model/*.bin"}), "model model/a.bin ");
  EXPECT_EQ(taken({"model/deep/*", "config.json"}), "model model/deep model/deep/a.bin config.json ");
  EXPECT_EQ(taken({"optimizer/"}), "optimizer optimizer/deep optimizer/deep/a.bin ");
  EXPECT_EQ(taken({"/model/a.bin"}), "model model/a.bin ");
  EXPECT_TRUE(filters_of({"**"}).empty()) << "all of it";
  EXPECT_TRUE(filters_of({}).empty());
}

}  // namespace
}  // namespace tideway::daemon
