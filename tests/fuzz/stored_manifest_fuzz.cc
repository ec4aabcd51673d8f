// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the manifest that lies beside published data, whole and with its lengths put right, so that what stands behind them is
// read, too. Pages come whole and in their order or end with an error, and hashes are read where the header says that there are some.
#include "storage/stored_manifest.h"

#include "messages/manifest_page.h"

#include <tideway/check.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace {

using namespace tideway;
using namespace tideway::storage;

constexpr size_t kLengthAt = 6, kPagesAt = 8 + 32 + 1 + 8, kLeavesAt = kPagesAt + 8;  // of the header's own length, and what it says

const std::filesystem::path& folder() {
  static const std::filesystem::path made = [] {
    std::string name = (std::filesystem::temp_directory_path() / "tideway-fuzz-XXXXXX").string();
    TIDEWAY_CHECK(::mkdtemp(name.data()) != nullptr);
    return std::filesystem::path(name);
  }();
  static const bool is_removed_at_exit = std::atexit([] { std::filesystem::remove_all(made); }) == 0;
  TIDEWAY_CHECK(is_removed_at_exit);
  return made;
}

void read(std::span<const uint8_t> bytes) {
  static const RootedDir dir = RootedDir::open_host_path(folder().string(), Side::kSource).value();
  static const ObjectName name = ObjectName::from_components({"manifest"}).value();
  std::ofstream(folder() / "manifest", std::ios::binary).write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  const auto manifest = StoredManifest::open(dir, name);
  if (!manifest.ok()) return;
  const StoredManifestHeader& header = manifest.value().header();
  TIDEWAY_CHECK(header.page_bytes <= bytes.size() && header.leaves <= bytes.size() / sizeof(Hash128));
  PageStream pages = manifest.value().pages();
  size_t seen = 0;
  for (auto page = pages.next(); page.ok() && !page.value().empty(); page = pages.next()) {
    seen += kFrameHeadSize + page.value().size();
    TIDEWAY_CHECK(seen <= header.page_bytes);
    static_cast<void>(messages::parse_manifest_page(page.value()).ok());
  }
  std::vector<Hash128> hashes(header.leaves);
  TIDEWAY_CHECK(manifest.value().read_leaves(0, hashes));
  TIDEWAY_CHECK(!manifest.value().read_leaves(header.leaves, std::span(&hashes.emplace_back(), 1)));
}

void put(std::vector<uint8_t>& bytes, size_t at, size_t size, uint64_t value) {
  for (size_t i = size; i > 0; --i, value >>= 8) bytes[at + i - 1] = static_cast<uint8_t>(value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> bytes(data, data + size);
  read(bytes);
  if (bytes.size() < kLeavesAt + 8) return 0;
  const size_t head = 8 + (static_cast<size_t>(bytes[kLengthAt]) << 8 | bytes[kLengthAt + 1]);
  if (head > bytes.size()) return 0;
  const uint64_t leaves = bytes[kLeavesAt + 7] % ((bytes.size() - head) / sizeof(Hash128) + 1);
  put(bytes, kLeavesAt, 8, leaves);
  put(bytes, kPagesAt, 8, bytes.size() - head - leaves * sizeof(Hash128));
  read(bytes);
  return 0;
}
