// SPDX-License-Identifier: Apache-2.0
#include "session/roots.h"

#include "base/log.h"
#include "storage/sweep.h"

namespace tideway::session {

Result<RootPtr> open_holding_dir(const std::string& path, storage::Side side) {
  auto opened = storage::RootedDir::open_host_path(path, side);
  if (!opened.ok()) return std::move(opened).error();
  return RootPtr(std::make_shared<const storage::RootedDir>(std::move(opened).value()));
}

Result<size_t> sweep_old_staging(const storage::RootedDir& root, Duration ttl) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return storage::sweep_staging(root, ttl, std::chrono::nanoseconds(now).count());
}

void sweep_root(const std::string& name, const storage::RootedDir& root, Duration ttl) {
  const auto swept = sweep_old_staging(root, ttl);
  if (!swept.ok()) log::info("staging_not_swept", "root=" + name + " why=\"" + swept.error().what + '"');
  else if (swept.value() > 0) log::info("staging_swept", "root=" + name + " transfers=" + std::to_string(swept.value()));
}

Status Roots::open(const std::string& name, const std::string& path) {
  auto source = open_holding_dir(path, storage::Side::kSource);
  auto sink = open_holding_dir(path, storage::Side::kDestination);
  for (const auto* opened : {&source, &sink})
    if (!opened->ok())
      return Error{Fault::kConfigInvalid, "root " + name + ": " + opened->error().what, "make the directory, or correct [[root]] path"};
  roots_[name] = {std::move(source).value(), std::move(sink).value()};
  return success();
}

RootPtr Roots::find(const std::string& name, storage::Side side) const {
  const auto root = roots_.find(name);
  if (root == roots_.end()) return nullptr;
  return side == storage::Side::kSource ? root->second.source : root->second.sink;
}

}  // namespace tideway::session
