// SPDX-License-Identifier: Apache-2.0
#include "session/transfer_id.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

namespace tideway::session {
namespace {

CopyIdentity some_copy() {
  CopyIdentity copy;
  copy.sources = {"/runs/step-9000"};
  copy.destination = "wisconsin:ckpt/llm7/step-9000";
  copy.filters = {{messages::FilterKind::kExclude, "*.tmp"}};
  return copy;
}

TEST(TransferId, TheSameCopyHasTheSameNumber) {
  EXPECT_EQ(direct_transfer_id(some_copy()), direct_transfer_id(some_copy()));
  CopyIdentity other = some_copy();
  other.options.compress = messages::CompressMode::kOff;
  other.options.rate_max = Rate::bytes_per_second(5);
  EXPECT_EQ(direct_transfer_id(other), direct_transfer_id(some_copy())) << "how bytes travel does not count";
}

TEST(TransferId, WhateverChangesTheOutcomeChangesTheNumber) {
  const auto changed = [](const std::function<void(CopyIdentity&)>& change) {
    CopyIdentity copy = some_copy();
    change(copy);
    return direct_transfer_id(copy) != direct_transfer_id(some_copy());
  };
  EXPECT_TRUE(changed([](CopyIdentity& copy) { copy.sources.push_back("/runs/step-9001"); }));
  EXPECT_TRUE(changed([](CopyIdentity& copy) { copy.sources[0] += "0"; }));
  EXPECT_TRUE(changed([](CopyIdentity& copy) { copy.destination += "/"; }));
  EXPECT_TRUE(changed([](CopyIdentity& copy) { copy.form = messages::DestinationForm::kIntoDirectory; }));
  EXPECT_TRUE(changed([](CopyIdentity& copy) { copy.filters[0].kind = messages::FilterKind::kInclude; }));
  EXPECT_TRUE(changed([](CopyIdentity& copy) { copy.only.emplace(); })) << "no name is not every name";
  EXPECT_TRUE(changed([](CopyIdentity& copy) { copy.options.publish = messages::PublishForm::kMarker; }));
  EXPECT_TRUE(changed([](CopyIdentity& copy) { copy.options.last = {"DONE"}; }));
  for (const auto level : {messages::VerifyLevel::kWire, messages::VerifyLevel::kReadback})
    EXPECT_TRUE(changed([level](CopyIdentity& copy) { copy.options.verify = level; }));
}

TEST(TransferId, PartsCannotBeTakenForOthers) {
  CopyIdentity one = some_copy(), other = some_copy();
  one.sources = {"ab", "c"};
  other.sources = {"a", "bc"};
  EXPECT_NE(direct_transfer_id(one), direct_transfer_id(other));
}

TEST(TransferId, StagingIsApartForEachPeerAndLimitOfModes) {
  const TransferId id{std::byte{1}};
  const crypto::Identity atlanta{"example.org", "atlanta", "gw1"}, wisconsin{"example.org", "wisconsin", "gw1"};
  EXPECT_EQ(staging_id(id, atlanta, 0777), staging_id(id, atlanta, 0777));
  EXPECT_NE(staging_id(id, atlanta, 0777), staging_id(id, wisconsin, 0777));
  EXPECT_NE(staging_id(id, atlanta, 0777), staging_id(id, atlanta, 0700));
}

TEST(TransferId, APathIsTheSameHoweverItIsWritten) {
  const TempRoot root;
  root.make_dir("dir/sub");
  root.link("link", "dir");
  const std::string dir = (root / "dir/sub").string();
  EXPECT_EQ(absolute_path((root / "link/./sub").string()), absolute_path(dir));
  EXPECT_EQ(absolute_path((root / "dir/sub/../sub").string()), absolute_path(dir));
  EXPECT_EQ(absolute_path((root / "dir/new").string()), absolute_path((root / "link/new").string())) << "also when it is to be made";
}

}  // namespace
}  // namespace tideway::session
