// SPDX-License-Identifier: Apache-2.0
#include "storage/device_read.h"

#include "storage/blocking_queue.h"
#include "storage/direct_io.h"
#include "storage/staging.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <vector>

namespace tideway::storage {
namespace {

constexpr std::byte kProbe{0xA5};

struct alignas(kDirectAlignment) ProbePage {
  std::array<std::byte, kDirectAlignment> bytes{};
};

// Asked of the page tables and not of a read that must not wait: such a read begins to fill the cache it asks about. Where we
// may not know, the kernel says that all is there.
bool is_cached(int fd, uint64_t offset, uint64_t length) {
  void* mapped = ::mmap(nullptr, length, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(offset));
  if (mapped == MAP_FAILED) return true;
  const auto page = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((length + page - 1) / page);
  const bool is_told = ::mincore(mapped, length, pages.data()) == 0;
  ::munmap(mapped, length);
  const auto is_there = [](unsigned char flags) { return (flags & 1U) != 0; };
  return !is_told || std::any_of(pages.begin(), pages.end(), is_there);
}

uint64_t whole_pages(uint64_t length) { return (length + kDirectAlignment - 1) / kDirectAlignment * kDirectAlignment; }

// False: this file has none.
bool set_direct(int fd, Caching caching) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags >= 0 && ::fcntl(fd, F_SETFL, caching == Caching::kDirect ? flags | O_DIRECT : flags & ~O_DIRECT) == 0;
}

// With direct I/O; a range may reach behind the end of the file.
bool read_direct(int fd, uint64_t offset, std::span<std::byte> bytes) {
  if (!set_direct(fd, Caching::kDirect)) return false;
  const IoDone done = perform({IoOp::kRead, fd, offset, {bytes.data(), whole_pages(bytes.size())}});
  return set_direct(fd, Caching::kBuffered) && done.error == 0 && done.transferred >= bytes.size();
}

bool reads_directly(int fd) {
  ProbePage page;
  const auto is_probe = [](std::byte byte) { return byte == kProbe; };
  return read_direct(fd, 0, page.bytes) && std::all_of(page.bytes.begin(), page.bytes.end(), is_probe) &&
         !is_cached(fd, 0, kDirectAlignment);
}

}  // namespace

Error no_device_reads(const std::string& shown) {
  return {Fault::kVerifyUnavailable,
          "the file system of \"" + shown + "\" gives back what it keeps in memory, so that reading it again would prove nothing",
          "use --verify memory, or a destination on ext4 or XFS"};
}

bool drop_cached(int fd, uint64_t offset, uint64_t length) {
  const uint64_t whole = whole_pages(length);  // a page that is named in part stays
  if (::posix_fadvise(fd, static_cast<off_t>(offset), static_cast<off_t>(whole), POSIX_FADV_DONTNEED) != 0) return false;
  return !is_cached(fd, offset, whole);
}

DeviceReader::Outcome DeviceReader::read(int fd, uint64_t offset, std::span<std::byte> bytes) {
  if (is_direct_trusted_ && read_direct(fd, offset, bytes)) return Outcome::kRead;
  if (!drop_cached(fd, offset, bytes.size())) return Outcome::kFromCache;
  if (read_direct(fd, offset, bytes)) {
    is_direct_trusted_ = !is_cached(fd, offset, whole_pages(bytes.size()));
    return Outcome::kRead;  // one way or the other: nothing was left in the cache
  }
  return read_exactly(fd, offset, bytes) ? Outcome::kRead : Outcome::kFailed;
}

Result<DeviceReads> find_device_reads(const RootedDir& root) {
  auto file = root.create_unnamed_file();
  if (!file.ok()) return std::move(file).error();
  if (!file.value().is_open()) return no_device_reads(root.shown({}));
  const int fd = file.value().get();
  ProbePage page;
  page.bytes.fill(kProbe);
  int error = write_all(fd, 0, page.bytes);
  // To the device, which is all a probe needs: the journal and the device's own cache stay as they are.
  constexpr unsigned kWritten = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
  if (error == 0 && ::sync_file_range(fd, 0, kDirectAlignment, kWritten) != 0) error = errno;
  if (error != 0) return errno_error(root.side(), error, "write a probe below", root.shown({}));
  if (!drop_cached(fd, 0, kDirectAlignment)) return no_device_reads(root.shown({}));
  return reads_directly(fd) ? DeviceReads::kDirect : DeviceReads::kAfterDrop;
}

}  // namespace tideway::storage
