// SPDX-License-Identifier: Apache-2.0
#include "session/path_memory.h"

#include "base/log.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace tideway::session {
namespace {

constexpr Duration kRttTolerance = std::chrono::milliseconds(2);  // of hosts that are busy
constexpr Duration kSecond = std::chrono::seconds(1);

bool is_same_path(Duration then, Duration now) { return now <= 2 * then + kRttTolerance && then <= 2 * now + kRttTolerance; }

// One line: seconds, bytes per second, nanoseconds, and the peer's name.
std::optional<std::pair<std::string, KnownPath>> parse_line(const std::string& line) {
  std::istringstream words(line);
  int64_t seen = 0, rtt = 0;
  uint64_t rate = 0;
  std::string peer, more;
  if (!(words >> seen >> rate >> rtt >> peer) || words >> more) return std::nullopt;
  if (seen < 0 || rate == 0 || rtt <= 0 || peer.size() > PathMemory::kNameMax) return std::nullopt;
  return std::pair(peer, KnownPath{Rate::bytes_per_second(rate), Duration(rtt), KnownPath::UnixTime(std::chrono::seconds(seen))});
}

// Several copies may end at once: each writes a file of its own and puts it in place whole. What another one noted
// meanwhile may be lost, and is found out again.
void save(const std::string& file, const std::string& text) {
  std::error_code failed;
  std::filesystem::create_directories(std::filesystem::path(file).parent_path(), failed);
  const std::string draft = file + "." + std::to_string(getpid());
  std::ofstream out(draft, std::ios::trunc);
  out << text;
  out.close();
  if (out) std::filesystem::rename(draft, file, failed);
  else failed = std::make_error_code(std::errc::io_error);
  if (!failed) return;
  std::error_code ignored;
  std::filesystem::remove(draft, ignored);
  log::debug("paths_not_kept", "file=" + file + " why=\"" + failed.message() + '"');  // a user without a state folder
}

}  // namespace

PathMemory::PathMemory(std::string file) : file_(std::move(file)) { load(); }

std::optional<Rate> PathMemory::recall(const std::string& peer, Duration rtt, KnownPath::UnixTime now) const {
  const auto found = paths_.find(peer);
  if (found == paths_.end()) return std::nullopt;
  const KnownPath& path = found->second;
  if (now < path.seen || now - path.seen > kValidFor || !is_same_path(path.rtt, rtt)) return std::nullopt;
  return path.rate;
}

void PathMemory::note(const std::string& peer, KnownPath path) {
  if (peer.empty() || peer.size() > kNameMax || peer.find_first_of(" \t\r\n") != peer.npos) return;
  if (const auto known = recall(peer, path.rtt, path.seen)) path.rate = std::max(path.rate, *known * 0.5);
  paths_[peer] = path;
  const auto by_age = [](const auto& a, const auto& b) { return a.second.seen < b.second.seen; };
  if (paths_.size() > kPathsMax) paths_.erase(std::min_element(paths_.begin(), paths_.end(), by_age));
  if (file_.empty()) return;
  auto write = [file = file_, text = text()] { save(file, text); };
  if (hand_) hand_(std::move(write));
  else write();
}

void PathMemory::load() {
  if (file_.empty()) return;
  std::ifstream in(file_);
  std::string text(kFileMax, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::max<std::streamsize>(in.gcount(), 0)));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line) && paths_.size() < kPathsMax;)
    if (auto path = parse_line(line)) paths_.insert(std::move(*path));
}

std::string PathMemory::text() const {
  std::ostringstream out;
  for (const auto& [peer, path] : paths_)
    out << path.seen.time_since_epoch().count() << ' ' << path.rate.bytes_per_second() << ' ' << path.rtt.count() << ' ' << peer << '\n';
  return out.str();
}

void BestSecond::on_total(Time now, Bytes delivered) {
  if (now < next_look_) return;
  next_look_ = now + kLookEvery;
  if (at_begin_ && now - begin_ < kSecond) return;
  if (at_begin_) best_ = std::max(best_, Rate::of(saturating_sub(delivered, *at_begin_), now - begin_));
  begin_ = now;
  at_begin_ = delivered;
}

}  // namespace tideway::session
