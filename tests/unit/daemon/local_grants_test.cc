// SPDX-License-Identifier: Apache-2.0
#include "daemon/local_grants.h"

#include "support/object_names.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace tideway::daemon {
namespace {

using session::GrantOp;

using test::name;

// Users and groups that every Debian has, by number.
constexpr uint32_t kNobody = 65534, kDaemonUser = 1, kDaemonGroup = 1;

TEST(LocalGrants, AllowWhatIsWrittenAndNothingElse) {
  const auto grants = LocalGrants::resolve({
      {LocalGrant::Who::kUser, "nobody", "ckpt", name("runs"), {GrantOp::kRead}, "t:1"},
      {LocalGrant::Who::kGroup, "daemon", "ckpt", {}, {GrantOp::kWrite}, "t:2"},
  });
  ASSERT_TRUE(grants.ok()) << grants.error().what;
  const http::Caller nobody{kNobody, kNobody, {}}, member{12345, 12345, {7, kDaemonGroup}}, primary{12345, kDaemonGroup, {}}, user{kDaemonUser, 12345, {}};
  struct Row {
    const http::Caller& caller;
    std::string_view root, name;
    GrantOp op;
    bool allowed;
  };
  const Row kTable[] = {
      {nobody, "ckpt", "runs/llm7", GrantOp::kRead, true},   {nobody, "ckpt", "runs", GrantOp::kRead, true},
      {nobody, "ckpt", "", GrantOp::kRead, false},           {nobody, "ckpt", "runs2", GrantOp::kRead, false},
      {nobody, "ckpt", "runs/a", GrantOp::kWrite, false},    {nobody, "data", "runs/a", GrantOp::kRead, false},
      {member, "ckpt", "x", GrantOp::kWrite, true},          {primary, "ckpt", "x", GrantOp::kWrite, true},
      {member, "ckpt", "x", GrantOp::kRead, false},          {user, "ckpt", "x", GrantOp::kWrite, false},
  };
  for (const Row& row : kTable)
    EXPECT_EQ(grants.value().rule_for(row.caller, row.root, name(row.name), row.op).has_value(), row.allowed) << row.caller.uid << ' ' << row.root << ':' << row.name;
}

TEST(LocalGrants, WhoMayWriteMayNotReplace) {
  const auto writes = LocalGrants::resolve({{LocalGrant::Who::kUser, "nobody", "ckpt", {}, {GrantOp::kWrite}, "t:1"}});
  const auto replaces = LocalGrants::resolve({{LocalGrant::Who::kUser, "nobody", "ckpt", {}, {GrantOp::kWrite, GrantOp::kOverwrite}, "t:1"}});
  ASSERT_TRUE(writes.ok() && replaces.ok());
  session::CopyRequest request;
  request.destination = session::LocalAddress{"ckpt:runs/llm7"};
  const http::Caller nobody{kNobody, kNobody, {}};
  EXPECT_TRUE(writes.value().allow(nobody, request).ok());
  request.options.overwrite = messages::Overwrite::kAlways;
  EXPECT_EQ(writes.value().allow(nobody, request).error().fault, Fault::kDenied);
  EXPECT_TRUE(replaces.value().allow(nobody, request).ok());
}

// It passes the gate, so with that word anybody could stop a training.
TEST(LocalGrants, TheClassRestoreIsForThePrivileged) {
  const http::Caller nobody{kNobody, kNobody, {}};
  EXPECT_EQ(LocalGrants::allow_class(nobody, job::Class::kRestore).error().fault, Fault::kDenied);
  for (const job::Class service : {job::Class::kCheckpoint, job::Class::kStaging, job::Class::kBestEffort}) EXPECT_TRUE(LocalGrants::allow_class(nobody, service).ok());
  EXPECT_TRUE(LocalGrants::allow_class({0, 0, {}}, job::Class::kRestore).ok());
  EXPECT_TRUE(LocalGrants::allow_class({::geteuid(), 0, {}}, job::Class::kRestore).ok());
}

TEST(LocalGrants, RootAndTheGatewaysOwnUserNeedNone) {
  const LocalGrants none;
  EXPECT_TRUE(none.rule_for({0, 0, {}}, "ckpt", {}, GrantOp::kWrite));
  EXPECT_TRUE(none.rule_for({::geteuid(), 0, {}}, "ckpt", {}, GrantOp::kWrite));
  EXPECT_FALSE(none.rule_for({::geteuid() + 1, 0, {}}, "ckpt", {}, GrantOp::kWrite));
}

TEST(LocalGrants, EachDecisionIsWrittenDownWithItsRule) {
  std::vector<std::string> lines;
  const auto grants = LocalGrants::resolve({{LocalGrant::Who::kUser, "nobody", "ckpt", {}, {GrantOp::kWrite}, "t:7"}},
                                           [&](const session::AuditEvent& event) { lines.push_back(event.members()); });
  ASSERT_TRUE(grants.ok());
  session::CopyRequest request;
  request.sources = {session::RemoteAddress{}};  // the peer judges its own
  request.destination = session::LocalAddress{"ckpt:runs/llm7"};
  request.options.overwrite = messages::Overwrite::kAlways;
  EXPECT_FALSE(grants.value().allow({kNobody, kNobody, {}}, request).ok());
  ASSERT_EQ(lines.size(), 2U);
  EXPECT_EQ(lines[0], R"("event":"grant_allowed","uid":65534,"op":"write","root":"ckpt","path":"runs/llm7","rule":"t:7")");
  EXPECT_EQ(lines[1], R"("event":"grant_denied","uid":65534,"op":"overwrite","root":"ckpt","path":"runs/llm7","rule":"no grant")");
  EXPECT_TRUE(grants.value().allow({0, 0, {}}, request).ok());
  ASSERT_EQ(lines.size(), 4U);
  EXPECT_NE(lines[2].find(R"("uid":0,"op":"write")"), std::string::npos) << lines[2];
  EXPECT_NE(lines[2].find("root or the gateway's own user"), std::string::npos) << lines[2];
}

TEST(LocalGrants, AJobIsJudgedAgainByWhoBroughtItAndOnlyADenialIsWrittenDown) {
  size_t lines = 0;
  const auto granted = LocalGrants::resolve({{LocalGrant::Who::kUser, "nobody", "ckpt", {}, {GrantOp::kRead}, "t:7"}}, [&](const session::AuditEvent&) { ++lines; });
  const auto none = LocalGrants::resolve({}, [&](const session::AuditEvent&) { ++lines; });
  ASSERT_TRUE(granted.ok() && none.ok());
  session::CopyRequest request;
  request.sources = {session::LocalAddress{"ckpt:runs/llm7"}};
  request.destination = session::RemoteAddress{};
  job::Job job;
  job.owner = kNobody;
  job.groups = groups_of({kNobody, kNobody, {7}});
  EXPECT_TRUE(granted.value().allow_still(job, request).ok());
  EXPECT_EQ(lines, 0U);
  EXPECT_EQ(none.value().allow_still(job, request).error().fault, Fault::kDenied);
  EXPECT_EQ(lines, 1U);
  job.groups.clear();
  EXPECT_TRUE(none.value().allow_still(job, request).ok()) << "of a version that did not keep them";
}

TEST(LocalGrants, ARuleForSomebodyWhoDoesNotExistStopsTheStart) {
  const auto grants = LocalGrants::resolve({{LocalGrant::Who::kGroup, "no-such-group", "ckpt", {}, {GrantOp::kRead}, "tideway.toml:42"}});
  ASSERT_FALSE(grants.ok());
  EXPECT_EQ(grants.error().fault, Fault::kConfigInvalid);
  EXPECT_NE(grants.error().what.find("tideway.toml:42"), std::string::npos);
}

}  // namespace
}  // namespace tideway::daemon
