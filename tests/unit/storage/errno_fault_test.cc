// SPDX-License-Identifier: Apache-2.0
#include "storage/errno_fault.h"

#include <gtest/gtest.h>

#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <sstream>

namespace tideway::storage {
namespace {

struct Named {
  const char* name;
  int error;
};
constexpr Named kErrors[] = {{"ENOSPC", ENOSPC}, {"EDQUOT", EDQUOT}, {"EIO", EIO},       {"EROFS", EROFS},     {"EACCES", EACCES},
                             {"EPERM", EPERM},   {"EEXIST", EEXIST}, {"ENOTDIR", ENOTDIR}, {"ELOOP", ELOOP},   {"EXDEV", EXDEV},
                             {"EFBIG", EFBIG},   {"ESTALE", ESTALE}, {"EMFILE", EMFILE}, {"ENOMEM", ENOMEM},   {"ENOENT", ENOENT}};

std::string line_of(const char* side, const char* name, const Error& error) {
  std::string next = error.next;
  const std::string uid = std::to_string(::geteuid());
  if (const size_t at = next.find("uid " + uid); at != std::string::npos) next.replace(at + 4, uid.size(), "UID");
  return std::string(side) + ' ' + name + ": (" + std::string(error.name()) + ") " + error.what + "; " + next;
}

// What a user reads for each trouble of the disk, word for word: docs/texts/storage_errors.txt.
TEST(ErrnoFault, TextsAreThoseOfTheFile) {
  std::ostringstream said;
  for (const Named& one : kErrors) {
    said << line_of("destination", one.name, errno_error(Side::kDestination, one.error, "write", "ckpt/shard")) << '\n';
    said << line_of("source", one.name, errno_error(Side::kSource, one.error, "read", "ckpt/shard")) << '\n';
  }
  std::ifstream file(TIDEWAY_TEST_VECTORS "/../texts/storage_errors.txt");
  const std::string expected{std::istreambuf_iterator<char>(file), {}};
  EXPECT_EQ(said.str(), expected);
}

}  // namespace
}  // namespace tideway::storage
