// SPDX-License-Identifier: Apache-2.0
//
// A thousand copies, each of them a seed (sim/seeds.h): a tree, how it is published and verified, what was there before (nothing, a
// tree whose place it takes, an earlier checkpoint beside it that has some of it), and a chain of runs in which the disk fails,
// fills up, loses power or tears writes, either process dies, blocks are damaged behind their seal, and the source changes. After
// each run what is visible is right; what was published stays; and a last run without a fault leaves what one run would have.
#include "sim/copy_bench.h"
#include "sim/seeds.h"
#include "storage/device_read.h"
#include "storage/sweep.h"

namespace tideway::test {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t kCopyShards = 8;
constexpr uint64_t kCallsAbout = 600;  // of a copy of such a tree
constexpr uint64_t kRare = 20;         // one in so many, of what makes a seed's runs take longer
constexpr uint64_t kOnDisk = 8;        // one in so many lies in a file system of a device

class CopyScenario {
 public:
  explicit CopyScenario(uint64_t seed)
      : random_(seed), is_shut_(one_in(8)), bench_(one_in(kOnDisk) ? TempRoot::In::kTemporary : TempRoot::In::kMemory) {
    draw_tree();
  }

  // Empty: all held.
  std::string run() {
    draw_options();
    if (std::string wrong = publish_what_was_before(); !wrong.empty()) return wrong;
    for (uint64_t runs = 1 + random_.below(4); runs > 0; --runs)
      if (std::string wrong = run_once(draw_run()); !wrong.empty()) return wrong;
    CopyBench::Run last;
    last.copy.options = options_;
    last.copy.base = base_;
    if (std::string wrong = run_once(last); !wrong.empty()) return wrong;
    if (!is_published_) return history_ + "the last run did not publish";
    return check_staging();
  }

 private:
  bool one_in(uint64_t n) { return random_.below(n) == 0; }

  void draw_tree() {
    const uint64_t files = 1 + random_.below(8);
    for (uint64_t i = 0; i < files; ++i) put(i, one_in(40) ? 4'194'304 + random_.below(100'000) : random_.below(30'000));
    if (one_in(3)) bench_.put_link("link", "dir/1");
    if (one_in(2)) bench_.put(".metadata", 1 + random_.below(300), random_.next());
    bench_.put("last", 20, random_.next());
    if (!is_shut_) return;
    for (const char* folder : {"dir", "z", ""})
      if (fs::exists(bench_.source() / folder)) bench_.shut(folder);
  }
  void put(uint64_t i, size_t size) {
    static constexpr const char* kFolders[] = {"", "dir/", "dir/deep/", "z/"};
    bench_.put(kFolders[i % 4] + std::to_string(i), size, random_.next());
  }

  void draw_options() {
    using messages::CompressMode, messages::PublishForm;
    constexpr CompressMode kModes[] = {CompressMode::kAuto, CompressMode::kOff, CompressMode::kZstd};
    constexpr PublishForm kForms[] = {PublishForm::kAuto, PublishForm::kRename, PublishForm::kMarker, PublishForm::kEach};
    options_.compress = kModes[random_.below(3)];
    options_.level = 1;
    options_.publish = kForms[random_.below(4)];
    if (one_in(2)) options_.last = {"last"};
    using messages::Overwrite, messages::ResumeVerify, messages::VerifyLevel;
    if (one_in(4)) options_.resume_verify = one_in(2) ? ResumeVerify::kAll : ResumeVerify::kNone;
    if (one_in(kRare)) options_.verify = VerifyLevel::kWire;
    else if (one_in(3) && can_read_back()) options_.verify = VerifyLevel::kReadback;
    if (one_in(kRare)) options_.overwrite = Overwrite::kIfOlder;  // which is of single files
    if (one_in(kRare)) {
      options_.publish = PublishForm::kRename;
      options_.overwrite = Overwrite::kAlways;
      replaces_ = true;
    } else if (one_in(kRare)) {
      base_ = engine::StartSink::Base::kSibling;
    }
    const auto number = [](auto choice) { return std::to_string(static_cast<int>(choice)); };
    history_ = "publish " + number(options_.publish) + ", overwrite " + number(options_.overwrite) + ", verify " + number(options_.verify) +
               ", resume_verify " + number(options_.resume_verify) + ", base " + number(base_) + "\n";
  }
  bool can_read_back() const {
    const auto disk = storage::RootedDir::open_host_path(bench_.disk().string(), storage::Side::kDestination);
    return storage::find_device_reads(disk.value()).ok();
  }

  std::string publish_what_was_before() {
    const bool has_base = base_ != engine::StartSink::Base::kNone;
    if (!replaces_ && !has_base) return "";
    CopyBench::Run before;
    if (has_base) before.copy.destination = "step-1";
    if (const CopyBench::Came came = bench_.run(before); !came.is_published()) return "what was there before: " + came.text();
    if (has_base) {
      put(random_.below(8), random_.below(30'000));
    } else {
      bench_.put_aside();
      draw_tree();
    }
    return "";
  }

  CopyBench::Run draw_run() {
    CopyBench::Run run;
    run.copy.options = options_;
    run.copy.base = base_;
    run.copy.seed = random_.next();
    run.copy.damaged = one_in(3) && options_.verify != messages::VerifyLevel::kWire ? 0.3 : 0;
    run.copy.late_max = static_cast<uint32_t>(random_.below(6));
    run.copy.turn = std::chrono::milliseconds(10 + random_.below(400));
    constexpr DiskFault::Kind kKinds[] = {DiskFault::Kind::kNone,  DiskFault::Kind::kError,    DiskFault::Kind::kSpace,
                                          DiskFault::Kind::kShort, DiskFault::Kind::kPowerCut, DiskFault::Kind::kPowerCut};
    run.fault.kind = kKinds[random_.below(6)];
    run.fault.at = 1 + random_.below(kCallsAbout);
    // What was exchanged, and what has to get its mode, is known by its inode, and what a loss of power leaves here has others.
    constexpr Loss kLosses[] = {Loss::kNothing, Loss::kUnsynced, Loss::kTorn};
    run.loss = replaces_ || is_shut_ ? Loss::kNothing : kLosses[random_.below(3)];
    run.loses_power_after = one_in(3);
    if (run.fault.kind == DiskFault::Kind::kNone) run.vanishes_at = 1 + random_.below(40);
    run.copy.boot = {std::byte{static_cast<uint8_t>(1 + random_.below(2))}};
    return run;
  }

  // What somebody sees who polls as often as anything changes: each thing that is visible is right, and once there is what tells
  // that it is complete, all of it is there.
  std::string look() const {
    if (replaces_) return check_replaced();
    const bool is_by_rename = options_.publish == messages::PublishForm::kAuto || options_.publish == messages::PublishForm::kRename;
    const bool is_marked = is_by_rename ? fs::exists(bench_.out()) : !options_.last.empty() && fs::exists(bench_.out() / "last");
    return is_marked ? bench_.check_whole() : bench_.check_visible();
  }

  std::string check_replaced() const { return bench_.check_former().empty() ? "" : bench_.check_whole(); }
  std::string look_later() const { return replaces_ ? check_replaced() : bench_.check_visible(); }

  std::string run_once(CopyBench::Run run) {
    std::string seen;
    run.look = [&] { if (seen.empty()) seen = look(); };
    const CopyBench::Came came = bench_.run(run);
    if (!seen.empty()) return history_ + "a reader saw that " + seen;
    history_ += std::to_string(static_cast<int>(run.fault.kind)) + " at " + std::to_string(run.fault.at) + " or turn " +
                std::to_string(run.vanishes_at) + ": " + came.text() + "\n";
    is_published_ = is_published_ || came.is_published();
    std::string wrong = came.is_published() ? bench_.check_published() : is_published_ ? bench_.check_whole() : look_later();
    if (!wrong.empty()) return history_ + wrong;
    // A publish that was begun is ended by the next run, whatever has become of the source; without one it may become another.
    may_be_publishing_ = may_be_publishing_ || run.fault.kind != DiskFault::Kind::kNone || has_begun_to_publish();
    if (!may_be_publishing_ && !is_published_ && one_in(2)) put(random_.below(8), random_.below(30'000));
    return "";
  }

  // What is visible, or built to become so, shows it; and a process may vanish in the middle of that.
  bool has_begun_to_publish() const {
    if (replaces_ ? !bench_.check_former().empty() : fs::exists(bench_.out())) return true;
    if (!fs::exists(bench_.disk() / ".tideway")) return false;
    const auto staged = fs::directory_iterator(bench_.disk() / ".tideway");
    return std::any_of(begin(staged), end(staged), [](const auto& entry) { return fs::exists(entry.path() / "tree"); });
  }

  // A tree whose place was taken, and of which a fault kept us from knowing whether somebody reads it, is left to a sweep.
  std::string check_staging() const {
    if (!fs::exists(bench_.disk() / ".tideway")) return "";
    const auto root = storage::RootedDir::open_host_path(bench_.disk().string(), storage::Side::kDestination).value();
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    if (!storage::sweep_staging(root, std::chrono::hours(24), std::chrono::nanoseconds(now).count()).ok()) return history_ + "no sweep";
    if (!fs::exists(bench_.disk() / ".tideway")) return "";
    for (const auto& entry : fs::directory_iterator(bench_.disk() / ".tideway"))
      if (entry.path().filename() != "manifests") return history_ + "staging is left: " + entry.path().filename().string();
    return "";
  }

  Random random_;
  bool is_shut_ = false;  // some directories may not be written in by their owner
  CopyBench bench_;
  messages::TransferOptions options_;
  engine::StartSink::Base base_ = engine::StartSink::Base::kNone;
  bool replaces_ = false, is_published_ = false, may_be_publishing_ = false;
  std::string history_;
};

class CopySeeds : public testing::TestWithParam<uint64_t> {};

TEST_P(CopySeeds, AnotherRunEndsAsIfNothingHadBeenWhateverHappened) {
  check_seeds({GetParam(), kCopyShards}, [](uint64_t seed) { return CopyScenario(seed).run(); });
}

INSTANTIATE_TEST_SUITE_P(Shard, CopySeeds, testing::Range<uint64_t>(0, kCopyShards));

}  // namespace
}  // namespace tideway::test
