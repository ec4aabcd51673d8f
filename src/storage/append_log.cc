// SPDX-License-Identifier: Apache-2.0
#include "storage/append_log.h"

#include "storage/blocking_queue.h"
#include "storage/staging.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace tideway::storage {
namespace {

Error failed(int error, std::string_view action) { return errno_error(Side::kDestination, error, action, "the ledger of the transfer"); }

}  // namespace

size_t AppendLog::read(uint64_t offset, std::span<std::byte> out) const {
  if (offset >= size_) return 0;
  const IoDone done = perform({IoOp::kRead, file_.get(), offset, out.first(std::min<uint64_t>(out.size(), size_ - offset))});
  return done.error == 0 ? done.transferred : 0;
}

Status AppendLog::cut(uint64_t size) {
  if (size >= size_) return success();
  if (::ftruncate(file_.get(), static_cast<off_t>(size)) != 0) return failed(errno, "cut");
  size_ = size;
  return success();
}

Status AppendLog::write(std::span<const std::byte> bytes) {
  if (const int error = write_all(file_.get(), size_, bytes); error != 0) return failed(error, "write");
  size_ += bytes.size();
  return success();
}

Status AppendLog::sync() { return ::fdatasync(file_.get()) == 0 ? success() : Status(failed(errno, "sync")); }

Status AppendLog::append(std::span<const std::byte> bytes) {
  if (Status written = write(bytes); !written.ok()) return written;
  return sync();
}

}  // namespace tideway::storage
