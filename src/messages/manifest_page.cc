// SPDX-License-Identifier: Apache-2.0
#include "messages/manifest_page.h"

#include "messages/field_check.h"

#include <manifest.pb.h>

namespace tideway::messages {
namespace {

constexpr size_t kEntryOverhead = 45;  // tags, lengths and numbers of an entry at their longest, about
constexpr uint32_t kModeMax = 0777;

ManifestEntry parse_entry(proto::Entry& in, ObjectId number, FieldCheck& check) {
  ManifestEntry out;
  out.number = number;
  out.parent = ObjectId(in.parent());
  const bool is_first = number == ObjectId();
  check.require(is_first ? in.parent() == 0 : in.parent() < number.value(), "entry.parent",
                "is not an earlier entry");
  check.require(is_first ? in.name().empty() : is_component(in.name()), "entry.name",
                is_first ? "is given for entry 0" : "is not one component of a name");
  check.require(in.type() <= static_cast<uint32_t>(EntryType::kSymlink), "entry.type", "has an unknown value");
  out.type = static_cast<EntryType>(std::min(in.type(), static_cast<uint32_t>(EntryType::kSymlink)));
  check.require(in.size() <= (out.type == EntryType::kFile ? kFileSizeMax : 0), "entry.size", "is out of range");
  check.require(in.mode() <= kModeMax, "entry.mode", "has bits besides rwx");
  const std::string& target = in.link_target();
  const bool is_target = !target.empty() && target.size() <= kLinkTargetMax && target.find('\0') == target.npos;
  check.require(out.type == EntryType::kSymlink ? is_target : target.empty(), "entry.link_target", "is wrong");
  out.name = std::move(*in.mutable_name());
  out.size = Bytes(in.size());
  out.mode = in.mode();
  out.mtime_ns = in.mtime_ns();
  out.link_target = std::move(*in.mutable_link_target());
  check.require(out.type == EntryType::kFile || in.version() == 0, "entry.version", "is given for what is no file");
  out.version = in.version();
  return out;
}

}  // namespace

Result<ManifestPage> parse_manifest_page(Body body) {
  FieldCheck check(MessageType::kManifestPage);
  proto::ManifestPage in;
  constexpr size_t kOtherFields = 4;
  if (!check.read(body, in, kEntriesPerPageMax + kSkippedPerPageMax + kOtherFields)) return check.take_failure();
  ManifestPage out;
  check.copy(in.transfer(), out.transfer, "transfer");
  out.page = in.page();
  const auto count = static_cast<size_t>(in.entry_size());
  if (!check.require(count >= 1 && count <= kEntriesPerPageMax, "entries", "are not 1 to 4096") ||
      !check.require(static_cast<size_t>(in.skipped_size()) <= kSkippedPerPageMax, "skipped", "are more than 1000") ||
      !check.require(count - 1 <= UINT32_MAX - in.first_number(), "first_number", "is too high") ||
      !check.require(in.first_leaf() <= uint64_t{1} << 62, "first_leaf", "is too high"))
    return check.take_failure();
  out.entries.reserve(count);
  uint32_t number = in.first_number();
  uint64_t leaf = in.first_leaf();  // at most 2^32 leaves each, so it cannot overflow
  for (proto::Entry& entry : *in.mutable_entry()) {
    out.entries.push_back(parse_entry(entry, ObjectId(number++), check));
    out.entries.back().first_leaf = leaf;
    leaf += leaf_count(out.entries.back().size);
    if (!check.ok()) break;
  }
  for (const proto::Skipped& skipped : in.skipped())
    out.skipped.push_back({check.word(skipped.code(), "skipped.code"), check.detail(skipped.detail(), "skipped.detail")});
  return check.finish(std::move(out));
}

std::string serialize(const ManifestPage& message) {
  TIDEWAY_CHECK(!message.entries.empty());
  proto::ManifestPage out;
  out.set_transfer(to_text(message.transfer));
  out.set_page(message.page);
  out.set_first_number(message.entries.front().number.value());
  out.set_first_leaf(message.entries.front().first_leaf);
  for (const ManifestEntry& entry : message.entries) {
    proto::Entry& entry_out = *out.add_entry();
    entry_out.set_parent(entry.parent.value());
    entry_out.set_name(entry.name);
    entry_out.set_type(static_cast<uint32_t>(entry.type));
    entry_out.set_size(entry.size.count());
    entry_out.set_mode(entry.mode);
    entry_out.set_mtime_ns(entry.mtime_ns);
    entry_out.set_link_target(entry.link_target);
    entry_out.set_version(entry.version);
  }
  for (const SkippedItem& skipped : message.skipped) {
    proto::Skipped& skipped_out = *out.add_skipped();
    skipped_out.set_code(skipped.code);
    skipped_out.set_detail(to_detail(skipped.detail));
  }
  return to_body(MessageType::kManifestPage, out);
}

void PageBuilder::add(ManifestEntry entry) {
  TIDEWAY_CHECK(!is_full() && entry.number.value() == entries_);
  entry.first_leaf = leaves_;
  ++entries_;
  leaves_ += leaf_count(entry.size);
  bytes_ += entry.size;
  page_bytes_ += kEntryOverhead + entry.name.size() + entry.link_target.size();
  page_.entries.push_back(std::move(entry));
}

bool PageBuilder::is_full() const {
  return page_bytes_ >= kPageBytes || page_.entries.size() >= kEntriesPerPageMax;
}

ManifestPage PageBuilder::take() {
  ManifestPage page = std::exchange(page_, {});
  page.transfer = transfer_;
  page.page = next_page_++;
  page_bytes_ = 0;
  return page;
}

}  // namespace tideway::messages
