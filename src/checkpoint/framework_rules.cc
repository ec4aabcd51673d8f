// SPDX-License-Identifier: Apache-2.0
//
// Rules for what frameworks make of many files.
#include "checkpoint/index_json.h"
#include "checkpoint/rules.h"
#include "checkpoint/tracker.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace tideway::checkpoint {
namespace {

// The number behind `before`, wherever that is in the name.
std::optional<uint64_t> number_after(std::string_view name, std::string_view before) {
  const size_t at = name.find(before);
  if (at == name.npos) return std::nullopt;
  const std::string_view rest = name.substr(at + before.size());
  uint64_t value = 0;
  const auto [end, failure] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  return failure == std::errc() && end != rest.data() ? std::optional(value) : std::nullopt;
}

}  // namespace

// One of each from 0 on, as many as there are processes. Without their number a look at the files cannot tell the last one from
// one that is still to come; a hook behind the closing barrier can.
Trouble check_ranks(const Look& look, const std::vector<uint64_t>& ranks, std::string_view what) {
  const std::set<uint64_t> each(ranks.begin(), ranks.end());
  const uint32_t world = look.format.world;
  if (world == 0 && look.quiet.source != Quiet::Source::kHook)
    return Incomplete{"world_unknown", "how many processes save is not known: set world, or call from a hook"};
  const uint64_t wanted = world == 0 ? each.size() : world;
  for (uint64_t rank = 0; rank < wanted; ++rank)
    if (!each.contains(rank)) return Incomplete{"missing", "the " + std::string(what) + " of process " + std::to_string(rank) + " is not there yet"};
  if (each.size() > wanted)
    return Incomplete{"missing", "there are " + std::string(what) + " of " + std::to_string(each.size()) + " processes, and world is " + std::to_string(wanted)};
  return std::nullopt;
}

// ---- Megatron ----------------------------------------------------------------------------------------------------------

namespace {

// Rewritten in place, so it counts when two looks agree.
Trouble check_tracker(const Look& look) {
  const std::string beside = "../" + std::string(kMegatronTracker);
  const std::string *first = look.piece(beside, Part::kWhole), *second = look.piece(beside, Part::kAgain);
  if (first == nullptr || second == nullptr) return Incomplete{"no_marker", std::string(kMegatronTracker) + " is not there yet"};
  const auto tracked = tracked_name(kMegatronTracker, *first);
  if (*first != *second || !tracked) return Incomplete{"tracker_changing", std::string(kMegatronTracker) + " is being written"};
  if (*tracked == look.listing.name) return std::nullopt;
  const auto reached = step_in(*tracked), ours = step_in(look.listing.name);
  if (reached && ours && *reached >= *ours) return std::nullopt;
  return Incomplete{"tracker_behind", std::string(kMegatronTracker) + " still says " + *tracked};
}

bool is_legacy_model(std::string_view path) { return path.starts_with("mp_rank_") && path.ends_with("/model_optim_rng.pt"); }

Trouble legacy_megatron_rule(const Look& look) {
  for (const File& file : look.listing.files)
    if (has_zip_suffix(file.path))
      if (Trouble trouble = check_zip(look, file)) return trouble;
  return check_tracker(look);
}

}  // namespace

Trouble megatron_rule(const Look& look) {
  if (std::ranges::any_of(look.listing.files, is_legacy_model, &File::path)) return legacy_megatron_rule(look);
  if (look.listing.find("metadata.json") == nullptr) return Incomplete{"no_marker", "metadata.json is not there yet"};
  const std::string* text = look.piece("metadata.json", Part::kWhole);
  if (text == nullptr || !is_object(*text)) return Incomplete{"cut", "metadata.json is not whole"};
  const File* common = look.listing.find("common.pt");
  if (common == nullptr) return Incomplete{"missing", "common.pt is not there"};
  if (Trouble trouble = check_zip(look, *common)) return trouble;
  const bool has_shards = std::ranges::any_of(look.listing.files, [](const File& file) { return file.path.ends_with(".distcp"); });
  return has_shards ? check_dcp(look, "") : std::nullopt;
}

// ---- DeepSpeed ---------------------------------------------------------------------------------------------------------

namespace {

// Without ZeRO the first data-parallel process of each model part saves and no other, and no file says how many parts there are: behind the
// closing barrier all of them are there, whatever `world` is. A look cannot tell such files from the first ones of partitions that are still
// to come, so for a look `world` is the number of those that save.
Trouble check_unpartitioned(const Look& look, const std::vector<uint64_t>& parts) {
  if (parts.empty()) return Incomplete{"missing", "there is no mp_rank_ file"};
  const Format uncounted{look.format.kind, 0};
  const bool is_through = look.quiet.source == Quiet::Source::kHook;
  return check_ranks({look.listing, look.pieces, is_through ? uncounted : look.format, look.quiet}, parts, "mp_rank_ file");
}

}  // namespace

// `latest` proves nothing: it is written before the closing barrier.
Trouble check_deepspeed(const Look& look, std::string_view folder) {
  std::vector<uint64_t> optimizer, models, replicas;  // of each process; the same, where the model is partitioned, too; of model parts, where it is not
  std::set<uint64_t> parts;
  bool has_model = false;
  for (const File& file : look.listing.files) {
    if (!file.path.starts_with(folder) || !file.path.ends_with("_states.pt")) continue;
    if (Trouble trouble = check_zip(look, file)) return trouble;
    const std::string_view name = last_of(file.path);
    const auto part = number_after(name, "mp_rank_"), rank = number_after(name, "zero_pp_rank_");
    if (part) parts.insert(*part);
    has_model |= name.ends_with("model_states.pt");
    if (rank) (name.ends_with("_optim_states.pt") ? optimizer : models).push_back(*rank * 1'000'000 + part.value_or(0));
    if (!rank && part) replicas.push_back(*part);
  }
  if (optimizer.empty() && models.empty()) return check_unpartitioned(look, replicas);
  if (!has_model) return Incomplete{"missing", "there is no model file"};
  // One per process: (data rank, model part) counted through, the parts of one rank together.
  const auto check = [&](std::vector<uint64_t> files, const char* what) {
    for (uint64_t& one : files) one = one / 1'000'000 * std::max<uint64_t>(parts.size(), 1) + one % 1'000'000;
    return check_ranks(look, files, what);
  };
  if (Trouble trouble = models.empty() ? std::nullopt : check(models, "model file")) return trouble;
  return check(optimizer, "optimizer file");
}

Trouble deepspeed_rule(const Look& look) { return check_deepspeed(look, ""); }

// ---- Hugging Face Trainer ----------------------------------------------------------------------------------------------

namespace {

bool is_model_file(const File& file) {
  const std::string_view name = last_of(file.path);
  return name.ends_with(".safetensors") || name.ends_with(".distcp") || name.ends_with("_model_states.pt") ||
         (name.ends_with(".bin") && (name.starts_with("pytorch_model") || name.starts_with("adapter_model")));
}

// What a later run needs beside the model; with save_only_model none of it is there, and no state of random numbers either.
bool is_for_resuming(const File& file) {
  return file.path.starts_with("optimizer.") || file.path.starts_with("scheduler.") || file.path.starts_with("global_step");
}

Trouble check_random_states(const Look& look) {
  std::vector<uint64_t> ranks;
  for (const File& file : look.listing.files)
    if (is_numbered(file.path, "rng_state_", ".pth")) ranks.push_back(number_after(file.path, "rng_state_").value_or(0));
  if (look.listing.find("rng_state.pth") != nullptr && ranks.empty()) {
    if (look.format.world <= 1) return std::nullopt;
    return Incomplete{"missing", "there is one rng_state.pth, and world is " + std::to_string(look.format.world)};
  }
  if (!ranks.empty()) return check_ranks(look, ranks, "rng_state_");
  if (std::ranges::none_of(look.listing.files, is_for_resuming)) return std::nullopt;
  return Incomplete{"missing", "there is no rng_state yet"};
}

}  // namespace

Trouble hf_rule(const Look& look) {
  if (look.listing.find("trainer_state.json") == nullptr) return Incomplete{"no_marker", "trainer_state.json is not there yet"};
  const std::string* state = look.piece("trainer_state.json", Part::kWhole);
  if (state == nullptr || !is_object(*state)) return Incomplete{"cut", "trainer_state.json is not whole"};
  if (std::ranges::none_of(look.listing.files, is_model_file)) return Incomplete{"missing", "there is no model file"};
  if (Trouble trouble = check_safetensors(look)) return trouble;
  std::set<std::string_view> sharded, partitioned;
  for (const File& file : look.listing.files) {
    if (file.path.ends_with(".distcp")) sharded.insert(folder_of(file.path));
    else if (file.path.ends_with("_states.pt")) partitioned.insert(folder_of(file.path));
    else if (has_zip_suffix(file.path))
      if (Trouble trouble = check_zip(look, file)) return trouble;
  }
  for (const std::string_view folder : sharded)
    if (Trouble trouble = check_dcp(look, folder)) return trouble;
  const Quiet behind_barrier{Quiet::Source::kHook, look.quiet.unchanged, look.quiet.settle};  // of DeepSpeed: trainer_state.json is written after it
  for (const std::string_view folder : partitioned)
    if (Trouble trouble = check_deepspeed({look.listing, look.pieces, look.format, behind_barrier}, folder)) return trouble;
  return check_random_states(look);
}

// ---- Orbax -------------------------------------------------------------------------------------------------------------

// On POSIX the step gets its name when it is whole; elsewhere a marker inside says so. In both modes the metadata may say itself
// that it was not committed.
Trouble orbax_rule(const Look& look) {
  constexpr std::string_view kUnfinished = ".orbax-checkpoint-tmp";
  if (look.listing.name.find(kUnfinished) != look.listing.name.npos) return Incomplete{"writing", look.listing.name + " has not got its name yet"};
  for (const File& file : look.listing.files)
    if (file.path.find(kUnfinished) != file.path.npos) return Incomplete{"writing", file.path + " has not got its name yet"};
  if (look.listing.find("commit_success.txt") != nullptr) return std::nullopt;
  if (look.listing.find("_CHECKPOINT_METADATA") == nullptr) return Incomplete{"no_marker", "_CHECKPOINT_METADATA is not there yet"};
  const std::string* text = look.piece("_CHECKPOINT_METADATA", Part::kWhole);
  if (text == nullptr || !is_object(*text)) return Incomplete{"cut", "_CHECKPOINT_METADATA is not whole"};
  if (says_committed(*text).value_or(true)) return std::nullopt;
  return Incomplete{"not_committed", "_CHECKPOINT_METADATA has no time of its commit, and there is no commit_success.txt"};
}

}  // namespace tideway::checkpoint
