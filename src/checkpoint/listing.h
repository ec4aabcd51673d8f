// SPDX-License-Identifier: Apache-2.0
//
// What somebody has seen of a checkpoint: its files with sizes and times, and the parts of small files that a rule asks for.
// Thread: any; values. Pure.
#pragma once
#include <tideway/units.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tideway::checkpoint {

inline constexpr size_t kFilesMax = 200'000;  // of one checkpoint; a rank has a few

struct File {
  std::string path;  // below the checkpoint, with "/"; empty: the checkpoint is this one file
  Bytes size;
  int64_t mtime_ns = 0;
  bool operator==(const File&) const = default;
};

struct Listing {
  std::string name;         // of the checkpoint itself: its last component
  std::vector<File> files;  // in byte order of their paths
  bool operator==(const Listing&) const = default;

  bool is_file() const { return files.size() == 1 && files.front().path.empty(); }
  const File* find(std::string_view path) const;
};

// kWhole: all of it. kAgain: all of it, read a second time a moment later. kHead: of a safetensors file its header with the length
// before it. kTail: the last kZipTail bytes.
enum class Part : uint8_t { kWhole, kAgain, kHead, kTail };

struct PieceName {
  std::string path;  // as in File, or "../name" for a file beside the checkpoint
  Part part = Part::kWhole;
  auto operator<=>(const PieceName&) const = default;
};
using Pieces = std::map<PieceName, std::string>;  // what is absent could not be read

}  // namespace tideway::checkpoint
