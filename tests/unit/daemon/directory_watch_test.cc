// SPDX-License-Identifier: Apache-2.0
#include "daemon/directory_watch.h"

#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace tideway::daemon {
namespace {

using namespace std::chrono_literals;

class DirectoryWatchTest : public testing::Test {
 protected:
  DirectoryWatch watch(WatchConfig::Existing existing, std::set<std::string> known = {}, checkpoint::Format format = {}) {
    WatchConfig config;
    config.format = format;
    config.root = "ckpt";
    config.dir = ObjectName::from_text("runs").value();
    config.series = "llm7";
    config.existing = existing;
    return DirectoryWatch(std::move(config), dir_, std::move(known));
  }
  void save(const std::string& name) {
    root_.write("runs/" + name + "/__0_0.distcp", "shard");
    root_.write("runs/" + name + "/.metadata", "marker");
  }
  static std::string names(const std::vector<FoundCheckpoint>& found) {
    std::string text;
    for (const FoundCheckpoint& one : found) text += one.name + '@' + std::to_string(one.step) + ' ';
    return text;
  }

  static Clock at(Time now) { return [now] { return now; }; }  // a look that takes no time

  TempRoot root_;
  session::RootPtr dir_ = std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(root_.path().string(), storage::Side::kSource).value());
  QuietTimes quiet_;
};

TEST_F(DirectoryWatchTest, EachCheckpointIsFoundOnceWhenItIsQuiet) {
  DirectoryWatch runs = watch(WatchConfig::Existing::kNewest);
  EXPECT_EQ(names(runs.look(quiet_, at(Time{}))), "") << "the directory is not there yet";
  save("step-10");
  root_.write("runs/step-20/__0_0.distcp", "shard");
  root_.write("runs/logs/events", "no step in its name");
  EXPECT_EQ(names(runs.look(quiet_, at(Time{1s}))), "");
  EXPECT_EQ(runs.incomplete().at("step-20").reason, "no_marker");
  EXPECT_LT(runs.next_look(), Time{1s + runs.config().poll}) << "something is on its way";
  EXPECT_EQ(names(runs.look(quiet_, at(Time{4s}))), "step-10@10 ");
  EXPECT_EQ(names(runs.look(quiet_, at(Time{8s}))), "");
  save("step-20");
  EXPECT_EQ(names(runs.look(quiet_, at(Time{9s}))), "");
  EXPECT_EQ(names(runs.look(quiet_, at(Time{12s}))), "step-20@20 ");
  runs.forget("step-10");
  EXPECT_EQ(names(runs.look(quiet_, at(Time{13s}))), "step-10@10 ") << "its job failed";
}

// A server may take longer to list what comes before a checkpoint than that one has to stand still.
TEST_F(DirectoryWatchTest, WhatIsListedLateHasStoodStillSinceThenAndNotSinceTheLookBegan) {
  for (const char* name : {"step-10", "step-20"}) save(name);
  DirectoryWatch runs = watch(WatchConfig::Existing::kAll);
  Time now{};
  EXPECT_EQ(names(runs.look(quiet_, [&now] { return now += 3s; })), "");
  EXPECT_EQ(names(runs.look(quiet_, at(now))), "step-10@10 ") << "the other one has just been listed";
  EXPECT_EQ(names(runs.look(quiet_, at(now + 1s))), "");
  EXPECT_EQ(names(runs.look(quiet_, at(now + 2s))), "step-20@20 ");
}

// Where there are no more descriptors, as where a server does not answer.
TEST_F(DirectoryWatchTest, ALookThatCannotListTheDirectoryIsNotTheFirstOne) {
  for (const char* name : {"step-10", "step-20"}) save(name);
  DirectoryWatch runs = watch(WatchConfig::Existing::kNewest);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const rlimit none{0, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const auto found = runs.look(quiet_, at(Time{1s}));
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_EQ(names(found), "");
  EXPECT_GT(runs.next_look(), Time{1s});
  std::string later;
  for (const Duration after : {2s, 6s}) later += names(runs.look(quiet_, at(Time{after})));
  EXPECT_EQ(later, "step-20@20 ");
}

// As torch.save ends: a directory of ten bytes behind thirty others.
std::string zip_file() {
  std::string file(30, 'x');
  file.append(10, 'd').append("PK\5\6").append(8, '\0');
  for (const char length : {'\12', '\36'}) file.append(1, length).append(3, '\0');
  return file.append(2, '\0');  // without a comment
}

std::string safetensors_file() {
  const std::string header = R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})";
  return std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header + "data";
}

// Real files of each format that a [[watch]] may name. The last one to come makes it complete; a single file is cut before.
TEST_F(DirectoryWatchTest, OfEachFormatWhatIsCompleteIsFoundAndNothingBefore) {
  struct Saved {
    const char* name;
    checkpoint::Kind kind;
    std::vector<std::pair<std::string, std::string>> files;  // "": it is one
  };
  using enum checkpoint::Kind;
  const Saved all[] = {{"step-1", kDcp, {{"__0_0.distcp", "shard"}, {".metadata", "marker"}}},
                       {"step-2.pt", kTorch, {{"", zip_file()}}},
                       {"step-3", kSafetensors, {{"model.safetensors.index.json", R"({"weight_map":{"a":"model-1.safetensors"}})"}, {"model-1.safetensors", safetensors_file()}}},
                       {"checkpoint-4", kHf, {{"model.safetensors", safetensors_file()}, {"rng_state.pth", zip_file()}, {"trainer_state.json", R"({"global_step":4})"}}},
                       {"epoch=0-step=5.ckpt", kLightning, {{"", zip_file()}}},
                       {"global_step6", kDeepspeed, {{"zero_pp_rank_0_mp_rank_00_optim_states.pt", zip_file()}, {"mp_rank_00_model_states.pt", zip_file()}}},
                       {"iter_0000007", kMegatron, {{"__0_0.distcp", "shard"}, {".metadata", "marker"}, {"common.pt", zip_file()}, {"metadata.json", R"({"sharded_backend":"torch_dist"})"}}},
                       {"8", kOrbax, {{"state/manifest.ocdbt", "array"}, {"_CHECKPOINT_METADATA", R"({"commit_timestamp_nsecs":2})"}}}};
  Time now{};
  for (const Saved& saved : all) {
    const auto place = [&](const std::string& file) { return "runs/" + std::string(saved.name) + (file.empty() ? "" : "/" + file); };
    const auto& [last, whole] = saved.files.back();
    DirectoryWatch runs = watch(WatchConfig::Existing::kAll, {}, {saved.kind, 1});
    for (const auto& [file, content] : saved.files)
      if (file != last) root_.write(place(file), content);
    if (last.empty()) root_.write(place(last), whole.substr(0, whole.size() - 1));
    for (const Duration after : {1s, 5s}) EXPECT_EQ(names(runs.look(quiet_, at(now + after))), "") << saved.name;
    EXPECT_TRUE(runs.incomplete().contains(saved.name)) << saved.name;
    root_.write(place(last), whole);
    std::string found;
    for (const Duration after : {6s, 10s}) found += names(runs.look(quiet_, at(now + after)));
    EXPECT_TRUE(found.starts_with(std::string(saved.name) + '@') && found.find(' ') == found.size() - 1) << saved.name << " found: " << found;
    std::filesystem::remove_all(root_ / "runs");
    now += 20s;
  }
}

// Ranks on several hosts: the coordinator's clock is behind, so its marker looks older than what it closes.
TEST_F(DirectoryWatchTest, D2ClocksOfHostsThatDifferKeepNoCheckpointThatWasSeenToBecomeWhole) {
  std::ifstream file(TIDEWAY_TEST_VECTORS "/../../tests/fixtures/dcp_metadata/one_file.pickle", std::ios::binary);
  const std::string metadata{std::istreambuf_iterator<char>(file), {}};
  const auto write = [&](const std::string& name, const std::string& content, Duration ahead) {
    root_.write("runs/" + name, content);
    std::filesystem::last_write_time(root_ / ("runs/" + name), std::filesystem::file_time_type::clock::now() + ahead);
  };
  write("step-1/__0_0.distcp", std::string(2612, 's'), 10s);
  write("step-1/.metadata", metadata, 0s);
  DirectoryWatch runs = watch(WatchConfig::Existing::kAll, {}, {checkpoint::Kind::kDcp, 0});
  EXPECT_EQ(names(runs.look(quiet_, at(Time{}))), "");
  write("step-2/__0_0.distcp", std::string(1000, 's'), 10s);
  write("step-3/__0_0.distcp", std::string(2612, 's'), 10s);
  write("step-3/.metadata", metadata, 0s);
  EXPECT_EQ(names(runs.look(quiet_, at(Time{1s}))), "");
  write("step-2/__0_0.distcp", std::string(2612, 's'), 10s);
  write("step-2/.metadata", metadata, 0s);
  EXPECT_EQ(names(runs.look(quiet_, at(Time{2s}))), "");
  EXPECT_EQ(runs.incomplete().at("step-2").reason, "changing");
  EXPECT_EQ(names(runs.look(quiet_, at(Time{5s}))), "step-2@2 step-3@3 ");
  EXPECT_EQ(runs.incomplete().at("step-1").reason, "old_marker") << "nobody has seen which came first";
  runs.forget("step-3");
  quiet_.forget("ckpt:runs/step-3");
  static_cast<void>(runs.look(quiet_, at(Time{6s})));
  EXPECT_EQ(names(runs.look(quiet_, at(Time{9s}))), "") << "nor here, any more";
  write("step-4/__0_0.distcp", std::string(2612, 's'), 10s);
  write("step-4/.metadata", metadata, 0s);
  EXPECT_EQ(names(runs.look(quiet_, at(Time{10s}))), "");
  write("step-4/__0_0.distcp", std::string(2612, 't'), 11s);
  for (const Time later : {Time{11s}, Time{20s}}) EXPECT_EQ(names(runs.look(quiet_, at(later))), "") << "a shard of the next save into it";
  EXPECT_EQ(runs.incomplete().at("step-4").reason, "old_marker");
}

TEST_F(DirectoryWatchTest, OfWhatIsThereAtTheStartAsManyGoAsAreWanted) {
  for (const char* name : {"step-10", "step-20", "step-9"}) save(name);
  struct Row { WatchConfig::Existing existing; std::string found; };
  for (const Row& row : {Row{WatchConfig::Existing::kNewest, "step-20@20 "}, Row{WatchConfig::Existing::kAll, "step-9@9 step-10@10 step-20@20 "}, Row{WatchConfig::Existing::kNone, ""}}) {
    DirectoryWatch runs = watch(row.existing);
    QuietTimes quiet;
    static_cast<void>(runs.look(quiet, at(Time{})));
    EXPECT_EQ(names(runs.look(quiet, at(Time{2s}))), row.found);
  }
}

TEST_F(DirectoryWatchTest, WhatTheStoreKnowsIsNotFoundAgain) {
  save("step-10");
  save("step-20");
  DirectoryWatch runs = watch(WatchConfig::Existing::kAll, {"step-10"});
  static_cast<void>(runs.look(quiet_, at(Time{})));
  EXPECT_EQ(names(runs.look(quiet_, at(Time{2s}))), "step-20@20 ");
}

TEST_F(DirectoryWatchTest, WhatItsMarkerEndsGoesAtOnceWhenNobodyWritesToItAnyMore) {
  save("step-10");
  const int shard = ::open((root_ / "runs/step-10/__0_0.distcp").c_str(), O_WRONLY | O_CLOEXEC);
  const int other = ::open((root_ / "runs/step-10/.metadata").c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_GE(shard, 0);
  const bool has_leases = ::fcntl(other, F_SETLEASE, F_RDLCK) == 0;
  ::close(other);
  DirectoryWatch runs = watch(WatchConfig::Existing::kAll, {}, {checkpoint::Kind::kDcp});
  EXPECT_EQ(names(runs.look(quiet_, at(Time{1s}))), "") << "it is open to write";
  EXPECT_EQ(runs.incomplete().at("step-10").reason, kChanging);
  ::close(shard);
  if (!has_leases) GTEST_SKIP() << "this file system grants no leases";
  DirectoryWatch unnamed = watch(WatchConfig::Existing::kAll);
  EXPECT_EQ(names(unnamed.look(quiet_, at(Time{1100ms}))), "") << "it may be another format, without its last file yet";
  EXPECT_EQ(names(runs.look(quiet_, at(Time{1100ms}))), "step-10@10 ");
}

TEST_F(DirectoryWatchTest, IsLookedAtWhenTheWaitIsOverAndNotTooOften) {
  save("step-10");
  DirectoryWatch runs = watch(WatchConfig::Existing::kAll);
  static_cast<void>(runs.look(quiet_, at(Time{1s})));
  static_cast<void>(runs.look(quiet_, at(Time{2850ms})));
  EXPECT_EQ(runs.next_look(), Time{3s}) << "two seconds without a change, and not a moment later";
  runs.hurry(Time{2860ms});
  EXPECT_EQ(runs.next_look(), Time{2850ms} + kLookMin);
}

}  // namespace
}  // namespace tideway::daemon
