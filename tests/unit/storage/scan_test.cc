// SPDX-License-Identifier: Apache-2.0
#include "storage/scan.h"

#include "support/object_names.h"
#include "support/swapped_dir.h"
#include "support/temp_root.h"

#include <gtest/gtest.h>

#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>

namespace tideway::storage {
namespace {

using test::name;

std::shared_ptr<const RootedDir> open(const TempRoot& root) {
  return std::make_shared<RootedDir>(RootedDir::open_host_path(root.path().string(), Side::kSource).value());
}

struct Listed {
  std::vector<ManifestEntry> entries;
  std::vector<SkippedEntry> skipped;
  Fault fault = Fault::kNothingToDo;  // of the scan as a whole
  std::vector<std::string> names() const {
    std::vector<std::string> result;
    for (const auto& entry : entries) {
      std::string path = entry.name;
      for (auto up = entry.parent; up.value() != 0; up = entries[up.value()].parent)
        path = entries[up.value()].name + "/" + path;
      result.push_back(path);
    }
    return result;
  }
};

Listed scan(ScanSpec spec, size_t page = 3) {
  TreeScan lister(std::move(spec));
  Listed listed;
  std::vector<ManifestEntry> out(page);
  while (true) {
    auto filled = lister.next(out);
    if (!filled.ok()) {
      listed.fault = filled.error().fault;
      return listed;
    }
    listed.entries.insert(listed.entries.end(), out.begin(), out.begin() + static_cast<ptrdiff_t>(filled.value()));
    for (SkippedEntry skipped; lister.next_skipped(skipped);) listed.skipped.push_back(skipped);
    if (filled.value() == 0) return listed;
  }
}

ScanSpec single(const TempRoot& root, std::string_view below = "") {
  return {{{open(root), name(below), {}}}, ScanForm::kSingle, {}, {}, 0};
}

using Names = std::vector<std::string>;

TEST(TreeScan, ListsDepthFirstInByteOrder) {
  TempRoot root;
  for (const char* file : {"b/2", "b/1", "a.txt", "b-x", "B", "b/1x/deep", "\xFFz"}) root.write(file, "data");
  const Listed listed = scan(single(root));
  EXPECT_EQ(listed.names(), (Names{"", "B", "a.txt", "b", "b/1", "b/1x", "b/1x/deep", "b/2", "b-x", "\xFFz"}));
  EXPECT_EQ(listed.entries[0].type, EntryType::kDirectory);
  EXPECT_EQ(listed.entries[0].parent, ObjectId(0));
}

TEST(TreeScan, ADepthStopsTheWalkAndNotTheList) {
  TempRoot root;
  for (const char* file : {"a/1", "a/b/2", "c", "d/e/f/3"}) root.write(file, "data");
  ScanSpec spec = single(root);
  spec.depth = 1;
  EXPECT_EQ(scan(spec).names(), (Names{"", "a", "c", "d"}));
  spec.depth = 2;
  EXPECT_EQ(scan(spec).names(), (Names{"", "a", "a/1", "a/b", "c", "d", "d/e"}));
  ASSERT_EQ(::chmod((root / "a").c_str(), 0), 0);
  spec.depth = 1;
  const Listed listed = scan(spec);
  EXPECT_EQ(listed.names(), (Names{"", "a", "c", "d"})) << "what is not walked need not be readable";
  EXPECT_TRUE(listed.skipped.empty());
  ASSERT_EQ(::chmod((root / "a").c_str(), 0755), 0);
}

TEST(TreeScan, NumbersEntriesAndLeavesThroughTheWholeTree) {
  TempRoot root;
  root.write("a", "x");
  root.write("b", "");
  root.write("c", "");
  ASSERT_EQ(::truncate((root / "c").c_str(), (4 << 20) + 1), 0);
  root.write("d", "y");
  const Listed listed = scan(single(root));
  ASSERT_EQ(listed.entries.size(), 5U);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(listed.entries[i].number, ObjectId(static_cast<uint32_t>(i)));
  EXPECT_EQ(listed.entries[2].first_leaf, 1U);
  EXPECT_EQ(listed.entries[3].first_leaf, 1U);
  EXPECT_EQ(listed.entries[4].first_leaf, 3U);
}

TEST(TreeScan, KeepsSizeModeAndNanosecondsAndDropsSpecialBits) {
  TempRoot root;
  root.write("f", "12345");
  const timespec times[2] = {{1, 0}, {1'700'000'000, 123'456'789}};
  ASSERT_EQ(::utimensat(-1, (root / "f").c_str(), times, 0), 0);
  ASSERT_EQ(::chmod((root / "f").c_str(), 07751), 0);
  const ManifestEntry entry = scan(single(root)).entries.at(1);
  EXPECT_EQ(entry.size, 5_B);
  EXPECT_EQ(entry.mode, 0751U);
  EXPECT_EQ(entry.mtime_ns, 1'700'000'000'123'456'789);
}

TEST(TreeScan, AFileAloneBecomesEntryZeroWithoutAName) {
  TempRoot root;
  root.write("dir/f", "x");
  const Listed listed = scan(single(root, "dir/f"));
  ASSERT_EQ(listed.entries.size(), 1U);
  EXPECT_EQ(listed.entries[0].type, EntryType::kFile);
  EXPECT_EQ(listed.entries[0].name, "");
}

TEST(TreeScan, SeveralSourcesBecomeOneDirectory) {
  TempRoot first, second;
  first.write("x/zebra/f", "1");
  second.write("apple", "2");
  ScanSpec spec{{{open(first), name("x/zebra"), {}}, {open(second), name("apple"), {}}, {open(second), {}, "m"}},
                ScanForm::kTogether, {}, {}};
  EXPECT_EQ(scan(spec).names(), (Names{"", "apple", "m", "m/apple", "zebra", "zebra/f"}));
  spec.sources[2].as = "zebra";
  EXPECT_EQ(scan(spec).fault, Fault::kNameCollision);
}

TEST(TreeScan, LinksInCirclesAndToNowhereAreLinksLikeOthers) {
  TempRoot root;
  root.make_dir("t");
  root.link("t/a", "b");
  root.link("t/b", "a");
  root.link("t/nowhere", "gone");
  root.link("t/self", ".");
  const Listed listed = scan(single(root, "t"));
  EXPECT_EQ(listed.names(), (Names{"", "a", "b", "nowhere", "self"}));
  EXPECT_TRUE(std::ranges::all_of(std::span(listed.entries).subspan(1), [](const auto& e) { return e.type == EntryType::kSymlink; }));
}

TEST(TreeScan, EachNameOfAFileIsAFileOfItsOwn) {
  TempRoot root;
  root.write("t/a", "some bytes");
  std::filesystem::create_hard_link(root / "t/a", root / "t/b");
  const Listed listed = scan(single(root, "t"));
  ASSERT_EQ(listed.names(), (Names{"", "a", "b"}));
  EXPECT_EQ(listed.entries[1].size, listed.entries[2].size);
  EXPECT_NE(listed.entries[1].first_leaf, listed.entries[2].first_leaf);
}

TEST(TreeScan, LinksStayOnlyIfTheirTargetDoes) {
  TempRoot root;
  root.make_dir("t/d");
  root.link("t/ok", "d/anything");
  root.link("t/d/up", "../ok");
  root.link("t/d/out", "../../x");
  root.link("t/abs", "/etc/passwd");
  const Listed listed = scan(single(root, "t"));
  EXPECT_EQ(listed.names(), (Names{"", "d", "d/up", "ok"}));
  EXPECT_EQ(listed.entries[3].link_target, "d/anything");
  ASSERT_EQ(listed.skipped.size(), 2U);
  std::set<ObjectName> names;
  for (const auto& skipped : listed.skipped) {
    EXPECT_EQ(skipped.why.fault, Fault::kUnsafeLink);
    names.insert(skipped.name);
  }
  EXPECT_EQ(names, (std::set<ObjectName>{name("d/out"), name("abs")}));
}

TEST(TreeScan, SpecialFilesAreLeftOutAndNamed) {
  TempRoot root;
  root.write("f", "x");
  ASSERT_EQ(::mkfifo((root / "pipe").c_str(), 0600), 0);
  ASSERT_EQ(::mknod((root / "socket").c_str(), S_IFSOCK | 0600, 0), 0);
  const bool has_device = ::mknod((root / "device").c_str(), S_IFCHR | 0600, makedev(1, 3)) == 0;  // for root alone
  const Listed listed = scan(single(root));
  EXPECT_EQ(listed.names(), (Names{"", "f"}));
  ASSERT_EQ(listed.skipped.size(), has_device ? 3U : 2U);
  for (const auto& skipped : listed.skipped) EXPECT_EQ(skipped.why.fault, Fault::kSpecialFile);
  EXPECT_EQ(scan(single(root, "pipe")).fault, Fault::kSpecialFile);
}

// Between the look at it and its opening, too.
TEST(TreeScan, ADirectorySwappedForALinkIsNotListedFromOutside) {
  TempRoot root, outside;
  root.write("dir/inside", "x");
  outside.write("secret", "x");
  root.link("link", outside.path().string());
  std::optional<SwappedDir> swapped(root);
  constexpr int kScans = 1000;
  int entered = 0;
  for (int i = 0; i < kScans; ++i) {
    for (const std::string& found : scan(single(root), 1).names()) {
      ASSERT_EQ(found.find("secret"), found.npos);
      entered += found.ends_with("inside") ? 1 : 0;
    }
  }
  swapped.reset();
  EXPECT_GT(entered, 0);
}

TEST(TreeScan, AnUnreadableDirectoryIsLeftOutAndTheRestGoesOn) {
  TempRoot root;
  root.write("closed/f", "x");
  root.write("open/f", "x");
  ASSERT_EQ(::chmod(root.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod((root / "closed").c_str(), 0), 0);
  const int before = ::setfsuid(65534);  // for root, which may read everything; nothing changes for others
  const Listed listed = scan(single(root));
  ::setfsuid(static_cast<uid_t>(before));
  EXPECT_EQ(listed.names(), (Names{"", "open", "open/f"}));
  ASSERT_EQ(listed.skipped.size(), 1U);
  EXPECT_EQ(listed.skipped[0].why.fault, Fault::kSourceIo);
}

TEST(TreeScan, OurOwnNamesAtTheTopAreNotListed) {
  TempRoot root;
  root.write(".tideway/x/manifest", "x");
  root.write(".tideway-manifest", "x");
  root.write("sub/.tideway-manifest", "x");
  EXPECT_EQ(scan(single(root)).names(), (Names{"", "sub", "sub/.tideway-manifest"}));
  EXPECT_EQ(scan(single(root, ".tideway/x")).fault, Fault::kNameReserved);
}

TEST(TreeScan, AMissingSourceIsAnErrorOfTheWholeScan) {
  TempRoot root;
  root.link("alias", ".");
  EXPECT_EQ(scan(single(root, "nope")).fault, Fault::kSourceMissing);
  EXPECT_EQ(scan(single(root, "alias")).fault, Fault::kUnsafeLink);
}

// The names of a directory are those of the moment in which the walk came to it.
TEST(TreeScan, F03OfADirectoryThatChangesDuringTheScanNothingIsNamedThatIsGoneAndNoNewNameIsPromised) {
  const TempRoot root;
  for (const char* file : {"a", "b/x", "b/y", "c", "d/z", "e/1", "e/2"}) root.write(file, "1");
  TreeScan lister(single(root));
  std::vector<ManifestEntry> one(1);
  Names names;
  const auto take_until = [&](const std::string& last) {
    while (lister.next(one).value() == 1) {
      names.push_back(one[0].name);
      if (one[0].name == last) return;
    }
  };
  take_until("a");
  std::filesystem::remove(root / "c");
  std::filesystem::remove_all(root / "d");
  root.write("bb", "not there when the names at the top were read");
  root.write("b/w", "there before the walk came to b");
  take_until("x");
  std::filesystem::remove(root / "b/y");
  root.write("b/z", "too late");
  take_until("1");
  std::filesystem::rename(root / "e", root / "elsewhere");  // what is below the held directory stays to be found
  take_until("");
  EXPECT_EQ(names, (Names{"", "a", "b", "w", "x", "e", "1", "2"}));
  SkippedEntry skipped;
  EXPECT_FALSE(lister.next_skipped(skipped)) << skipped.why.what;
}

TEST(TreeScan, AnExcludedDirectoryIsNotEntered) {
  TempRoot root;
  root.write("cache/f", "x");
  root.write("keep/f.pt", "x");
  root.write("keep/f.tmp", "x");
  ScanSpec spec = single(root);
  ASSERT_TRUE(spec.filter.add(Verdict::kExclude, "cache/").ok());
  ASSERT_TRUE(spec.filter.add(Verdict::kExclude, "*.tmp").ok());
  EXPECT_EQ(scan(spec).names(), (Names{"", "keep", "keep/f.pt"}));
}

TEST(TreeScan, AListOfFilesBringsTheirParentsAndNamesWhatIsMissing) {
  TempRoot root;
  for (const char* file : {"a/1", "a/2", "b/sub/3", "c"}) root.write(file, "x");
  ScanSpec spec = single(root);
  spec.only.emplace();
  for (const char* wanted : {"a/2", "b", "gone/4"}) spec.only->add(name(wanted));
  const Listed listed = scan(spec);
  EXPECT_EQ(listed.names(), (Names{"", "a", "a/2", "b", "b/sub", "b/sub/3"}));
  ASSERT_EQ(listed.skipped.size(), 1U);
  EXPECT_EQ(listed.skipped[0].name, name("gone/4"));
  EXPECT_EQ(listed.skipped[0].why.fault, Fault::kSourceMissing);
}

TEST(TreeScan, TooDeepATreeIsCutWithAReasonInsteadOfFailing) {
  TempRoot root;
  const RootedDir dir = RootedDir::open_host_path(root.path().string(), Side::kDestination).value();
  const ObjectName deep = ObjectName::from_components(std::vector<std::string>(256, "d")).value();
  ASSERT_TRUE(dir.make_dirs(deep).ok());
  const RootedDir bottom = dir.open_dir(deep).value();
  ASSERT_TRUE(bottom.make_dir(name("one-more"), 0700).ok());
  const Listed listed = scan(single(root));
  EXPECT_EQ(listed.entries.size(), 257U);
  ASSERT_EQ(listed.skipped.size(), 1U);
  EXPECT_EQ(listed.skipped[0].why.fault, Fault::kUnsupported);
}

}  // namespace
}  // namespace tideway::storage
