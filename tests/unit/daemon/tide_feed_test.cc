// SPDX-License-Identifier: Apache-2.0
#include "daemon/tide_feed.h"

#include <gtest/gtest.h>

namespace tideway::daemon {
namespace {

constexpr Time kFeedNow{std::chrono::seconds(100)};

std::shared_ptr<http::Exchange> reader_after(const std::string& last_id = {}) {
  http::Request request;
  request.last_event_id = last_id;
  return std::make_shared<http::Exchange>(std::move(request), [] {});
}

struct TideFeedTest : testing::Test {
  TideFeed feed;
  void pass(uint64_t moments, const std::string& json = "{}") {
    for (uint64_t i = 0; i < moments; ++i) feed.on_moment(++id, json);
    feed.turn(kFeedNow);
  }
  uint64_t id = 0;
};

TEST_F(TideFeedTest, WhoComesGetsThePastAndThenEachMoment) {
  pass(3);
  const auto reader = reader_after();
  feed.add(reader);
  feed.turn(kFeedNow);
  const size_t past = reader->waiting();
  EXPECT_EQ(past, std::string(": tideway\n\n").size() + 3 * std::string("id: 1\nevent: tide\ndata: {}\n\n").size());
  pass(1);
  EXPECT_GT(reader->waiting(), past);
  EXPECT_EQ(feed.next_deadline(kFeedNow), kFeedNow + TideFeed::kCommentEvery);
}

TEST_F(TideFeedTest, WhoComesAgainGetsWhatIsNew) {
  pass(3);
  const auto reader = reader_after("2");
  feed.add(reader);
  feed.turn(kFeedNow);
  EXPECT_EQ(reader->waiting(), std::string(": tideway\n\n").size() + std::string("id: 3\nevent: tide\ndata: {}\n\n").size());
}

// All five minutes at once used to be more than a reader may have waiting, and ended its stream.
TEST_F(TideFeedTest, ThePastDoesNotEndAStream) {
  pass(2 * TideFeed::kMomentsKept, std::string(1000, ' '));
  const auto reader = reader_after();
  feed.add(reader);
  feed.turn(kFeedNow);
  EXPECT_FALSE(reader->has_ended());
  EXPECT_LT(reader->waiting(), TideFeed::kAheadMax + 2000);
  EXPECT_EQ(feed.next_deadline(kFeedNow), kFeedNow + TideFeed::kReplayEvery);  // the rest as it goes out
}

TEST_F(TideFeedTest, AReaderWhoHasGoneIsForgotten) {
  const auto reader = reader_after();
  feed.add(reader);
  reader->end();
  feed.turn(kFeedNow);
  EXPECT_EQ(feed.readers(), 0u);
  EXPECT_EQ(feed.next_deadline(kFeedNow), kNever);
}

// The plot used to stand still until the calendar was there again.
TEST_F(TideFeedTest, ACalendarThatGoesBackStopsNothing) {
  id = 7000;
  pass(3);
  const auto reader = reader_after("7003");
  feed.add(reader);
  feed.turn(kFeedNow);
  id = 3000;
  pass(2);
  EXPECT_EQ(reader->waiting(), std::string(": tideway\n\n").size() + 2 * std::string("id: 7004\nevent: tide\ndata: {}\n\n").size());
}

TEST_F(TideFeedTest, WhoComesFromACalendarThatWasAheadGetsAll) {
  pass(3);
  const auto reader = reader_after("7000");
  feed.add(reader);
  feed.turn(kFeedNow);
  EXPECT_EQ(reader->waiting(), std::string(": tideway\n\n").size() + 3 * std::string("id: 1\nevent: tide\ndata: {}\n\n").size());
}

}  // namespace
}  // namespace tideway::daemon
