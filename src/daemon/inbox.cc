// SPDX-License-Identifier: Apache-2.0
#include "daemon/inbox.h"

#include "api/problem.h"
#include "base/log.h"
#include "storage/pin.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace tideway::daemon {
namespace {

constexpr std::string_view kRequest = ".json", kAnswer = ".status.json";

ObjectName in_inbox(const std::string& name) { return storage::inbox_dir().child(name).value(); }

// The groups of a user of this host; of one that it does not know, none. It may ask the network.
http::Caller caller_of(uint32_t uid) {
  http::Caller caller{uid, 0, {}};
  std::array<char, 4096> room{};
  passwd entry{};
  passwd* found = nullptr;
  if (::getpwuid_r(uid, &entry, room.data(), room.size(), &found) != 0 || found == nullptr) return caller;
  caller.gid = found->pw_gid;
  std::array<gid_t, 256> groups{};
  int count = static_cast<int>(groups.size());
  if (::getgrouplist(found->pw_name, found->pw_gid, groups.data(), &count) >= 0) caller.groups.assign(groups.begin(), groups.begin() + count);
  return caller;
}

Error refused(const std::string& what, const std::string& next) { return {Fault::kUsage, "the request in the inbox " + what, next}; }

}  // namespace

Result<InboxRequest> Inbox::read(const std::string& submission_id) const {
  auto file = root_->open_file(in_inbox(submission_id + std::string(kRequest)), storage::Access::kRead);  // never through a link
  if (!file.ok()) return std::move(file).error();
  struct stat info{};
  if (::fstat(file.value().get(), &info) != 0) return refused("cannot be looked at", "");
  if (info.st_nlink != 1) return refused("has another name elsewhere", "write it as a file of its own");
  if (static_cast<uint64_t>(info.st_size) > kRequestMax.count())
    return refused("has " + std::to_string(info.st_size) + " bytes", "write at most " + std::to_string(kRequestMax.count()));
  InboxRequest request{name_, submission_id, std::string(static_cast<size_t>(info.st_size), '\0'), caller_of(info.st_uid)};
  const ssize_t count = ::pread(file.value().get(), request.body.data(), request.body.size(), 0);
  if (count != static_cast<ssize_t>(request.body.size())) return refused("cannot be read", "write it to another name and rename it");
  return request;
}

std::vector<InboxRequest> Inbox::look(int64_t wall_ns) {
  std::vector<InboxRequest> requests;
  auto dir = root_->open_dir(storage::inbox_dir());
  if (!dir.ok()) return requests;
  std::vector<std::string> names;
  static_cast<void>(dir.value().for_each_name([&](std::string_view name) { names.emplace_back(name); }).ok());
  std::ranges::sort(names);
  for (const std::string& name : names) {
    if (name.ends_with(kAnswer)) {
      tidy(name, wall_ns);
      continue;
    }
    const std::string id = name.ends_with(kRequest) ? name.substr(0, name.size() - kRequest.size()) : "";
    if (!storage::is_pin_id(id) || taken_.contains(id) || requests.size() == kBatchMax) continue;
    auto request = read(id);
    taken_.insert(id);
    if (request.ok()) requests.push_back(std::move(request).value());
    else answer(id, api::to_problem(request.error(), api::status_of(request.error().fault)));
  }
  return requests;
}

void Inbox::tidy(const std::string& name, int64_t wall_ns) const {
  const auto stat = root_->stat_if_exists(in_inbox(name));
  if (stat.ok() && stat.value() && stat.value()->mtime_ns < wall_ns - kAnswersKept.count()) static_cast<void>(root_->remove_file(in_inbox(name)).ok());
}

// The answer first: between the two a crash leaves the request, which is the same job when it comes again.
void Inbox::answer(const std::string& submission_id, const std::string& text) {
  const ObjectName draft = in_inbox(submission_id + ".answer.part"), place = in_inbox(submission_id + std::string(kAnswer));
  static_cast<void>(root_->remove_tree(draft).ok());
  auto file = root_->create_file(draft, 0644);
  Status status = file.ok() ? success() : Status(file.error());
  if (status.ok() && ::pwrite(file.value().get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()))
    status = Error{Fault::kDestFull, "the answer cannot be written", "free space below this root"};
  if (status.ok()) status = root_->rename(draft, *root_, place, storage::IfTaken::kReplace);
  if (status.ok()) status = root_->remove_file(in_inbox(submission_id + std::string(kRequest)));
  if (status.ok()) taken_.erase(submission_id);
  else log::warning("inbox_answer", "root=" + name_ + " request=" + to_display(submission_id) + " why=\"" + status.error().what + '"');
}

}  // namespace tideway::daemon
