// SPDX-License-Identifier: Apache-2.0
#include "session/transfer_id.h"

#include "crypto/sha256.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <span>

namespace tideway::session {
namespace {

// Each part behind its length, so that no two lists of parts are the same bytes.
class PartsHash {
 public:
  void add(std::string_view part) {
    add(part.size());
    hash_.update(std::as_bytes(std::span(part)));
  }
  void add(uint64_t number) {
    std::array<std::byte, 8> bytes{};
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(number >> (56 - 8 * i));
    hash_.update(bytes);
  }
  TransferId finish() {
    const Hash256 whole = hash_.finish();
    TransferId id{};
    std::copy_n(whole.begin(), id.size(), id.begin());
    return id;
  }

 private:
  crypto::Sha256 hash_;
};

}  // namespace

TransferId direct_transfer_id(const CopyIdentity& copy) {
  PartsHash hash;
  hash.add("tideway direct");
  hash.add(copy.sources.size());
  for (const std::string& source : copy.sources) hash.add(source);
  hash.add(copy.destination);
  hash.add(static_cast<uint64_t>(copy.form));
  hash.add(static_cast<uint64_t>(copy.options.publish));
  hash.add(static_cast<uint64_t>(copy.options.overwrite));
  // What a lower level left is not gone on from.
  if (copy.options.verify == messages::VerifyLevel::kReadback) hash.add("readback");
  if (copy.options.verify == messages::VerifyLevel::kWire) hash.add("wire");
  hash.add(copy.options.last.size());
  for (const std::string& pattern : copy.options.last) hash.add(pattern);
  hash.add(copy.filters.size());
  for (const messages::Filter& filter : copy.filters) {
    hash.add(static_cast<uint64_t>(filter.kind));
    hash.add(filter.pattern);
  }
  hash.add(copy.only ? copy.only->size() + 1 : 0);
  if (copy.only)
    for (const ObjectName& name : *copy.only) hash.add(to_display(name));
  return hash.finish();
}

TransferId repair_transfer_id(const std::string& path) {
  PartsHash hash;
  hash.add("tideway repair");
  hash.add(path);
  return hash.finish();
}

TransferId ahead_id(const TransferId& transfer) {
  PartsHash hash;
  hash.add("tideway ahead");
  hash.add(std::string_view(reinterpret_cast<const char*>(transfer.data()), transfer.size()));
  return hash.finish();
}

TransferId staging_id(const TransferId& transfer, const crypto::Identity& peer, uint32_t modes) {
  PartsHash hash;
  hash.add("tideway staging");
  hash.add(std::string_view(reinterpret_cast<const char*>(transfer.data()), transfer.size()));
  hash.add(to_string(peer));
  hash.add(modes);
  return hash.finish();
}

std::string absolute_path(const std::string& path) {
  std::error_code failed;
  const auto whole = std::filesystem::weakly_canonical(path, failed);
  return failed ? path : whole.string();
}

}  // namespace tideway::session
