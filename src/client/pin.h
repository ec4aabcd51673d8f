// SPDX-License-Identifier: Apache-2.0
//
// Holds a checkpoint for as long as it takes to send it, in <root>/.tideway/pins/<id>/, made by the trainer's user: files up to 1 MiB are
// copied; larger ones share their blocks where the file system can (FICLONE), else they are hard links, which outlive a deletion
// and not a rewrite in place: that the gateway notices. Symbolic links and empty directories are made anew; which links are sent the gateway
// decides. Directories have the times and modes of the originals, since they arrive with them, and besides let the gateway's group in, which
// is that of the folder above.
// Thread: the queue's; it blocks.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>

namespace tideway::client {

struct FileLook {
  uint64_t size = 0;
  int64_t mtime_ns = 0;
  std::string target;  // of a symbolic link; empty: it is none
  bool operator==(const FileLook&) const = default;
};
// What is below a directory by its name: files, links, and directories with a slash behind, whose look says nothing. Or one file under "".
// `path`: without links. `trouble`: why nothing is there.
using Listing = std::map<std::string, FileLook>;
Listing list_files(const std::string& path, std::optional<std::string>& trouble);

std::string pins_of(const std::string& root);
// Makes `into`, under another name until it is whole. What went wrong, or nothing; then nothing is left of it.
std::optional<std::string> make_pin(const std::string& path, const Listing& listing, const std::string& into);
void drop_pin(const std::string& pin);

}  // namespace tideway::client
