// SPDX-License-Identifier: Apache-2.0
//
// From a path of this machine to root:path, as the API wants it, and to the inbox of that root.
// Thread: any; it looks at the file system.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tideway::client {

struct Root {
  std::string name, path;  // the name is empty as long as only the root's inbox is known, and no gateway was asked
};

struct Place {
  Root root;
  std::string below;  // without a slash in front
  std::string text() const { return root.name.empty() ? below : root.name + ':' + below; }
};

// Whether it is root:path or peer:root/path already.
bool is_named(std::string_view text);
// Absolute and without links, as far as it exists.
std::string real_path(const std::string& path);
std::string parent_of(const std::string& path);
std::string name_of(const std::string& path);
// Below the innermost root that holds it; `path` is a real one.
std::optional<Place> place_below(const std::string& path, const std::vector<Root>& roots);
// The one that is named, else the nearest .tideway/inbox at or above `path`; empty: there is none.
std::string inbox_above(std::string path, const std::string& named);
std::string root_of_inbox(const std::string& inbox);
bool is_directory(const std::string& path);

}  // namespace tideway::client
