// SPDX-License-Identifier: Apache-2.0
#include "client/inbox.h"

#include "base/descriptor.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

namespace tideway::client {
namespace {

constexpr mode_t kMode = 0640;  // the gateway reads it by its group

bool write_all(int fd, const std::string& text) {
  for (size_t done = 0; done < text.size();) {
    const ssize_t wrote = ::write(fd, text.data() + done, text.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return false;
    done += static_cast<size_t>(wrote);
  }
  return true;
}

}  // namespace

std::optional<std::string> write_request(const std::string& inbox, const std::string& submission_id, const std::string& text) {
  if (text.size() > kInboxRequestMax) return "a request of " + std::to_string(text.size()) + " bytes is more than an inbox takes";
  const std::string draft = inbox + '/' + submission_id + ".tmp", whole = inbox + '/' + submission_id + ".json";
  const auto failed = [&] { return inbox + ": " + std::strerror(errno); };
  Descriptor file(::open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, kMode));
  if (!file.is_open()) return failed();
  const bool is_written = ::fchmod(file.get(), kMode) == 0 && write_all(file.get(), text) && ::fsync(file.get()) == 0;
  std::optional<std::string> trouble;
  if (!is_written) trouble = failed();
  file.reset();
  if (!trouble && ::rename(draft.c_str(), whole.c_str()) != 0) trouble = failed();
  if (trouble) {
    ::unlink(draft.c_str());
    return trouble;
  }
  const Descriptor folder(::open(inbox.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open() || ::fsync(folder.get()) != 0) trouble = failed();
  return trouble;
}

std::string read_status(const std::string& inbox, const std::string& submission_id) {
  const Descriptor file(::open((inbox + '/' + submission_id + ".status.json").c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file.is_open()) return {};
  std::string text(kInboxRequestMax, '\0');
  size_t size = 0;
  ssize_t got = 0;
  while (size < text.size() && (got = ::read(file.get(), text.data() + size, text.size() - size)) > 0) size += static_cast<size_t>(got);
  text.resize(size);
  return text;
}

bool remove_request(const std::string& inbox, const std::string& submission_id) { return ::unlink((inbox + '/' + submission_id + ".json").c_str()) == 0; }

}  // namespace tideway::client
