// SPDX-License-Identifier: Apache-2.0
#include "storage/sweep.h"

#include "storage/scan.h"
#include "storage/staging.h"

#include <algorithm>

namespace tideway::storage {
namespace {

bool is_transfer_name(std::string_view name) {
  return name.size() == 2 * sizeof(TransferId) && name.find_first_not_of("0123456789abcdef") == name.npos;
}

int64_t touched_ns(const RootedDir& dir) {
  int64_t newest = 0;
  for (const ObjectName& name : {ObjectName(), single_name("manifest"), single_name("leaves"), single_name("ledger"), single_name("data")}) {
    const auto stat = dir.stat(name);
    if (stat.ok()) newest = std::max(newest, stat.value().mtime_ns);
  }
  return newest;
}

}  // namespace

Result<size_t> sweep_staging(const RootedDir& root, Duration ttl, int64_t now_ns) {
  const ObjectName state_name = single_name(std::string(kStateDirName));
  auto there = root.stat_if_exists(state_name);
  if (!there.ok()) return std::move(there).error();
  if (!there.value()) return size_t{0};
  auto state = root.open_dir(state_name);
  if (!state.ok()) return std::move(state).error();
  std::vector<ObjectName> names;  // first all of them, because the loop below removes some
  auto listed = state.value().for_each_name([&](std::string_view name) {
    if (is_transfer_name(name)) names.push_back(single_name(std::string(name)));
  });
  if (!listed.ok()) return std::move(listed).error();
  size_t removed = 0;
  for (const ObjectName& name : names) {
    auto dir = state.value().open_dir(name);
    if (!dir.ok() || now_ns - touched_ns(dir.value()) < ttl.count() || !dir.value().lock_exclusively()) continue;
    if (dir.value().remove_content().ok() && state.value().remove_empty_dir(name).ok()) ++removed;
  }
  static_cast<void>(root.remove_empty_dir(state_name).ok());  // others, and kept manifests, keep it
  return removed;
}

}  // namespace tideway::storage
