// SPDX-License-Identifier: Apache-2.0
//
// The small JSON files of checkpoints, which other programs wrote and which may be cut or hostile: read with limits into
// what the rules ask of them.
// Thread: any. Pure.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::checkpoint {

inline constexpr size_t kJsonBytesMax = 64 << 20;    // an index of a million tensors
inline constexpr size_t kIndexFilesMax = 100'000;

// The files that the `weight_map` of an index names, each once, in byte order. Nothing: it is none, or names something that does
// not lie beside it.
std::optional<std::vector<std::string>> files_of_index(std::string_view text);

// Where the data of the last tensor ends, behind the header; of a header as JSON. Nothing: it is none.
std::optional<uint64_t> tensors_end(std::string_view header);

// Whether it is one whole JSON object.
bool is_object(std::string_view text);

// Of Orbax' metadata: whether it says that the checkpoint was committed. Nothing: it does not speak of that.
std::optional<bool> says_committed(std::string_view text);

}  // namespace tideway::checkpoint
