// SPDX-License-Identifier: Apache-2.0
#include "client/outbox.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

namespace tideway::client {
namespace {

using namespace std::chrono_literals;
using Calls = std::vector<std::string>;

// Takes down what becomes of it, and does what a test has for a step and for its leave.
class Noted final : public Item {
 public:
  using Step = std::function<std::optional<std::chrono::nanoseconds>()>;
  struct Acts {
    Step step = [] { return 1h; }, part = [] { return std::nullopt; };
  };
  Noted(std::string key, Calls& calls, Acts acts) : Item(std::move(key)), calls_(calls), acts_(std::move(acts)) {}
  std::optional<std::chrono::nanoseconds> step() override { return acts_.step(); }
  void spill() override { calls_.push_back(key() + " spilled"); }
  void end(tideway_state state, const Trouble&) override { calls_.push_back(key() + (state == TIDEWAY_SUPERSEDED ? " superseded" : " failed")); }
  std::optional<std::chrono::nanoseconds> part() override {
    calls_.push_back(key() + " parted");
    return acts_.part();
  }

 private:
  Calls& calls_;
  const Acts acts_;
};

TEST(Outbox, WhatFailsOfItselfTakesItsLeaveTooAndIsEndedOnce) {
  Calls calls;
  const auto fail = [] { return std::vector<std::optional<std::chrono::nanoseconds>>().at(0); };  // as a container does for want of memory
  const auto outbox = std::make_shared<Outbox>();
  ASSERT_FALSE(outbox->put(std::make_shared<Noted>("a", calls, Noted::Acts{fail, fail})));
  EXPECT_TRUE(outbox->flush(-1));
  outbox->finish();
  EXPECT_EQ(calls, (Calls{"a failed", "a parted"}));
}

TEST(Outbox, AtTheEndNobodyTakesLeaveBeforeTheOthersAreOnStableStorage) {
  Calls calls;
  const auto outbox = std::make_shared<Outbox>();
  std::promise<void> is_held, may_go;
  ASSERT_FALSE(outbox->put(std::make_shared<Noted>("held", calls, Noted::Acts{.step = [&] {
    is_held.set_value();
    may_go.get_future().wait();
    return std::nullopt;
  }})));
  is_held.get_future().wait();
  std::vector<std::shared_ptr<Noted>> others;
  for (size_t i = 1; i < kItemsMax; ++i) {
    others.push_back(std::make_shared<Noted>(i == 1 ? "a" : std::to_string(i), calls, Noted::Acts()));
    ASSERT_FALSE(outbox->put(others.back()));
  }
  ASSERT_FALSE(outbox->put(std::make_shared<Noted>("a", calls, Noted::Acts())));
  EXPECT_EQ(calls, Calls{"a superseded"}) << "the older one made room";
  for (size_t i = 1; i < others.size(); ++i) EXPECT_TRUE(outbox->remove(*others[i]));
  std::thread end([&] { outbox->finish(); });
  Calls refused;
  const auto probe = std::make_shared<Noted>("probe", refused, Noted::Acts());
  while (!outbox->put(probe)) {
    outbox->remove(*probe);
    std::this_thread::yield();
  }
  may_go.set_value();
  end.join();
  EXPECT_EQ(calls, (Calls{"a superseded", "a spilled", "a parted"}));
}

}  // namespace
}  // namespace tideway::client
