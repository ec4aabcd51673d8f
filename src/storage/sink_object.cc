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
  std::erase_if(zeros_, [&](const Range& zero) { return zero.begin < end && begin < zero.end; });
}

bool SinkObject::make_hole(int fd, uint64_t begin, uint64_t end) {
  // Something else may have been written here before, by a block that was sent twice.
  if (begin < written_end_ && !punch(fd, begin, end)) return false;
  if (!is_large()) return true;
  if (!zeros_.empty() && zeros_.back().end == begin) zeros_.back().end = end;
  else zeros_.push_back({begin, end});
  return true;
}

int SinkObject::finish(int fd) {
  for (const Range& zero : zeros_)  // unwritten space reads as zeros anyway, so failing to free it is no error
    if (!reserved_.empty()) static_cast<void>(punch(fd, zero.begin, zero.end));
  if (!reserved_.empty() || written_end_ == size_.count()) return 0;
  return ::ftruncate(fd, static_cast<off_t>(size_.count())) == 0 ? 0 : errno;
}

}  // namespace tideway::storage
