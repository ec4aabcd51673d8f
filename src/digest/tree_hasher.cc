// SPDX-License-Identifier: Apache-2.0
#include "digest/tree_hasher.h"

namespace tideway::digest {
namespace {

Error out_of_order(const ManifestEntry& entry, const std::string& why) {
  return {Fault::kManifestMismatch,
          "entry " + std::to_string(entry.number.value()) + " (\"" + to_display(entry.name) + "\") of the manifest " +
              why,
          "start the transfer again; if it happens twice, report it with both versions"};
}

bool is_settled_by_manifest(const ManifestEntry& entry) {
  return entry.type != EntryType::kFile || entry.size == Bytes();
}

Hash256 content_in_manifest(const ManifestEntry& entry) {
  if (entry.type == EntryType::kSymlink) return link_content(entry.link_target);
  return entry.type == EntryType::kFile ? empty_object() : Hash256{};  // a directory's comes from what is in it
}

}  // namespace

Status TreeHasher::add(const ManifestEntry& entry) {
  if (auto status = check_order(entry); !status.ok()) return status;
  if (entry.number != ObjectId()) {
    while (listed_.back().number != entry.parent) listed_.pop_back();
    listed_.back().last_name = entry.name;
  }
  if (entry.type == EntryType::kDirectory) listed_.push_back({entry.number, {}});
  ++next_number_;

  const bool is_settled = is_settled_by_manifest(entry);
  waiting_.push_back({.parent = entry.parent,
                      .type = entry.type,
                      .state = is_settled ? State::kSettled : State::kUnsettled,
                      .mode = entry.mode,
                      .name = entry.name,
                      .content = is_settled ? content_in_manifest(entry) : Hash256{}});
  if (waiting_.size() == 1) fold_settled();
  return success();
}

Status TreeHasher::check_order(const ManifestEntry& entry) const {
  if (entry.number.value() != next_number_)
    return out_of_order(entry, "came where number " + std::to_string(next_number_) + " was due");
  if (next_number_ == 0) {
    if (entry.parent != entry.number || !entry.name.empty()) return out_of_order(entry, "has a name or a parent");
    return success();
  }
  if (!is_component(entry.name)) return out_of_order(entry, "has a name that is none");
  for (size_t i = listed_.size(); i-- > 0;) {
    if (listed_[i].number != entry.parent) continue;
    if (listed_[i].last_name >= entry.name)  // char_traits compares as unsigned bytes
      return out_of_order(entry, "comes after \"" + to_display(listed_[i].last_name) + "\" in the same directory");
    if (entry.type == EntryType::kDirectory && i + 1 >= kNameDepthMax) return out_of_order(entry, "is too deep");
    return success();
  }
  return out_of_order(entry, "is below entry " + std::to_string(entry.parent.value()) +
                                 ", which is no directory, or whose content has ended");
}

TreeHasher::Waiting* TreeHasher::find_unsettled(ObjectId object) {
  const uint64_t first = next_number_ - waiting_.size();
  if (object.value() < first || object.value() >= next_number_) return nullptr;
  Waiting& found = waiting_[object.value() - first];
  return found.state == State::kUnsettled ? &found : nullptr;
}

bool TreeHasher::set_root(ObjectId object, const Hash256& root) {
  Waiting* const found = find_unsettled(object);
  if (found == nullptr) return false;
  found->content = root;
  found->state = State::kSettled;
  if (found == &waiting_.front()) fold_settled();
  return true;
}

bool TreeHasher::drop(ObjectId object) {
  Waiting* const found = find_unsettled(object);
  if (found == nullptr) return false;
  found->state = State::kDropped;
  if (found == &waiting_.front()) fold_settled();
  return true;
}

void TreeHasher::fold_settled() {
  while (!waiting_.empty() && waiting_.front().state != State::kUnsettled) {
    const ObjectId number(static_cast<uint32_t>(next_number_ - waiting_.size()));
    if (waiting_.front().state == State::kSettled) fold(waiting_.front(), number);
    waiting_.pop_front();
  }
}

void TreeHasher::fold(const Waiting& entry, ObjectId number) {
  if (number != ObjectId()) {
    size_t parent = open_.size();
    while (open_[parent - 1].number != entry.parent) --parent;  // add() saw that it is there
    close_down_to(parent);
  }
  if (entry.type != EntryType::kDirectory) return put({entry.type, entry.mode, entry.name, entry.content});
  open_.emplace_back(number, entry.mode, entry.name);
}

void TreeHasher::close_down_to(size_t open) {
  while (open_.size() > open) {
    Open& last = open_.back();
    const Hash256 content = last.hash.finish();
    const std::string name = std::move(last.name);
    const uint32_t mode = last.mode;
    open_.pop_back();
    put({EntryType::kDirectory, mode, name, content});
  }
}

void TreeHasher::put(const EntryContent& entry) {
  if (open_.empty()) {
    content_of_entry_0_ = entry.content;
  } else {
    open_.back().hash.add(entry_hash(entry));
  }
}

std::optional<Hash256> TreeHasher::finish() {
  if (!waiting_.empty()) return std::nullopt;
  close_down_to(0);
  if (!content_of_entry_0_) return std::nullopt;
  return transfer_root(*content_of_entry_0_);
}

}  // namespace tideway::digest
