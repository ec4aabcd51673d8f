// SPDX-License-Identifier: Apache-2.0
#include "session/sample_tree.h"

#include "base/random.h"
#include "storage/errno_fault.h"
#include "storage/scan.h"
#include <tideway/object_name.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <vector>

namespace tideway::session {
namespace {

namespace fs = std::filesystem;

constexpr Bytes kLargeFile = 64_MiB;
constexpr int kFolders = 20, kFilesPerFolder = 30;
constexpr uint64_t kSmallFileMax = 16 << 10;
constexpr size_t kChunk = 1 << 20;
constexpr time_t kLongAgo = 1'000'000'000;  // a time that no clock gives by itself

// Writes one entry after the other and keeps the first failure.
class TreeWriter {
 public:
  explicit TreeWriter(std::string folder) : folder_(std::move(folder)) { check(::mkdir(folder_.c_str(), 0755), ""); }

  void make_dir(const std::string& name) {
    ++size_.entries;
    check(::mkdir(path(name).c_str(), 0755), name);
  }
  void link(const std::string& name, const char* target) {
    ++size_.entries;
    check(::symlink(target, path(name).c_str()), name);
  }
  void set_mode(const std::string& name, mode_t mode) { check(::chmod(path(name).c_str(), mode), name); }
  void set_time(const std::string& name) {
    const timespec times[] = {{kLongAgo, 0}, {kLongAgo, 123'456'789}};
    check(::utimensat(AT_FDCWD, path(name).c_str(), times, 0), name);
  }
  // `random` bytes that no codec makes smaller, then `zeros`.
  void write(const std::string& name, uint64_t random, uint64_t zeros = 0) {
    ++size_.entries;
    size_.bytes += Bytes(random + zeros);
    std::ofstream file(path(name), std::ios::binary);
    std::vector<uint64_t> chunk(kChunk / sizeof(uint64_t));
    const auto put = [&](uint64_t count) { file.write(reinterpret_cast<const char*>(chunk.data()), static_cast<std::streamsize>(count)); };
    for (; random > 0; random -= std::min<uint64_t>(random, kChunk)) {
      for (uint64_t& word : chunk) word = random_.next();
      put(std::min<uint64_t>(random, kChunk));
    }
    std::ranges::fill(chunk, 0);
    for (; zeros > 0; zeros -= std::min<uint64_t>(zeros, kChunk)) put(std::min<uint64_t>(zeros, kChunk));
    file.close();
    check(file ? 0 : -1, name);
  }
  Random& random() { return random_; }
  Result<TreeSize> finish() && {
    if (failure_ == 0) return size_;
    return storage::errno_error(storage::Side::kDestination, failure_, "write", to_display(failed_));
  }

 private:
  std::string path(const std::string& name) const { return folder_ + '/' + name; }
  void check(int result, const std::string& name) {
    if (result == 0 || failure_ != 0) return;
    failure_ = errno == 0 ? EIO : errno;
    failed_ = path(name);
  }

  const std::string folder_;
  Random random_{7401};
  TreeSize size_;
  int failure_ = 0;
  std::string failed_;
};

// ---- comparison ----------------------------------------------------------------------------------------------------

using Seen = std::map<std::string, struct stat>;  // by path below the tree

Error unreadable(const std::string& path, int error) { return storage::errno_error(storage::Side::kSource, error, "read", to_display(path)); }

Result<Seen> look_at(const std::string& folder) {
  Seen seen;
  std::error_code failure;
  fs::recursive_directory_iterator walk(folder, failure);
  for (; !failure && walk != fs::recursive_directory_iterator(); walk.increment(failure)) {
    std::string name = walk->path().native().substr(folder.size() + 1);
    if (name == storage::kTreeManifestName) continue;
    struct stat status{};
    if (::lstat(walk->path().c_str(), &status) != 0) return unreadable(walk->path().native(), errno);
    seen.emplace(std::move(name), status);
  }
  if (failure) return unreadable(folder, failure.value());
  return seen;
}

bool same_content(const std::string& one, const std::string& other) {
  std::ifstream first(one, std::ios::binary), second(other, std::ios::binary);
  std::vector<char> left(kChunk), right(kChunk);
  while (first && second) {
    first.read(left.data(), kChunk);
    second.read(right.data(), kChunk);
    if (first.gcount() != second.gcount() || std::memcmp(left.data(), right.data(), static_cast<size_t>(first.gcount())) != 0) return false;
  }
  return first.eof() && second.eof();
}

// What is different about two entries of one name; empty: nothing.
std::string difference(const struct stat& a, const struct stat& b, const std::string& one, const std::string& other) {
  if ((a.st_mode & S_IFMT) != (b.st_mode & S_IFMT)) return "type";
  if (S_ISLNK(a.st_mode)) {
    std::error_code failure;
    return fs::read_symlink(one, failure) == fs::read_symlink(other, failure) && !failure ? "" : "target";
  }
  if (a.st_mode != b.st_mode) return "mode";
  if (a.st_mtim.tv_sec != b.st_mtim.tv_sec || a.st_mtim.tv_nsec != b.st_mtim.tv_nsec) return "modification time";
  if (!S_ISREG(a.st_mode)) return "";
  if (a.st_size != b.st_size) return "size";
  return same_content(one, other) ? "" : "content";
}

Error differs(const std::string& name, const std::string& how, const std::string& other) {
  return {Fault::kHashMismatch, '"' + to_display(name) + "\" " + how + " in " + to_display(other),
          "this is a fault of Tideway or of this machine's memory or disk: report it with the output of tideway selftest --dpdk -vv"};
}

}  // namespace

Result<TreeSize> make_sample_tree(const std::string& folder) {
  TreeWriter tree(folder);
  tree.make_dir("large");
  tree.write("large/random.bin", kLargeFile.count());
  tree.write("large/half-empty.bin", kLargeFile.count() / 2 + 12'345, kLargeFile.count() / 2);
  for (int i = 0; i < kFolders; ++i) {
    const std::string name = "small-" + std::to_string(i);
    tree.make_dir(name);
    for (int k = 0; k < kFilesPerFolder; ++k) tree.write(name + "/file-" + std::to_string(k), tree.random().below(kSmallFileMax));
  }
  tree.make_dir("empty-directory");
  tree.write("empty", 0);
  tree.write("small-0/empty", 0);
  tree.make_dir("odd \"name\"\n\t'\\ \xC3\xA9 \xFF");
  tree.write("odd \"name\"\n\t'\\ \xC3\xA9 \xFF/-rf *", 42);
  tree.write("program", 4'097);
  tree.set_mode("program", 0750);
  tree.set_time("program");
  tree.link("link-to-file", "large/random.bin");
  tree.link("small-1/link-to-directory", "../large");
  tree.link("link-to-nothing", "not-there");
  return std::move(tree).finish();
}

Result<TreeSize> compare_trees(const std::string& one, const std::string& other) {
  const auto first = look_at(one), second = look_at(other);
  if (!first.ok()) return first.error();
  if (!second.ok()) return second.error();
  TreeSize alike;
  for (const auto& [name, status] : first.value()) {
    const auto found = second.value().find(name);
    if (found == second.value().end()) return differs(name, "is missing", other);
    const std::string what = difference(status, found->second, one + '/' + name, other + '/' + name);
    if (!what.empty()) return differs(name, "has another " + what, other);
    ++alike.entries;
    if (S_ISREG(status.st_mode)) alike.bytes += Bytes(static_cast<uint64_t>(status.st_size));
  }
  for (const auto& [name, status] : second.value())
    if (!first.value().contains(name)) return differs(name, "is there without reason", other);
  return alike;
}

}  // namespace tideway::session
