// SPDX-License-Identifier: Apache-2.0
//
// Rules for kinds of files, and for the formats that are no more than such files.
#include "checkpoint/dcp_metadata.h"
#include "checkpoint/index_json.h"
#include "checkpoint/rules.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/zip_directory.h"

#include <algorithm>
#include <set>

namespace tideway::checkpoint {

const std::string* Look::piece(std::string_view path, Part part) const {
  const auto found = pieces.find({std::string(path), part});
  return found == pieces.end() ? nullptr : &found->second;
}

std::string_view last_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }
std::string_view folder_of(std::string_view path) { return path.substr(0, path.rfind('/') + 1); }
std::string joined(std::string_view folder, std::string_view name) { return std::string(folder) + std::string(name); }

bool is_numbered(std::string_view text, std::string_view before, std::string_view after) {
  if (text.size() <= before.size() + after.size() || !text.starts_with(before) || !text.ends_with(after)) return false;
  const std::string_view digits = text.substr(before.size(), text.size() - before.size() - after.size());
  return std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
}

bool has_zip_suffix(std::string_view path) {
  return path.ends_with(".pt") || path.ends_with(".pth") || path.ends_with(".bin") || path.ends_with(".ckpt");
}

Trouble check_zip(const Look& look, const File& file) {
  const std::string* tail = look.piece(file.path, Part::kTail);
  if (tail != nullptr && ends_as_zip(*tail, file.size)) return std::nullopt;
  return Incomplete{"cut", (file.path.empty() ? look.listing.name : file.path) + " has no zip directory at its end"};
}

// ---- DCP ---------------------------------------------------------------------------------------------------------------

namespace {

// Times tell no order where hosts with clocks of their own set them. That a marker was written behind its shards is known all the same where whoever looks
// has seen the marker come, and none of them change since; then what it says of them has to be there. Later saves into the same directory
// change them behind it, or are further apart than clocks are.
Trouble check_seen_order(const Look& look, std::string_view folder, const File& metadata, const File& newest) {
  const Incomplete old{"old_marker", metadata.path + " is older than " + newest.path + ": that is being saved again, or the clocks of those that write differ"};
  const bool is_far = static_cast<uint64_t>(newest.mtime_ns) - static_cast<uint64_t>(metadata.mtime_ns) > static_cast<uint64_t>(kClocksApartMax.count());
  if (is_far || look.came_at(metadata) == 0) return old;
  const std::string* text = look.piece(metadata.path, Part::kWhole);
  const auto ends = text != nullptr ? files_of_dcp(*text) : std::nullopt;
  if (!ends) return old;
  for (const File& file : look.listing.files) {
    if (folder_of(file.path) != folder || !file.path.ends_with(".distcp") || file.mtime_ns <= metadata.mtime_ns) continue;
    if (look.came_at(file) > look.came_at(metadata) || !ends->contains(last_of(file.path))) return old;
  }
  for (const auto& [name, end] : *ends) {
    const File* file = look.listing.find(joined(folder, name));
    if (file == nullptr) return Incomplete{"missing", metadata.path + " names " + std::string(name) + ", which is not there"};
    if (file->size != Bytes(end)) return Incomplete{"cut", file->path + " has " + std::to_string(file->size.count()) + " bytes and " + metadata.path + " speaks of " + std::to_string(end)};
  }
  if (look.quiet.unchanged < look.quiet.settle) return Incomplete{"changing", "it is not long enough as it is now"};
  return std::nullopt;
}

}  // namespace

Trouble check_dcp(const Look& look, std::string_view folder) {
  const std::string marker = joined(folder, ".metadata");
  const File* metadata = look.listing.find(marker);
  if (look.listing.find(marker + ".tmp") != nullptr) return Incomplete{"writing", marker + ".tmp is there: it is being finished"};
  if (metadata == nullptr) return Incomplete{"no_marker", marker + " is not there yet"};
  const File* newest = nullptr;
  for (const File& file : look.listing.files) {
    if (folder_of(file.path) != folder || !file.path.ends_with(".distcp")) continue;
    if (newest == nullptr || file.mtime_ns > newest->mtime_ns) newest = &file;
  }
  if (newest == nullptr) return Incomplete{"missing", marker + " is there and no .distcp file beside it"};
  return newest->mtime_ns <= metadata->mtime_ns ? std::nullopt : check_seen_order(look, folder, *metadata, *newest);
}

Trouble dcp_rule(const Look& look) {
  std::set<std::string_view> folders;
  for (const File& file : look.listing.files)
    if (file.path.ends_with(".distcp") || last_of(file.path) == ".metadata") folders.insert(folder_of(file.path));
  if (folders.empty()) return Incomplete{"empty", "there is no .distcp file"};
  for (const std::string_view folder : folders)
    if (Trouble trouble = check_dcp(look, folder)) return trouble;
  return std::nullopt;
}

// ---- safetensors -------------------------------------------------------------------------------------------------------

namespace {

Trouble check_tensors(const Look& look, const File& file) {
  const std::string* head = look.piece(file.path, Part::kHead);
  const auto size = head != nullptr ? safetensors_file_size(*head) : std::nullopt;
  const std::string& shown = file.path.empty() ? look.listing.name : file.path;
  if (!size) return Incomplete{"cut", shown + " has no whole header"};
  if (*size == file.size) return std::nullopt;
  return Incomplete{"cut", shown + " has " + std::to_string(file.size.count()) + " bytes and its header speaks of " + std::to_string(size->count())};
}

// model-00001-of-00004.safetensors: a part that means nothing without its index.
bool is_shard(std::string_view path) {
  const std::string_view name = last_of(path);
  return name.ends_with(".safetensors") && name.find("-of-") != name.npos;
}

Trouble check_index(const Look& look, const File& index) {
  const std::string* text = look.piece(index.path, Part::kWhole);
  const auto files = text != nullptr ? files_of_index(*text) : std::nullopt;
  if (!files) return Incomplete{"cut", index.path + " is no whole index"};
  for (const std::string& name : *files)
    if (look.listing.find(joined(folder_of(index.path), name)) == nullptr) return Incomplete{"missing", index.path + " names " + name + ", which is not there yet"};
  return std::nullopt;
}

}  // namespace

Trouble check_safetensors(const Look& look) {
  std::set<std::string_view> indexed;
  for (const File& file : look.listing.files) {
    if (!file.path.ends_with(".index.json")) continue;
    if (Trouble trouble = check_index(look, file)) return trouble;
    indexed.insert(folder_of(file.path));
  }
  for (const File& file : look.listing.files) {
    if (is_shard(file.path) && !indexed.contains(folder_of(file.path)))
      return Incomplete{"no_marker", file.path + " is one of several, and there is no index of them yet"};
    const bool is_one = file.path.ends_with(".safetensors") || (file.path.empty() && look.listing.name.ends_with(".safetensors"));
    if (!is_one) continue;
    if (Trouble trouble = check_tensors(look, file)) return trouble;
  }
  return std::nullopt;
}

Trouble safetensors_rule(const Look& look) { return check_safetensors(look); }

// ---- torch.save --------------------------------------------------------------------------------------------------------

Trouble torch_rule(const Look& look) {
  size_t count = 0;
  for (const File& file : look.listing.files) {
    if (!file.path.empty() && !has_zip_suffix(file.path)) continue;
    ++count;
    if (Trouble trouble = check_zip(look, file)) return trouble;
  }
  if (count == 0) return Incomplete{"empty", "there is no file of torch.save"};
  return std::nullopt;
}

// ---- Lightning ---------------------------------------------------------------------------------------------------------

Trouble lightning_rule(const Look& look) {
  if (look.listing.is_file()) return torch_rule(look);
  std::set<std::string_view> partitioned;  // by DeepSpeed, which has no marker
  for (const File& file : look.listing.files)
    if (file.path.ends_with("_states.pt")) partitioned.insert(folder_of(file.path));
  for (const std::string_view folder : partitioned)
    if (Trouble trouble = check_deepspeed(look, folder)) return trouble;
  if (!partitioned.empty()) return std::nullopt;
  if (Trouble trouble = check_dcp(look, "")) return trouble;
  const File* meta = look.listing.find("meta.pt");
  if (meta == nullptr) return Incomplete{"no_marker", "meta.pt is not there yet"};
  return check_zip(look, *meta);
}

}  // namespace tideway::checkpoint
