// SPDX-License-Identifier: Apache-2.0
//
// glibc 2.36 has no wrappers for these calls. What a right means is in linux/landlock.h; the header of the machine that
// builds may be older than the kernel that runs, so no right of a later version than 3 is used.
#include "daemon/landlock.h"

#include "base/descriptor.h"
#include <tideway/object_name.h>

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>

namespace tideway::daemon {
namespace {

constexpr uint64_t kTruncate = 1ULL << 14;  // LANDLOCK_ACCESS_FS_TRUNCATE, version 3 (Linux 6.2), younger than our headers
constexpr int kAbiWithTruncate = 3;

constexpr uint64_t kRead = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr uint64_t kDevices = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE;
constexpr uint64_t kWrite = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_WRITE_FILE |
                            LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
                            LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REFER;
// What nobody needs is handled, too, and so forbidden everywhere.
constexpr uint64_t kNowhere = LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK;

Error unsupported(std::string what) { return {Fault::kUnsupported, "Landlock: " + std::move(what), "boot with landlock in the list lsm="}; }

Status allow(int rules, const std::string& path, uint64_t rights) {
  const Descriptor place(::open(path.c_str(), O_PATH | O_CLOEXEC));
  if (place.get() < 0 && errno == ENOENT) return success();
  if (place.get() < 0) return unsupported(to_display(path) + ": " + std::strerror(errno));
  const landlock_path_beneath_attr beneath{rights, place.get()};
  if (::syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) != 0)
    return unsupported(to_display(path) + ": " + std::strerror(errno));
  return success();
}

}  // namespace

int landlock_abi() {
  const long version = ::syscall(SYS_landlock_create_ruleset, nullptr, 0, LANDLOCK_CREATE_RULESET_VERSION);
  return version < 0 ? 0 : static_cast<int>(version);
}

Status raise_fence(const Fence& fence) {
  const int abi = landlock_abi();
  if (abi < kLandlockAbiMin)
    return unsupported(abi == 0 ? "this kernel has none, or it is turned off" : "version " + std::to_string(abi) + " of this kernel cannot allow files to be moved");
  const uint64_t truncate = abi >= kAbiWithTruncate ? kTruncate : 0;
  const landlock_ruleset_attr handled{kRead | kWrite | kNowhere | truncate};
  const Descriptor rules(static_cast<int>(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0)));
  if (rules.get() < 0) return unsupported(std::strerror(errno));
  const struct { const std::vector<std::string>& paths; uint64_t rights; } groups[] = {
      {fence.writable, kWrite | truncate}, {fence.readable, kRead}, {fence.devices, kDevices | truncate}};
  for (const auto& group : groups)
    for (const std::string& path : group.paths)
      if (Status status = allow(rules.get(), path, group.rights); !status.ok()) return status;
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::syscall(SYS_landlock_restrict_self, rules.get(), 0) != 0) return unsupported(std::strerror(errno));
  return success();
}

}  // namespace tideway::daemon
