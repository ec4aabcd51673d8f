// SPDX-License-Identifier: Apache-2.0
#include "session/grants.h"

#include "support/object_names.h"

#include <gtest/gtest.h>

namespace tideway::session {
namespace {

using namespace std::chrono_literals;
using crypto::Identity;
using crypto::IdentityPattern;

const Identity kGw1{"example.org", "wisconsin", "gw1"};
const Identity kLaptop{"example.org", "wisconsin", "ops-laptop"};
const Identity kStranger{"example.org", "oregon", "gw1"};

IdentityPattern pattern(std::string_view text) { return IdentityPattern::parse(text).value(); }
using test::name;

Grant grant(std::string_view peer, std::string_view prefix, GrantOps ops, std::string rule) {
  return {pattern(peer), "ckpt", name(prefix), ops, {}, std::move(rule)};
}

const GrantTable& table() {
  static const GrantTable made({
      grant("spiffe://example.org/site/wisconsin/gw/*", "runs/llm7", {GrantOp::kRead, GrantOp::kList}, "t.toml:10"),
      grant("spiffe://example.org/site/wisconsin/gw/gw1", "runs", {GrantOp::kWrite}, "t.toml:20"),
  });
  return made;
}

TEST(GrantTable, DeniesEverythingWithoutAGrant) {
  EXPECT_FALSE(GrantTable().decide(kGw1, "ckpt", name("runs/llm7"), GrantOp::kRead).is_allowed());
  EXPECT_EQ(GrantTable().decide(kGw1, "ckpt", name(""), GrantOp::kRead).rule(), "no grant");
}

TEST(GrantTable, AllowsWhatIsWrittenAndNamesTheRule) {
  const Decision decision = table().decide(kLaptop, "ckpt", name("runs/llm7/step-1"), GrantOp::kRead);
  EXPECT_TRUE(decision.is_allowed());
  EXPECT_EQ(decision.rule(), "t.toml:10");
  EXPECT_TRUE(table().decide(kLaptop, "ckpt", name("runs/llm7"), GrantOp::kList).is_allowed());
}

TEST(GrantTable, NoOperationImpliesAnother) {
  EXPECT_TRUE(table().decide(kGw1, "ckpt", name("runs/llm8"), GrantOp::kWrite).is_allowed());
  for (const GrantOp op : {GrantOp::kRead, GrantOp::kList, GrantOp::kOverwrite, GrantOp::kDelete})
    EXPECT_FALSE(table().decide(kGw1, "ckpt", name("runs/llm8"), op).is_allowed()) << to_string(op);
}

TEST(GrantTable, PrefixIsComparedByWholeComponents) {
  EXPECT_FALSE(table().decide(kLaptop, "ckpt", name("runs/llm70"), GrantOp::kRead).is_allowed());
  EXPECT_FALSE(table().decide(kLaptop, "ckpt", name("runs"), GrantOp::kRead).is_allowed());
  EXPECT_FALSE(table().decide(kLaptop, "ckpt", name(""), GrantOp::kList).is_allowed());
}

TEST(GrantTable, OtherPeersAndOtherRootsGetNothing) {
  EXPECT_FALSE(table().decide(kStranger, "ckpt", name("runs/llm7"), GrantOp::kRead).is_allowed());
  EXPECT_FALSE(table().decide(kGw1, "data", name("runs/llm7"), GrantOp::kRead).is_allowed());
  EXPECT_FALSE(table().decide(kGw1, "", name("runs/llm7"), GrantOp::kRead).is_allowed());
  EXPECT_TRUE(table().knows(kLaptop));
  EXPECT_FALSE(table().knows(kStranger));
}

TEST(GrantTable, RootsAreShownToWhomTheyLetListOrReadAndToNobodyElse) {
  const auto in = [](std::string root, GrantOps ops) {
    Grant made = grant("spiffe://example.org/site/wisconsin/gw/gw1", "deep/below", ops, "");
    made.root = std::move(root);
    return made;
  };
  const GrantTable made({in("b", {GrantOp::kRead}), in("a", {GrantOp::kList}), in("b", {GrantOp::kList}), in("c", {GrantOp::kWrite, GrantOp::kOverwrite, GrantOp::kDelete})});
  EXPECT_EQ(made.roots_shown_to(kGw1), (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(made.roots_shown_to(kLaptop).empty());
}

TEST(GrantTable, MostSpecificGrantGivesTheLimits) {
  Grant wide = grant("spiffe://example.org/site/*/gw/*", "", {GrantOp::kWrite}, "wide");
  Grant deep = grant("spiffe://example.org/site/*/gw/*", "runs/llm7", {GrantOp::kWrite}, "deep");
  Grant exact = grant("spiffe://example.org/site/wisconsin/gw/gw1", "runs/llm7", {GrantOp::kWrite}, "exact");
  Grant late = exact;
  late.rule = "late";
  const GrantTable all({wide, deep, exact, late});
  EXPECT_EQ(all.decide(kGw1, "ckpt", name("a"), GrantOp::kWrite).rule(), "wide");
  EXPECT_EQ(all.decide(kLaptop, "ckpt", name("runs/llm7/a"), GrantOp::kWrite).rule(), "deep");
  EXPECT_EQ(all.decide(kGw1, "ckpt", name("runs/llm7/a"), GrantOp::kWrite).rule(), "exact");
}

ManifestEntry entry(Bytes size) {
  ManifestEntry made;
  made.size = size;
  return made;
}

TEST(GrantMeter, EachLimitIsMetByItselfAndNamesItself) {
  const std::vector<ManifestEntry> page{entry(4_B), entry(3_B)};
  GrantMeter exact({.bytes_max = 14_B, .files_max = 4});
  EXPECT_TRUE(exact.take(page).ok());
  EXPECT_TRUE(exact.take(page).ok());
  GrantMeter bytes({.bytes_max = 13_B});
  EXPECT_TRUE(bytes.take(page).ok());
  const Status too_large = bytes.take(page);
  ASSERT_FALSE(too_large.ok());
  EXPECT_EQ(too_large.error().fault, Fault::kLimitExceeded);
  EXPECT_NE(too_large.error().next.find("max_bytes"), std::string::npos);
  GrantMeter files({.files_max = 3});
  EXPECT_TRUE(files.take(page).ok());
  const Status too_many = files.take(page);
  ASSERT_FALSE(too_many.ok());
  EXPECT_EQ(too_many.error().fault, Fault::kLimitExceeded);
  EXPECT_NE(too_many.error().next.find("max_files"), std::string::npos);
}

TEST(GrantMeter, ATighterLimitCountsWhatWasTakenBefore) {
  const std::vector<ManifestEntry> page{entry(4_B), entry(3_B)};
  GrantMeter meter({.bytes_max = 20_B, .files_max = 6});
  ASSERT_TRUE(meter.take(page).ok());
  EXPECT_TRUE(meter.narrow({.bytes_max = 14_B, .files_max = 5}).ok());
  EXPECT_TRUE(meter.narrow({}).ok());
  EXPECT_TRUE(meter.take(page).ok());
  EXPECT_FALSE(meter.take(page).ok()) << "a wider limit changes nothing";
  EXPECT_FALSE(meter.narrow({.bytes_max = 13_B}).ok());
}

TEST(GrantMeter, X08SizesThatAddUpBeyondAllNumbersAreRefused) {
  GrantMeter meter({.bytes_max = Bytes::max()});
  EXPECT_TRUE(meter.take(std::vector{entry(Bytes::max())}).ok());
  EXPECT_FALSE(meter.take(std::vector{entry(1_B)}).ok());
}

// A peer that sends `rate` in steps of 10 ms; how many seconds it is let alone, at most an hour.
int seconds_let_alone(Rate allowed, Rate rate) {
  RateGuard guard;
  for (int step = 0; step < 360'000; ++step)
    if (!guard.take(Time(1s) + step * 10ms, allowed, rate.over(10ms)).ok()) return step / 100;
  return 3600;
}

TEST(RateGuard, X23AnHonestPeerIsNeverNoticedAndOneThatSendsTwiceAsMuchIsSoon) {
  EXPECT_EQ(seconds_let_alone(1_Gbit, 1_Gbit), 3600);
  EXPECT_LT(seconds_let_alone(1_Gbit, 2_Gbit), 15);
  EXPECT_LT(seconds_let_alone(100_Mbit, 200_Mbit), 60);
  EXPECT_EQ(seconds_let_alone(Rate::unlimited(), 100_Gbit), 3600);
}

TEST(RateGuard, X23SilenceIsNotSavedUpForLater) {
  RateGuard guard;
  EXPECT_TRUE(guard.take(Time(1s), 1_Gbit, 0_B).ok());
  const Status status = guard.take(Time(3601s), 1_Gbit, 2_GiB);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.error().fault, Fault::kLimitExceeded);
  EXPECT_NE(status.error().what.find("max_rate of its grants, 1 Gbit/s"), std::string::npos) << status.error().what;
  EXPECT_TRUE(guard.take(Time(3602s), 1_Gbit, 100_MiB).ok());
}

TEST(GrantLimits, RequestThatNeedsSeveralGrantsHasTheLeastOfEach) {
  const GrantLimits a{.bytes_max = 1_GiB, .files_max = 10, .flows_max = 4, .rate_max = 1_Gbit, .modes = 0750};
  const GrantLimits b{.bytes_max = 2_GiB, .files_max = 5, .flows_max = 8, .rate_max = 2_Gbit, .modes = 0644};
  EXPECT_EQ(narrowest(a, b), (GrantLimits{1_GiB, 5, 4, 1_Gbit, 0640}));
  EXPECT_EQ(narrowest(a, b), narrowest(b, a));
}

TEST(Refusal, SaysTheSameForForbiddenAndAbsent) {
  const Error error = refusal("ckpt", name("runs/llm7"));
  EXPECT_EQ(error.fault, Fault::kDenied);
  EXPECT_NE(error.what.find("not there, or not allowed"), std::string::npos);
  EXPECT_NE(error.what.find("runs/llm7"), std::string::npos);
}

TEST(GrantOp, NamesRoundTripAndOthersAreUnknown) {
  for (const GrantOp op : {GrantOp::kRead, GrantOp::kList, GrantOp::kWrite, GrantOp::kOverwrite, GrantOp::kDelete})
    EXPECT_EQ(grant_op_named(to_string(op)), op);
  EXPECT_FALSE(grant_op_named("rw").has_value());
}

}  // namespace
}  // namespace tideway::session
