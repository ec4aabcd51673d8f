// SPDX-License-Identifier: Apache-2.0
#include "checkpoint/assess.h"

#include "checkpoint/rules.h"
#include "checkpoint/tracker.h"
#include <tideway/object_name.h>

#include <algorithm>
#include <array>

namespace tideway::checkpoint {
namespace {

using enum Kind;

bool any(const Listing& listing, bool (*is_one)(std::string_view path)) { return std::ranges::any_of(listing.files, is_one, &File::path); }

bool fits_megatron(const Listing& listing) {
  return is_numbered(listing.name, "iter_", "") ||
         any(listing, [](std::string_view path) { return path.starts_with("mp_rank_") && path.ends_with("/model_optim_rng.pt"); }) ||
         (listing.find("common.pt") != nullptr && any(listing, [](std::string_view path) { return path.ends_with(".distcp"); }));
}
bool fits_deepspeed(const Listing& listing) {
  return any(listing, [](std::string_view path) {  // at the top: below that they are part of a trainer's checkpoint
    const bool has_rank = path.starts_with("mp_rank_") || path.find("zero_pp_rank_") != path.npos;
    return has_rank && path.ends_with("_states.pt") && folder_of(path).empty();
  });
}
bool fits_hf(const Listing& listing) { return is_numbered(listing.name, "checkpoint-", "") || listing.find("trainer_state.json") != nullptr; }
bool fits_orbax(const Listing& listing) {
  return listing.name.find(".orbax-checkpoint-tmp") != listing.name.npos || listing.find("_CHECKPOINT_METADATA") != nullptr ||
         listing.find("commit_success.txt") != nullptr;
}
bool fits_lightning(const Listing& listing) {
  return listing.find("meta.pt") != nullptr || (listing.is_file() && listing.name.ends_with(".ckpt")) ||
         any(listing, [](std::string_view path) { return path.starts_with("checkpoint/") && path.ends_with("_states.pt"); });  // its tag for DeepSpeed
}
bool fits_dcp(const Listing& listing) {
  return any(listing, [](std::string_view path) { return path.ends_with(".distcp") || last_of(path) == ".metadata"; });
}
bool fits_safetensors(const Listing& listing) {
  return (listing.is_file() && listing.name.ends_with(".safetensors")) ||
         any(listing, [](std::string_view path) { return path.ends_with(".safetensors") || path.ends_with(".safetensors.index.json"); });
}
bool fits_torch(const Listing& listing) { return (listing.is_file() && has_zip_suffix(listing.name)) || any(listing, has_zip_suffix); }

const std::array<Row, 8> kRows = {{
    {kMegatron, "megatron", fits_megatron, megatron_rule, {kDcp, kTorch}, kMegatronTracker},
    {kDeepspeed, "deepspeed", fits_deepspeed, deepspeed_rule, {kTorch}, kDeepspeedTracker},
    {kHf, "hf", fits_hf, hf_rule, {kDcp, kSafetensors, kTorch}, ""},
    {kOrbax, "orbax", fits_orbax, orbax_rule, {}, ""},
    {kLightning, "lightning", fits_lightning, lightning_rule, {kDcp, kTorch}, ""},
    {kDcp, "dcp", fits_dcp, dcp_rule, {kTorch}, ""},
    {kSafetensors, "safetensors", fits_safetensors, safetensors_rule, {kTorch}, ""},
    {kTorch, "torch", fits_torch, torch_rule, {}, ""},
}};

// As the publishing side knows them; more may be named there.
constexpr std::array<std::string_view, 12> kMarkers = {
    ".metadata", "*.metadata",      "metadata.json", "meta.pt",    "trainer_state.json", "_CHECKPOINT_METADATA",
    "latest*",   "commit_success*", "_SUCCESS",      "index.json", "*.index.json",       "latest_checkpointed_iteration.txt"};

bool is_marker(std::string_view path) {
  const std::string_view name = last_of(path);
  return std::ranges::any_of(kMarkers, [&](std::string_view pattern) {
    if (pattern.front() == '*') return name.ends_with(pattern.substr(1));
    return pattern.back() == '*' ? name.starts_with(pattern.substr(0, pattern.size() - 1)) : name == pattern;
  });
}

std::vector<std::string> markers_of(const Listing& listing) {
  std::vector<const File*> found;
  for (const File& file : listing.files)
    if (is_marker(file.path)) found.push_back(&file);
  std::ranges::stable_sort(found, {}, [](const File* file) { return file->mtime_ns; });
  std::vector<std::string> names;
  for (const File* file : found) names.push_back(file->path);
  return names;
}

// Nothing: no format fits yet. Errors: usage: two fit, and neither is a part of the other.
Result<std::optional<Kind>> recognise(const Listing& listing) {
  const Row* first = nullptr;
  for (const Row& row : kRows) {
    if (!row.fits(listing)) continue;
    if (first == nullptr) first = &row;
    else if (std::ranges::count(first->inside, row.kind) == 0)
      return Error{Fault::kUsage, to_display(listing.name) + " looks like " + std::string(first->name) + " and like " + std::string(row.name),
                   "name its format instead of auto"};
  }
  return first == nullptr ? std::optional<Kind>() : first->kind;
}

}  // namespace

std::span<const Row> rows() { return kRows; }
const Row& row_of(Kind kind) { return kRows[static_cast<size_t>(kind)]; }
std::string_view to_string(Kind kind) { return row_of(kind).name; }

std::optional<Format> format_named(std::string_view name) {
  if (name == "auto") return Format{};
  const auto found = std::ranges::find(kRows, name, &Row::name);
  return found == kRows.end() ? std::nullopt : std::optional(Format{found->kind, 0});
}

const File* Listing::find(std::string_view path) const {
  const auto found = std::ranges::lower_bound(files, path, {}, &File::path);
  return found == files.end() || found->path != path ? nullptr : &*found;
}

// A marker of DCP, as times have it.
static bool is_older_than_shards(const Listing& listing, const File& marker) {
  return std::ranges::any_of(listing.files, [&](const File& file) {
    return file.mtime_ns > marker.mtime_ns && file.path.ends_with(".distcp") && folder_of(file.path) == folder_of(marker.path);
  });
}

std::vector<PieceName> wanted_pieces(const Listing& listing) {
  std::vector<PieceName> wanted;
  for (const File& file : listing.files) {
    const std::string_view name = file.path.empty() ? std::string_view(listing.name) : last_of(file.path);
    if (has_zip_suffix(name)) wanted.push_back({file.path, Part::kTail});
    else if (name.ends_with(".safetensors")) wanted.push_back({file.path, Part::kHead});
    else if (name.ends_with(".index.json") || name == "trainer_state.json" || name == "metadata.json" || name == "_CHECKPOINT_METADATA")
      wanted.push_back({file.path, Part::kWhole});
    else if (file.path.empty()) wanted.push_back({file.path, Part::kTail});
    else if (name == ".metadata" && is_older_than_shards(listing, file)) wanted.push_back({file.path, Part::kWhole});
  }
  for (const Row& row : kRows)
    if (!row.pointer.empty())
      for (const Part part : {Part::kWhole, Part::kAgain}) wanted.push_back({"../" + std::string(row.pointer), part});
  return wanted;
}

// Whether a marker that is written behind all else, when every process is through, closes it: then closed files need not be waited for. Files
// of torch.save end each by itself, and what may be a directory of Lightning without its last file is plain DCP only where it is called so.
static bool ends_with_marker(Kind kind, const Format& format) {
  return kind == Kind::kMegatron || kind == Kind::kOrbax || (kind == Kind::kDcp && format.kind);
}

// Names in it come from whoever may write there, in directories, in pickles and in JSON; it goes to logs and terminals.
static std::string to_line(std::string_view detail) { return to_display(detail.substr(0, kDetailMax)); }

Result<Assessment> assess(const Seen& seen, const Format& format, const Quiet& quiet) {
  const Listing& listing = seen.listing;
  if (listing.files.empty()) return Assessment(Incomplete{"empty", "there is no file in it yet"});
  std::optional<Kind> kind = format.kind;
  if (!kind) {
    auto recognised = recognise(listing);
    if (!recognised.ok()) return std::move(recognised).error();
    kind = recognised.value();
  }
  if (!kind) return Assessment(Incomplete{"no_format", "no format is known by these files; name it if they are all there"});
  const Row& row = row_of(*kind);
  if (Trouble trouble = row.rule({listing, seen.pieces, format, quiet, seen.came})) return Assessment(Incomplete{std::move(trouble->reason), to_line(trouble->detail)});
  const bool is_through = quiet.source == Quiet::Source::kHook || (quiet.source == Quiet::Source::kClosed && ends_with_marker(*kind, format));
  if (!is_through && quiet.unchanged < quiet.settle)
    return Assessment(Incomplete{"changing", "it is not long enough as it is now"});
  Complete complete{*kind, {}, markers_of(listing), {}};
  for (const File& file : listing.files) complete.files.push_back(file.path);
  if (!row.pointer.empty() && seen.pieces.contains({"../" + std::string(row.pointer), Part::kWhole})) complete.pointers.emplace_back(row.pointer);
  return Assessment(std::move(complete));
}

}  // namespace tideway::checkpoint
