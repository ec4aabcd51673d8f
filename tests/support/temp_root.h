// SPDX-License-Identifier: Apache-2.0
//
// A directory of a test's own, removed with all its content at the end, and the few things tests do in it.
#pragma once
#include <tideway/check.h>

#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace tideway {

class TempRoot {
 public:
  // kMemory: in memory, if the machine has room there and nobody has named a folder by TMPDIR. A test that makes and removes
  // thousands of files takes half as much longer on a disk.
  enum class In { kTemporary, kMemory };
  explicit TempRoot(In where = In::kTemporary) {
    const bool is_in_memory = where == In::kMemory && has_memory();
    std::string form = ((is_in_memory ? kMemoryFolder : std::filesystem::temp_directory_path()) / "tideway-test-XXXXXX").string();
    TIDEWAY_CHECK(::mkdtemp(form.data()) != nullptr);
    path_ = form;
  }
  ~TempRoot() {
    std::error_code ignored;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(
             path_, std::filesystem::directory_options::skip_permission_denied, ignored))
      if (entry.is_directory(ignored) && !entry.is_symlink(ignored)) ::chmod(entry.path().c_str(), 0700);
    std::filesystem::remove_all(path_, ignored);
  }
  TempRoot(const TempRoot&) = delete;
  TempRoot& operator=(const TempRoot&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

  void make_dir(std::string_view name) const { std::filesystem::create_directories(path_ / name); }
  void write(std::string_view name, std::string_view content) const {
    std::filesystem::create_directories((path_ / name).parent_path());
    std::ofstream(path_ / name, std::ios::binary) << content;
  }
  std::string read(std::string_view name) const {
    std::ifstream in(path_ / name, std::ios::binary);
    std::error_code missing;
    const auto size = std::filesystem::file_size(path_ / name, missing);
    std::string content(missing ? 0 : size, '\0');
    in.read(content.data(), static_cast<std::streamsize>(content.size()));
    return content;
  }
  void link(std::string_view name, std::string_view target) const {
    std::filesystem::create_symlink(std::string(target), path_ / name);
  }
  bool exists(std::string_view name) const { return std::filesystem::exists(std::filesystem::symlink_status(path_ / name)); }
  struct stat stat(std::string_view name) const {
    struct stat status{};
    TIDEWAY_CHECK(::lstat((path_ / name).c_str(), &status) == 0);
    return status;
  }

 private:
  static constexpr const char* kMemoryFolder = "/dev/shm";
  static bool has_memory() {
    constexpr uint64_t kRoom = uint64_t{1} << 30;  // containers often have 64 MB
    struct statvfs status{};
    return std::getenv("TMPDIR") == nullptr && ::access(kMemoryFolder, W_OK) == 0 && ::statvfs(kMemoryFolder, &status) == 0 &&
           uint64_t{status.f_bavail} * status.f_frsize >= kRoom;
  }
  std::filesystem::path path_;
};

}  // namespace tideway
