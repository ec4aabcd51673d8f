// SPDX-License-Identifier: Apache-2.0
//
// A published tree with damaged files is repaired while one call to its disk fails, every seventh in turn, or the power goes before
// every second of those that make something durable. A damaged file is as it was or sound, what was sound is not touched, whoever
// asked hears the truth, and the next repair ends it.
#include "engine/repair.h"
#include "sim/copy_bench.h"
#include "storage/device_read.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

namespace tideway::test {
namespace {

namespace fs = std::filesystem;
constexpr uint64_t kRepairCallsMax = 1000;

class RepairFaults : public testing::Test {
 protected:
  void SetUp() override {
    if (!storage::find_device_reads(opened_disk()).ok()) GTEST_SKIP() << "temporary files lie where nothing can be read back";
    bench_.put("a", 4'194'304 + 5000, 1);
    bench_.put("dir/b", 70'000, 2);
    bench_.put("sound", 100, 3);
    CopyBench::Run publish;
    publish.copy.options.publish = messages::PublishForm::kRename;
    const CopyBench::Came came = bench_.run(publish);
    ASSERT_TRUE(came.is_published()) << came.text();
  }

  storage::RootedDir opened_disk() const { return storage::RootedDir::open_host_path(bench_.disk().string(), storage::Side::kDestination).value(); }
  static int64_t changed_ns(const fs::path& path) {
    struct stat status{};
    EXPECT_EQ(::stat(path.c_str(), &status), 0);
    return status.st_ctim.tv_sec * 1'000'000'000 + status.st_ctim.tv_nsec;
  }

  // In place and with the times of before, as a disk does it.
  void rot() {
    for (const auto& [name, leaf] : kRotten) {
      const fs::path file = bench_.out() / name;
      const auto time = fs::last_write_time(file);
      const int fd = ::open(file.c_str(), O_WRONLY);
      EXPECT_EQ(::pwrite(fd, "rot", 3, static_cast<off_t>(leaf * kLeafSize.count() + 1000)), 3);
      EXPECT_EQ(::fsync(fd), 0);  // or the device would still have it sound
      ::close(fd);
      fs::last_write_time(file, time);
      rotten_[name] = read_file(file);
    }
  }
  std::shared_ptr<const engine::RepairOrder> order() const {
    storage::StoredManifest manifest = storage::StoredManifest::open(opened_disk(), ObjectName::from_text("out/.tideway-manifest").value()).value();
    std::map<ObjectId, std::vector<uint32_t>> damaged;
    engine::FormerEntries entries(manifest.pages());
    while (const ManifestEntry* entry = entries.next())
      for (const auto& [name, leaf] : kRotten)
        if (entry->name == fs::path(name).filename()) damaged[entry->number] = {leaf};
    EXPECT_EQ(damaged.size(), kRotten.size());
    return std::make_shared<const engine::RepairOrder>(engine::RepairOrder{std::move(manifest), storage::single_name("out"), std::move(damaged)});
  }
  CopyBench::Came repair(const DiskFault& fault = {}, Loss loss = Loss::kNothing) const {
    CopyBench::Run run{.fault = fault, .loss = loss};
    run.copy.repair = order();
    return bench_.run(run);
  }

  // With the fault at call 1, 1 + stride...; how many there were at least.
  uint64_t fail_each(DiskFault fault, Loss loss, uint64_t stride) {
    for (fault.at = 1; fault.at < kRepairCallsMax && !HasFailure(); fault.at += stride) {
      const std::string where = "at call " + std::to_string(fault.at);
      rot();
      const int64_t sound_changed = changed_ns(bench_.out() / "sound");
      const CopyBench::Came came = repair(fault, loss);
      bool is_sound = true;
      for (const auto& [name, leaf] : kRotten) {
        const std::string there = read_file(bench_.out() / name);
        const bool is_mended = there == read_file(bench_.source() / name);
        EXPECT_TRUE(is_mended || there == rotten_[name]) << name << " is neither as it was nor sound, " << where;
        is_sound = is_sound && is_mended;
      }
      EXPECT_TRUE(loss != Loss::kNothing || changed_ns(bench_.out() / "sound") == sound_changed) << "touched what was sound, " << where;
      EXPECT_TRUE(is_sound || !came.is_published()) << "said to be mended, " << where;
      if (!came.was_hit) {
        EXPECT_TRUE(came.is_published()) << came.text();
        return fault.at - stride;
      }
      const bool has_died = fault.kind == DiskFault::Kind::kPowerCut;
      EXPECT_TRUE(has_died || came.outcome) << "left without an end " << where;
      EXPECT_TRUE(!came.outcome || came.outcome->ok() || !came.outcome->error().what.empty()) << where;
      const CopyBench::Came again = repair();
      EXPECT_TRUE(again.is_published()) << where << ": " << came.text() << "; then: " << again.text();
      EXPECT_EQ(bench_.check_published(), "") << where;
    }
    ADD_FAILURE() << "no end of calls";
    return 0;
  }

  static inline const std::map<std::string, uint32_t> kRotten = {{"a", 1}, {"dir/b", 0}};  // and the leaf of it
  CopyBench bench_{TempRoot::In::kTemporary};
  std::map<std::string, std::string> rotten_;
};

TEST_F(RepairFaults, S29ACallThatFailsIsMendedByAnotherRepair) {
  EXPECT_GE(fail_each({.kind = DiskFault::Kind::kError}, Loss::kNothing, 7), 150U);
}

TEST_F(RepairFaults, S29ALossOfPowerIsMendedByAnotherRepair) {
  EXPECT_GE(fail_each({.kind = DiskFault::Kind::kPowerCut, .calls = DiskFault::Calls::kDurability}, Loss::kUnsynced, 2), 12U);
}

}  // namespace
}  // namespace tideway::test
