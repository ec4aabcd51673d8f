// SPDX-License-Identifier: Apache-2.0
#include "daemon/inbox.h"

#include "storage/pin.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

class InboxTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(storage::make_request_dirs(*dir_, std::nullopt).ok()); }
  void write(const std::string& name, std::string_view text) { root_.write(".tideway/inbox/" + name, text); }
  std::string read(const std::string& name) { return root_.read(".tideway/inbox/" + name); }

  TempRoot root_;
  session::RootPtr dir_ = std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(root_.path().string(), storage::Side::kSource).value());
  Inbox inbox_{"ckpt", dir_};
};

TEST_F(InboxTest, ARequestIsGivenOnceWithItsOwnerAndGoesWhenItIsAnswered) {
  write("a1.json", "{}");
  write("b2.json.tmp", "not renamed yet");
  const auto requests = inbox_.look(0);
  ASSERT_EQ(requests.size(), 1U);
  EXPECT_EQ(requests[0].submission_id, "a1");
  EXPECT_EQ(requests[0].body, "{}");
  EXPECT_EQ(requests[0].caller.uid, ::getuid());
  EXPECT_TRUE(inbox_.look(0).empty());
  EXPECT_EQ(inbox_.pending(), 1U);
  inbox_.answer("a1", "{\"id\":\"7b1e\"}");
  EXPECT_EQ(read("a1.status.json"), "{\"id\":\"7b1e\"}");
  EXPECT_FALSE(root_.exists(".tideway/inbox/a1.json"));
  EXPECT_EQ(inbox_.pending(), 0U);
  write("a1.json", "{}");
  EXPECT_EQ(inbox_.look(0).size(), 1U) << "it comes again";
}

TEST_F(InboxTest, AnotherGatewayOrTheNextStartTakesWhatHasNoAnswer) {
  write("a1.json", "{}");
  ASSERT_EQ(inbox_.look(0).size(), 1U);
  Inbox next("ckpt", dir_);
  EXPECT_EQ(next.look(0).size(), 1U);
}

TEST_F(InboxTest, WhatIsNoRequestIsRefusedInItsAnswer) {
  root_.write("secret", "{}");
  root_.link(".tideway/inbox/link.json", "../../secret");
  std::filesystem::create_hard_link(root_ / "secret", root_ / ".tideway/inbox/hard.json");
  write("large.json", std::string(Inbox::kRequestMax.count() + 1, ' '));
  root_.make_dir(".tideway/inbox/dir.json");
  EXPECT_TRUE(inbox_.look(0).empty());
  for (const char* name : {"link", "hard", "large"}) EXPECT_NE(read(std::string(name) + ".status.json").find("\"code\""), std::string::npos) << name;
  EXPECT_TRUE(root_.exists("secret"));
}

TEST_F(InboxTest, OldAnswersGo) {
  write("a1.status.json", "{}");
  EXPECT_TRUE(inbox_.look(0).empty());
  EXPECT_TRUE(root_.exists(".tideway/inbox/a1.status.json"));
  EXPECT_TRUE(inbox_.look(std::numeric_limits<int64_t>::max()).empty());
  EXPECT_FALSE(root_.exists(".tideway/inbox/a1.status.json"));
}

}  // namespace
}  // namespace tideway::daemon
