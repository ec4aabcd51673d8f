// SPDX-License-Identifier: Apache-2.0
#include "storage/sweep.h"

#include "base/log.h"
#include "storage/published.h"
#include "storage/scan.h"
#include "storage/staging.h"

#include <algorithm>
#include <optional>
#include <vector>

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

// A tree whose place another one has taken, that was left because somebody read it.
bool is_only_former(const RootedDir& dir) {
  const auto is_there = [&](const ObjectName& name) {
    const auto found = dir.stat_if_exists(name);
    return found.ok() && found.value();
  };
  return is_there(former_tree_name()) && !is_there(single_name("ledger"));
}

struct Staged {
  std::optional<RootedDir> state;  // none: nothing was ever staged here
  std::vector<ObjectName> names;
};

Result<Staged> find_staged(const RootedDir& root) {
  const ObjectName state_name = single_name(std::string(kStateDirName));
  auto there = root.stat_if_exists(state_name);
  if (!there.ok()) return std::move(there).error();
  if (!there.value()) return Staged{};
  auto state = root.open_dir(state_name);
  if (!state.ok()) return std::move(state).error();
  std::vector<ObjectName> names;  // all of them, before the caller removes some
  auto listed = state.value().for_each_name([&](std::string_view name) {
    if (is_transfer_name(name)) names.push_back(single_name(std::string(name)));
  });
  if (!listed.ok()) return std::move(listed).error();
  return Staged{std::move(state).value(), std::move(names)};
}

}  // namespace

Result<size_t> sweep_staging(const RootedDir& root, Duration ttl, int64_t now_ns) {
  auto found = find_staged(root);
  if (!found.ok()) return std::move(found).error();
  if (!found.value().state) return size_t{0};
  const RootedDir& state = *found.value().state;
  size_t removed = 0;
  for (const ObjectName& name : found.value().names) {
    auto dir = state.open_dir(name);
    if (!dir.ok()) continue;
    const bool is_due = now_ns - touched_ns(dir.value()) >= ttl.count() || is_only_former(dir.value());
    if (!is_due || !dir.value().lock_exclusively() || is_former_read(dir.value())) continue;
    if (dir.value().remove_content().ok() && state.remove_empty_dir(name).ok()) ++removed;
  }
  static_cast<void>(root.remove_empty_dir(single_name(std::string(kStateDirName))).ok());  // others, and kept manifests, keep it
  return removed;
}

Bytes staged_bytes(const RootedDir& root) {
  Bytes sum;
  const auto found = find_staged(root);
  if (!found.ok()) return sum;
  for (const ObjectName& name : found.value().names)
    if (const auto dir = found.value().state->open_dir(name); dir.ok()) sum += read_account(dir.value()).bytes;
  return sum;
}

Result<Bytes> make_room(const RootedDir& root, std::string_view owner, Bytes bytes_max) {
  struct Left {
    ObjectName name;
    RootedDir dir;  // locked
    Bytes bytes;
    int64_t touched_ns = 0;
  };
  auto found = find_staged(root);
  if (!found.ok()) return std::move(found).error();
  std::vector<Left> left;
  Bytes sum;
  for (const ObjectName& name : found.value().names) {
    auto dir = found.value().state->open_dir(name);
    if (!dir.ok()) continue;
    const StagingAccount account = read_account(dir.value());
    if (account.owner != owner || !dir.value().lock_exclusively() || is_former_read(dir.value())) continue;
    const int64_t touched = touched_ns(dir.value());
    left.push_back({name, std::move(dir).value(), account.bytes, touched});
    sum += account.bytes;
  }
  std::ranges::sort(left, {}, &Left::touched_ns);
  for (auto oldest = left.begin(); sum > bytes_max && oldest != left.end(); ++oldest) {
    if (!oldest->dir.remove_content().ok()) continue;
    static_cast<void>(found.value().state->remove_empty_dir(oldest->name).ok());
    sum -= oldest->bytes;
    log::info("staging_dropped", "transfer=" + oldest->name.last() + " bytes=" + std::to_string(oldest->bytes.count()) + " peer=" + to_display(owner) +
                                     " why=\"the oldest that was abandoned; its owner needs the room\"");
  }
  return sum;
}

}  // namespace tideway::storage
