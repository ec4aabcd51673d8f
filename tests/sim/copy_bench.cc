// SPDX-License-Identifier: Apache-2.0
#include "sim/copy_bench.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <fstream>
#include <utility>
#include <vector>

namespace tideway::test {
namespace {

namespace fs = std::filesystem;
constexpr time_t kLongAgo = 1'700'000'000;

// Looks happen thousands of times, so the room for them is there once: fresh memory for each costs more than reading.
bool compare(const fs::path& one, const fs::path& other) {
  static std::array<std::vector<char>, 2> rooms{std::vector<char>(256 * 1024), std::vector<char>(256 * 1024)};
  std::ifstream files[2] = {std::ifstream(one, std::ios::binary), std::ifstream(other, std::ios::binary)};
  while (files[0] && files[1]) {
    for (size_t i = 0; i < 2; ++i) files[i].read(rooms[i].data(), static_cast<std::streamsize>(rooms[i].size()));
    if (files[0].gcount() != files[1].gcount()) return false;
    if (std::memcmp(rooms[0].data(), rooms[1].data(), static_cast<size_t>(files[0].gcount())) != 0) return false;
  }
  return files[0].eof() && files[1].eof();
}

void make_old(const fs::path& path) {
  const timespec times[2] = {{kLongAgo, 0}, {kLongAgo, 500}};
  TIDEWAY_CHECK(::utimensat(AT_FDCWD, path.c_str(), times, AT_SYMLINK_NOFOLLOW) == 0);
}

// Whatever its modes are; those of the tree in it may keep its owner from doing so.
void make_empty(const fs::path& folder) {
  if (fs::exists(folder)) {
    fs::permissions(folder, fs::perms::owner_all, fs::perm_options::add);
    for (const auto& entry : fs::recursive_directory_iterator(folder))
      if (fs::is_directory(entry.symlink_status())) fs::permissions(entry, fs::perms::owner_all, fs::perm_options::add);
  }
  fs::remove_all(folder);
  fs::create_directories(folder);
}

}  // namespace

std::string read_file(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

struct CopyBench::File {
  explicit File(fs::path at) : path(std::move(at)) { ::lstat(path.c_str(), &status); }
  fs::path path;
  struct stat status{};  // of nothing, without a mode
};

CopyBench::CopyBench(TempRoot::In where) : dir_(where) { clear(); }

void CopyBench::clear() const {
  make_empty(source());
  make_empty(former());
  clear_disk();
}

void CopyBench::clear_disk() const { make_empty(disk()); }

void CopyBench::put_aside() const {
  make_empty(former());
  fs::remove(former());
  fs::rename(source(), former());
  fs::create_directory(source());
}

void CopyBench::shut(const std::string& name) const { fs::permissions(source() / name, fs::perms(0555)); }

void CopyBench::put(const std::string& name, size_t size, uint64_t seed) const {
  std::vector<std::pair<fs::path, fs::perms>> modes;  // of what is shut, and open meanwhile
  for (fs::path folder = (source() / name).parent_path(); folder != dir_.path(); folder = folder.parent_path()) {
    if (!fs::exists(folder)) continue;
    modes.emplace_back(folder, fs::status(folder).permissions());
    fs::permissions(folder, fs::perms::owner_all, fs::perm_options::add);
  }
  Random random(seed);
  std::string bytes(size, 'x');
  for (size_t i = 0; i + 16 <= size; i += 16) {
    const uint64_t word = random.next();
    std::memcpy(bytes.data() + i, &word, sizeof word);
  }
  dir_.write("source/" + name, bytes);
  make_old(source() / name);
  for (const auto& [folder, mode] : modes) fs::permissions(folder, mode);
}

void CopyBench::put_small() const {
  put("a", 9000, 1);
  put("b", 0, 2);
  put("dir/c", 100, 3);
  put("dir/deep/d", 70'000, 4);
  put(".metadata", 10, 5);
  put_link("dir/link", "c");
  put("shut/e", 50, 6);
  for (const char* name : {"shut", ""}) shut(name);
}

void CopyBench::put_link(const std::string& name, const std::string& target) const {
  fs::create_directories((source() / name).parent_path());
  fs::create_symlink(target, source() / name);
}

void CopyBench::flip_a_bit(const fs::path& rotten) {
  constexpr std::streamoff kAt = 1'000'000;
  const auto time = fs::last_write_time(rotten);
  std::fstream file(rotten, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(kAt);
  const char flipped = static_cast<char>(file.get() ^ 4);
  file.seekp(kAt).put(flipped);
  file.close();
  fs::last_write_time(rotten, time);
}

CopyBench::Came CopyBench::run(const Run& planned) const {
  SimCopyConfig config = planned.copy;
  config.source = source();
  config.root = disk();
  Came came;
  bool was_cut = false;
  {
    SimDisk disk(this->disk());
    SimCopy copy(config);
    disk.plan(planned.fault);
    disk.watch(planned.look);
    watched_ = &disk;
    came.outcome = copy.run([&] { return disk.has_power() && (planned.vanishes_at == 0 || copy.turns() < planned.vanishes_at); });
    came.publishes_lost = copy.publishes_lost();
    copy.end();
    if (!disk.has_power()) came.outcome.reset();  // it died before anybody heard of the end
    came.held = copy.bytes_held();
    came.read = copy.bytes_read();
    came.rejected = copy.leaves_rejected();
    came.reported = copy.reported();
    came.was_hit = disk.was_hit();
    came.hit_at = disk.hit_at();
    watched_ = nullptr;
    same_.clear();
    if (planned.loses_power_after) disk.cut_power();
    was_cut = !disk.has_power() && planned.loss != Loss::kNothing;
    if (was_cut) disk.lay_out(dir_ / "after", planned.loss);
  }
  if (was_cut) take_what_is_left();
  return came;
}

CopyBench::Came CopyBench::run_twice_and_lose_power(const Run& planned) const {
  SimCopyConfig config = planned.copy;
  config.source = source();
  config.root = disk();
  Came came;
  {
    SimDisk disk(this->disk());
    disk.plan(planned.fault);
    {
      SimCopy dying(config);
      dying.run([&] { return disk.has_power(); });
      dying.end();
    }
    came.was_hit = disk.was_hit();
    came.hit_at = disk.hit_at();
    disk.plan({});
    disk.restart();
    SimCopy copy(config);
    came.outcome = copy.run([] { return true; });
    disk.cut_power();  // at once: what is tidied up behind the end counts for nothing
    copy.end();
    disk.lay_out(dir_ / "after", Loss::kUnsynced);
  }
  take_what_is_left();
  return came;
}

void CopyBench::take_what_is_left() const {
  make_empty(disk());
  fs::remove(disk());
  fs::rename(dir_ / "after", disk());
}

std::string CopyBench::Came::text() const {
  std::string text = !outcome ? "no end" : outcome->ok() ? "published" : outcome->error().what;
  for (const Error& one : reported) text += "; " + one.what;
  return text;
}

std::string CopyBench::check_entry(const fs::path& relative, const fs::path& tree) const {
  const File here(out() / relative), there(tree / relative);
  if (there.status.st_mode == 0) return relative.string() + " comes from nowhere";
  if ((here.status.st_mode & S_IFMT) != (there.status.st_mode & S_IFMT)) return relative.string() + " is of another type";
  if (S_ISLNK(here.status.st_mode)) return fs::read_symlink(here.path) == fs::read_symlink(there.path) ? "" : relative.string() + " points elsewhere";
  if (!S_ISREG(here.status.st_mode)) return "";
  if (!have_same_bytes(here, there)) return relative.string() + " has other bytes";
  if (here.status.st_mode != there.status.st_mode) return relative.string() + " has another mode";
  const auto time = [](const File& file) { return std::chrono::seconds(file.status.st_mtim.tv_sec) + std::chrono::nanoseconds(file.status.st_mtim.tv_nsec); };
  if (time(here) == time(there)) return "";
  return relative.string() + " of " + std::to_string(here.status.st_size) + " bytes has another time: " + std::to_string(time(here).count()) +
         " instead of " + std::to_string(time(there).count());
}

bool CopyBench::have_same_bytes(const File& here, const File& there) const {
  if (watched_ == nullptr) return compare(here.path, there.path);
  const std::pair inodes(here.status.st_ino, there.status.st_ino);
  const uint64_t writes = watched_->writes_to(inodes.first);
  const auto known = same_.find(inodes);
  if (known != same_.end() && known->second == writes) return true;
  if (!compare(here.path, there.path)) return false;
  same_[inodes] = writes;
  return true;
}

std::string CopyBench::check_visible() const { return check_visible(source()); }
std::string CopyBench::check_whole() const { return check_whole(source()); }
std::string CopyBench::check_former() const { return check_whole(former()); }

std::string CopyBench::check_visible(const fs::path& expected) const {
  if (!fs::exists(fs::symlink_status(out()))) return "";
  for (const auto& entry : fs::recursive_directory_iterator(out())) {
    const fs::path relative = entry.path().lexically_relative(out());
    if (relative.filename() == ".tideway-manifest") continue;
    if (std::string wrong = check_entry(relative, expected); !wrong.empty()) return wrong;
  }
  return "";
}

std::string CopyBench::check_whole(const fs::path& expected) const {
  if (std::string wrong = check_visible(expected); !wrong.empty()) return wrong;
  for (const auto& entry : fs::recursive_directory_iterator(expected)) {
    const fs::path relative = entry.path().lexically_relative(expected);
    if (!fs::exists(fs::symlink_status(out() / relative))) return relative.string() + " is missing";
  }
  return "";
}

// The top of one that was not published as a whole is the destination's.
std::string CopyBench::check_published() const {
  if (std::string wrong = check_whole(); !wrong.empty()) return wrong;
  const auto mode = [](const fs::path& path) { return fs::status(path).permissions(); };
  if (fs::exists(out() / ".tideway-manifest") && mode(out()) != mode(source())) return "the top has another mode";
  for (const auto& entry : fs::recursive_directory_iterator(source())) {
    const fs::path relative = entry.path().lexically_relative(source());
    if (fs::is_directory(entry.symlink_status()) && mode(out() / relative) != mode(entry)) return relative.string() + " has another mode";
  }
  return "";
}

}  // namespace tideway::test
