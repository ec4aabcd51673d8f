// SPDX-License-Identifier: Apache-2.0
//
// The `.metadata` of torch.distributed.checkpoint: which files it closes, and how far each of them is filled. It is a pickle, and nothing here runs
// one: the text and the numbers in it are read in their order, and nothing is made of them.
// Thread: any. Pure.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

namespace tideway::checkpoint {

inline constexpr size_t kDcpFilesMax = 200'000;
inline constexpr size_t kDcpTextsMax = 1'000'000;  // that it may come back to, in some 50 MiB while it is read

// By path beside it, where the last thing that it tells of ends, in bytes. Nothing: it is cut or none, tells of no file, or is beyond a limit. The views are of `pickle`.
using FileEnds = std::map<std::string_view, uint64_t>;
std::optional<FileEnds> files_of_dcp(std::string_view pickle);

}  // namespace tideway::checkpoint
