// SPDX-License-Identifier: Apache-2.0
//
// The directories the operator opened for Tideway, held by descriptor from the start on; the only way a path of this
// host enters the system. Peers say a root's name and components below it.
// Thread: control; a RootedDir itself may be used by any.
#pragma once
#include "storage/rooted_dir.h"

#include <map>
#include <memory>
#include <string>

namespace tideway::session {

using RootPtr = std::shared_ptr<const storage::RootedDir>;

class Roots {
 public:
  // Errors: config_invalid: the path is missing or no directory.
  Status open(const std::string& name, const std::string& path);
  // To read from or to write to; the difference is how its errors are called. Nothing: there is no such root.
  RootPtr find(const std::string& name, storage::Side side) const;

 private:
  struct Root {
    RootPtr source, sink;
  };
  std::map<std::string, Root> roots_;
};

// A directory of this machine that holds what a user named. Errors: source_missing or dest_*, naming the path.
Result<RootPtr> open_holding_dir(const std::string& path, storage::Side side);

// storage::sweep_staging as of now.
Result<size_t> sweep_old_staging(const storage::RootedDir& root, Duration ttl);
// The same, and the log has what came of it.
void sweep_root(const std::string& name, const storage::RootedDir& root, Duration ttl);

}  // namespace tideway::session
