// SPDX-License-Identifier: Apache-2.0
//
// The formats as a table: by what a tree is recognised, what may lie inside it, and which rule says that it is complete. Only
// assess.cc and the rules include this.
// Thread: any. Pure.
#pragma once
#include "checkpoint/assess.h"

#include <span>

namespace tideway::checkpoint {

struct Look {
  const Listing& listing;
  const Pieces& pieces;
  const Format& format;
  const Quiet& quiet;
  std::span<const uint32_t> came = {};  // as in Seen

  // Nothing: it could not be read.
  const std::string* piece(std::string_view path, Part part) const;
  uint32_t came_at(const File& file) const { return came.empty() ? 0 : came[static_cast<size_t>(&file - listing.files.data())]; }
};

using Trouble = std::optional<Incomplete>;  // nothing: the rule holds

struct Row {
  Kind kind;
  std::string_view name;
  bool (*fits)(const Listing& listing);
  Trouble (*rule)(const Look& look);
  std::vector<Kind> inside;  // formats that are no ambiguity when they fit, too
  std::string_view pointer;  // beside the checkpoint; empty: none
};
std::span<const Row> rows();
const Row& row_of(Kind kind);

// ---- shared by rules -------------------------------------------------------------------------------------------------

std::string_view last_of(std::string_view path);
std::string_view folder_of(std::string_view path);             // with "/" at its end, or empty
std::string joined(std::string_view folder, std::string_view name);
// Whether `text` is `before`, at least one digit and `after`.
bool is_numbered(std::string_view text, std::string_view before, std::string_view after);
bool has_zip_suffix(std::string_view path);                    // of what torch.save writes

Trouble check_zip(const Look& look, const File& file);
Trouble check_dcp(const Look& look, std::string_view folder);  // the .distcp files directly in it
Trouble check_deepspeed(const Look& look, std::string_view folder);  // the *_states.pt files below it
Trouble check_safetensors(const Look& look);                   // all of them, and all indices
Trouble check_ranks(const Look& look, const std::vector<uint64_t>& ranks, std::string_view what);

Trouble megatron_rule(const Look& look);
Trouble deepspeed_rule(const Look& look);
Trouble hf_rule(const Look& look);
Trouble orbax_rule(const Look& look);
Trouble lightning_rule(const Look& look);
Trouble dcp_rule(const Look& look);
Trouble safetensors_rule(const Look& look);
Trouble torch_rule(const Look& look);

}  // namespace tideway::checkpoint
