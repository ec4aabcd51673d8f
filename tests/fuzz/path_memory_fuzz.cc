// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the file in which a gateway remembers what its paths carried. Whatever is wrong with it there is less to remember, and
// what is noted then is there for the next one.
#include "session/path_memory.h"

#include <tideway/check.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace {

using namespace tideway;
using namespace tideway::session;

// Of this process, for all its inputs.
const std::string& file() {
  static const std::string name = [] {
    std::string folder = (std::filesystem::temp_directory_path() / "tideway-fuzz-XXXXXX").string();
    TIDEWAY_CHECK(::mkdtemp(folder.data()) != nullptr);
    static const std::string made = folder;
    std::atexit([] { std::filesystem::remove_all(made); });
    return folder + "/paths";
  }();
  return name;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::ofstream(file(), std::ios::binary).write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
  const KnownPath::UnixTime now(std::chrono::seconds(1'795'000'000));
  const std::string peer = "spiffe://example.org/site/wisconsin/gw/gw1";
  PathMemory memory(file());
  if (const auto rate = memory.recall(peer, std::chrono::milliseconds(20), now)) TIDEWAY_CHECK(*rate > Rate());
  memory.note(peer, {Rate::bytes_per_second(1'000'000), std::chrono::milliseconds(20), now});
  const auto again = PathMemory(file()).recall(peer, std::chrono::milliseconds(20), now);
  TIDEWAY_CHECK(again && *again >= Rate::bytes_per_second(1'000'000) && std::filesystem::file_size(file()) <= PathMemory::kFileMax);
  return 0;
}
