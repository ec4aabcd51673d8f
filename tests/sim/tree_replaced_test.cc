// SPDX-License-Identifier: Apache-2.0
//
// A tree that takes the place of another one: what has to be known before anything is sent, and who reads the former one meanwhile.
#include "sim/copy_bench.h"
#include "storage/sweep.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <map>

namespace tideway::test {
namespace {

namespace fs = std::filesystem;
constexpr size_t kReplacedLeaf = 4'194'304;
constexpr uint64_t kReplacedCallsMax = 1000;

class TreeReplaced : public testing::Test {
 protected:
  // The same names, sizes and times with every seed: nothing but its bytes tells one tree from another.
  void put_tree(uint64_t seed) {
    bench_.put("a", 10, seed);
    for (const char* name : {"b", "dir/c", "z"}) bench_.put(name, kReplacedLeaf + 5000, seed + 1);
  }
  static CopyBench::Run replacing() {
    CopyBench::Run run;
    run.copy.options.publish = messages::PublishForm::kRename;
    run.copy.options.overwrite = messages::Overwrite::kAlways;
    return run;
  }
  void publish_former() {
    bench_.clear();
    fs::remove_all(former());
    put_tree(1);
    ASSERT_TRUE(bench_.run({}).is_published());
    fs::copy(bench_.source(), former(), fs::copy_options::recursive);
    put_tree(100);
  }
  fs::path former() const { return bench_.disk().parent_path() / "former"; }
  fs::path second() const { return bench_.disk().parent_path() / "second"; }
  bool is_former_left() const { return fs::exists(bench_.disk() / ".tideway"); }
  void sweep_soon() const {
    const auto root = storage::RootedDir::open_host_path(bench_.disk().string(), storage::Side::kDestination).value();
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    ASSERT_TRUE(storage::sweep_staging(root, std::chrono::hours(24), std::chrono::nanoseconds(now).count()).ok());
  }
  // Whether all files there are those of the former tree; what is there of another one is wrong.
  static bool is_tree(const fs::path& there, const fs::path& expected) {
    for (const auto& entry : fs::recursive_directory_iterator(expected))
      if (entry.is_regular_file() && read_file(there / entry.path().lexically_relative(expected)) != read_file(entry.path())) return false;
    return true;
  }
  struct Read {
    SimCopy::Outcome outcome;
    bool was_under_way = false;  // when the tree was replaced
    bool was_left = false;       // the former one, until it was through
    std::vector<Error> reported;
  };
  // A copy from the tree, which another one takes the place of after so many turns.
  Read read_while_replaced(uint64_t turns, const std::function<CopyBench::Came()>& replace) {
    fs::remove_all(second());
    fs::create_directory(second());
    SimCopyConfig config;
    config.source = bench_.disk();
    config.source_name = "out";
    config.root = second();
    config.late_max = 4;
    SimCopy reader(config);
    Read came;
    reader.run([&] { return reader.turns() < turns; });
    came.was_under_way = !fs::exists(second() / "out");
    const CopyBench::Came replaced = replace();
    EXPECT_TRUE(replaced.is_published()) << replaced.text();
    EXPECT_EQ(bench_.check_whole(), "");
    came.was_left = is_former_left();
    sweep_soon();
    EXPECT_EQ(is_former_left(), came.was_left) << "swept while it was held";
    if (came.was_under_way) came.outcome = reader.run([] { return true; });
    came.reported = reader.reported();
    reader.end();
    sweep_soon();
    EXPECT_FALSE(is_former_left()) << "nobody reads it any more";
    return came;
  }
  Read read_while_replaced(uint64_t turns) {
    return read_while_replaced(turns, [this] { return bench_.run(replacing()); });
  }
  static CopyBench::Run dying_at(uint64_t call) {
    CopyBench::Run dying = replacing();
    dying.fault = {.kind = DiskFault::Kind::kPowerCut, .at = call, .calls = DiskFault::Calls::kChanges};
    return dying;
  }
  uint64_t first_call_behind_the_exchange() {
    const auto is_before = [this](uint64_t call) {
      publish_former();
      return bench_.run(dying_at(call)).was_hit && !bench_.check_whole().empty();
    };
    return first_call_without(kReplacedCallsMax, is_before);
  }
  // By a process that dies behind the exchange, whose ledger is lost, and by another one then.
  CopyBench::Came replace_twice(uint64_t dies_at) const {
    EXPECT_TRUE(bench_.run(dying_at(dies_at)).was_hit);
    EXPECT_EQ(bench_.check_whole(), "");
    for (const auto& staging : fs::directory_iterator(bench_.disk() / ".tideway"))
      if (fs::exists(staging.path() / "ledger")) fs::resize_file(staging.path() / "ledger", 1);
    return bench_.run(replacing());
  }
  CopyBench bench_;
};

TEST_F(TreeReplaced, F23IsRefusedBeforeAnythingIsSentWhereTheFileSystemCannotExchange) {
  publish_former();
  CopyBench::Run run = replacing();
  run.fault = {.kind = DiskFault::Kind::kNoExchange};
  const CopyBench::Came came = bench_.run(run);
  ASSERT_TRUE(came.outcome && !came.outcome->ok()) << came.text();
  EXPECT_EQ(came.outcome->error().fault, Fault::kUnsupported) << came.text();
  EXPECT_NE(came.outcome->error().what.find("\"out\" cannot be replaced"), std::string::npos) << came.text();
  EXPECT_TRUE(came.was_hit);
  EXPECT_EQ(came.read, 0_B);
  EXPECT_FALSE(is_former_left()) << "nothing of it stays in staging";
  EXPECT_TRUE(is_tree(bench_.out(), former()));
}

TEST_F(TreeReplaced, F23TheRootItselfIsRefusedBeforeAnythingIsSent) {
  publish_former();
  CopyBench::Run run = replacing();
  run.copy.destination = "";
  const CopyBench::Came came = bench_.run(run);
  ASSERT_TRUE(came.outcome && !came.outcome->ok()) << came.text();
  EXPECT_EQ(came.outcome->error().fault, Fault::kTypeConflict) << came.text();
  EXPECT_EQ(came.read, 0_B);
  EXPECT_FALSE(is_former_left());
}

// Whatever it had read, opened or listed by then.
TEST_F(TreeReplaced, F25ACopyFromTheFormerTreeEndsWithAllOfThatAndNothingOfTheOther) {
  bool is_under_way = true;
  uint64_t turns = 1, left = 0;
  for (; is_under_way && turns < 1000 && !HasFailure(); turns += 2) {
    publish_former();
    const Read came = read_while_replaced(turns);
    is_under_way = came.was_under_way;
    if (!is_under_way) break;
    left += came.was_left ? 1 : 0;
    ASSERT_TRUE(came.outcome && came.outcome->ok()) << turns << ": " << (came.outcome ? came.outcome->error().what : "no end");
    EXPECT_TRUE(is_tree(second() / "out", former())) << "replaced after " << turns << " turns";
  }
  EXPECT_GE(turns, 5U);
  EXPECT_GE(left, 3U);
}

TEST_F(TreeReplaced, F25WhoeverReadsTheFormerTreeHasItBehindALedgerThatIsLost) {
  const uint64_t dies_at = first_call_behind_the_exchange();
  for (const uint64_t turns : {5U, 9U}) {
    publish_former();
    const Read came = read_while_replaced(turns, [&] { return replace_twice(dies_at); });
    ASSERT_TRUE(came.was_under_way && came.outcome && came.outcome->ok()) << turns << ": " << (came.outcome ? came.outcome->error().what : "no end");
    EXPECT_TRUE(came.was_left);
    EXPECT_TRUE(is_tree(second() / "out", former())) << "replaced after " << turns << " turns";
  }
}

// Nobody holds what was not published here, and it goes with staging.
TEST_F(TreeReplaced, F25ACopyFromATreeThatNobodyHoldsEndsWithAllOfThatOrNotAtAll) {
  bool is_under_way = true;
  uint64_t refused = 0, vanished = 0;
  for (uint64_t turns = 1; is_under_way && turns < 1000 && !HasFailure(); turns += 2) {
    publish_former();
    fs::remove(bench_.out() / ".tideway-manifest");
    const Read came = read_while_replaced(turns);
    is_under_way = came.was_under_way;
    if (!is_under_way) break;
    ASSERT_TRUE(came.outcome.has_value()) << turns;
    if (came.outcome->ok()) {
      EXPECT_TRUE(is_tree(second() / "out", former())) << "replaced after " << turns << " turns";
    } else {
      refused += 1;
      EXPECT_FALSE(fs::exists(second() / "out")) << turns;
      const Fault why = came.outcome->error().fault;
      EXPECT_TRUE(why == Fault::kSourceVanished || why == Fault::kEntriesFailed) << came.outcome->error().what;
      vanished += why == Fault::kSourceVanished || std::ranges::count(came.reported, Fault::kSourceVanished, &Error::fault) > 0 ? 1 : 0;
    }
  }
  EXPECT_GE(refused, 1U);
  EXPECT_EQ(vanished, refused) << "whoever is refused is told that it has gone";
}

// The former tree is whole until the new one is, whoever dies at whatever call; then another run ends it.
TEST_F(TreeReplaced, ATreeThatIsReplacedIsTheFormerOneOrTheNewOneAtAnyTime) {
  const std::map<std::string, std::string> former = {{"a", "former a"}, {"only/former", "b"}};
  const auto is_former = [&] {
    std::map<std::string, std::string> there;
    for (const auto& file : fs::recursive_directory_iterator(bench_.out()))
      if (file.is_regular_file()) there[file.path().lexically_relative(bench_.out())] = read_file(file.path());
    return there == former;
  };
  bench_.put_small();
  CopyBench::Run run = replacing();
  uint64_t at = 1;
  for (bool was_hit = true; was_hit && at < kReplacedCallsMax && !HasFailure(); at += 2) {
    bench_.clear_disk();
    for (const auto& [name, bytes] : former) {
      fs::create_directories((bench_.out() / name).parent_path());
      std::ofstream(bench_.out() / name) << bytes;
    }
    run.fault = {.kind = DiskFault::Kind::kPowerCut, .at = at, .calls = DiskFault::Calls::kDurability};
    run.loss = at % 4 == 1 ? Loss::kNothing : Loss::kUnsynced;
    was_hit = bench_.run(run).was_hit;
    EXPECT_TRUE(bench_.check_whole().empty() || is_former()) << "at call " << at << ": " << bench_.check_whole();
    run.fault = {};
    const CopyBench::Came again = bench_.run(run);
    EXPECT_TRUE(again.is_published()) << "at call " << at << ": " << again.text();
    EXPECT_EQ(bench_.check_published(), "") << "at call " << at;
    EXPECT_FALSE(fs::exists(bench_.out() / "only")) << "at call " << at;
  }
  EXPECT_GE(at, 20U);
}

}  // namespace
}  // namespace tideway::test
