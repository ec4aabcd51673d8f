// SPDX-License-Identifier: Apache-2.0
//
// A bounded part of a manifest, and the builder that cuts a scan into pages.
// Thread: control, io worker for the builder. Pure.
#pragma once
#include "messages/session_messages.h"
#include <tideway/object_store.h>

namespace tideway::messages {

inline constexpr size_t kEntriesPerPageMax = 4096;
inline constexpr size_t kPageBytes = 64 << 10;     // a builder's pages end near this; a peer's may be kPageBodyMax
inline constexpr size_t kSkippedPerPageMax = 1000;  // keeps a page of a builder within kPageBodyMax
inline constexpr size_t kLinkTargetMax = 4095;     // PATH_MAX without its NUL
inline constexpr uint64_t kFileSizeMax = kObjectSizeMax.count();

// Something the scan left out on purpose, a special file or an unsafe link, for the person at the other side.
struct SkippedItem {
  std::string code;    // a word
  std::string detail;  // as in PeerError
  bool operator==(const SkippedItem&) const = default;
};

// The entries are numbered in a row, and each first leaf follows from the entry before it. A parent's number is
// smaller than its entry's. Whether the order of the tree is right, digest/tree_hasher.h sees.
struct ManifestPage {
  TransferId transfer{};
  uint32_t page = 0;
  std::vector<ManifestEntry> entries;  // 1 to kEntriesPerPageMax
  std::vector<SkippedItem> skipped = {};  // met since the page before; at most kSkippedPerPageMax
  bool operator==(const ManifestPage&) const = default;
};

// Errors: protocol_error, naming message and field.
Result<ManifestPage> parse_manifest_page(Body body);
std::string serialize(const ManifestPage& message);

// Collects entries in manifest order, and gives them their first leaf.
class PageBuilder {
 public:
  explicit PageBuilder(const TransferId& transfer) : transfer_(transfer) {}

  // The next entry; its number is one more than that of the one before, its first_leaf is set here.
  void add(ManifestEntry entry);
  bool is_empty() const { return page_.entries.empty(); }
  bool is_full() const;               // take() before the next add()
  // The page so far. Numbers, leaves and page numbers go on behind it.
  ManifestPage take();

  uint64_t leaves() const { return leaves_; }  // of all entries so far
  Bytes bytes() const { return bytes_; }
  uint64_t entries() const { return entries_; }

 private:
  TransferId transfer_;
  ManifestPage page_;
  size_t page_bytes_ = 0;
  uint32_t next_page_ = 0;
  uint64_t entries_ = 0, leaves_ = 0;
  Bytes bytes_;
};

}  // namespace tideway::messages
