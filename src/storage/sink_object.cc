// SPDX-License-Identifier: Apache-2.0
#include "storage/sink_object.h"

#include "storage/direct_io.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tideway::storage {
namespace {

bool punch(int fd, uint64_t begin, uint64_t end) {
  return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
                     static_cast<off_t>(end - begin)) == 0;
}

}  // namespace

Runs find_runs(std::span<const std::byte> bytes) {
  Runs runs;
  for (size_t begin = 0; begin < bytes.size(); begin += kRunGrain) {
    const size_t end = std::min(begin + kRunGrain, bytes.size());
    const bool is_hole = end - begin >= kHoleMin && is_all_zero(bytes.subspan(begin, end - begin));
    if (is_hole) continue;
    const bool joins = runs.count > 0 && runs.list[runs.count - 1].end == begin;
    if (joins || runs.count == kRunsMax) runs.list[runs.count - 1].end = end;
    else runs.list[runs.count++] = {begin, end};
  }
  return runs;
}

int SinkObject::reserve(int fd, uint64_t begin, uint64_t end) {
  if (!is_large()) return 0;
  const uint64_t piece = kReservePiece.count();
  if (reserved_.empty()) {
    reserved_.assign(size_.count() / piece + 1, false);
    if (::ftruncate(fd, static_cast<off_t>(size_.count())) != 0) return errno;
  }
  for (uint64_t i = begin / piece; i * piece < end; ++i) {
    if (reserved_[i]) continue;
    reserved_[i] = true;
    const uint64_t from = i * piece, length = std::min(piece, size_.count() - from);
    // The call itself, not posix_fallocate: that one may emulate by writing.
    if (::fallocate(fd, 0, static_cast<off_t>(from), static_cast<off_t>(length)) == 0) continue;
    if (errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && errno != EINTR) return errno;
  }
  return 0;
}

void SinkObject::on_write(uint64_t begin, uint64_t end) {
  written_end_ = std::max(written_end_, end);
  for (auto at = first_zeros_from(begin); at != zeros_.end() && at->first < end;) at = zeros_.erase(at);
}

// The first zeros that end behind `begin`.
SinkObject::Zeros::iterator SinkObject::first_zeros_from(uint64_t begin) {
  auto at = zeros_.upper_bound(begin);
  if (at != zeros_.begin() && std::prev(at)->second > begin) --at;
  return at;
}

bool SinkObject::make_hole(int fd, uint64_t begin, uint64_t end) {
  // Something else may have been written here before, by a block that was sent twice.
  if (begin < written_end_ && !punch(fd, begin, end)) return false;
  if (!is_large()) return true;
  // Joined with what they overlap, of a block that was sent twice, and with what they continue.
  uint64_t joined = begin;
  for (auto at = first_zeros_from(begin); at != zeros_.end() && at->first < end; at = zeros_.erase(at)) {
    joined = std::min(joined, at->first);
    end = std::max(end, at->second);
  }
  if (const auto next = zeros_.upper_bound(joined); next != zeros_.begin() && std::prev(next)->second == joined) {
    std::prev(next)->second = end;
  } else {
    zeros_.emplace(joined, end);
  }
  return true;
}

int SinkObject::finish(int fd) {
  for (const auto& [begin, end] : zeros_)  // unwritten space reads as zeros anyway, so failing to free it is no error
    if (!reserved_.empty()) static_cast<void>(punch(fd, begin, end));
  if (!reserved_.empty() || written_end_ == size_.count()) return 0;
  return ::ftruncate(fd, static_cast<off_t>(size_.count())) == 0 ? 0 : errno;
}

}  // namespace tideway::storage
