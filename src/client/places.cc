// SPDX-License-Identifier: Apache-2.0
#include "client/places.h"

#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>

namespace tideway::client {

bool is_named(std::string_view text) {
  const size_t colon = text.find(':');
  return colon != text.npos && text.substr(0, colon).find('/') == text.npos;
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  if (slash == path.npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string name_of(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

std::string real_path(const std::string& path) {
  std::string rest, head = path;
  while (head.size() > 1 && head.ends_with('/')) head.pop_back();
  char found[PATH_MAX];
  while (::realpath(head.c_str(), found) == nullptr) {
    if (head == "/" || head == ".") return path;
    rest.insert(0, '/' + name_of(head));
    head = parent_of(head);
  }
  return (std::string_view(found) == "/" && !rest.empty() ? std::string() : std::string(found)) + rest;
}

std::optional<Place> place_below(const std::string& path, const std::vector<Root>& roots) {
  std::optional<Place> best;
  for (const Root& root : roots) {
    const std::string top = root.path == "/" ? "" : root.path;
    if (path != root.path && !path.starts_with(top + '/')) continue;
    if (best && best->root.path.size() >= root.path.size()) continue;
    best = Place{root, path.size() > top.size() ? path.substr(top.size() + 1) : std::string()};
  }
  return best;
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

std::string inbox_above(std::string path, const std::string& named) {
  if (!named.empty()) return named;
  while (true) {
    std::string inbox = (path == "/" ? "" : path) + "/.tideway/inbox";
    if (is_directory(inbox)) return inbox;
    if (path == "/" || path == ".") return {};
    path = parent_of(path);
  }
}

std::string root_of_inbox(const std::string& inbox) { return parent_of(parent_of(real_path(inbox))); }

}  // namespace tideway::client
