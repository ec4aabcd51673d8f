// SPDX-License-Identifier: Apache-2.0
#include "client/requests.h"

#include "client/inbox.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

namespace tideway::client {
namespace {

constexpr size_t kIterationsMax = 64;  // that wait at once
constexpr size_t kPinTriesMax = 20;    // of a checkpoint that changes while it is pinned

}  // namespace

void Line::note(const Trouble& trouble) {
  const std::lock_guard lock(mutex_);
  latest_ = trouble;
}

Trouble Line::latest() const {
  const std::lock_guard lock(mutex_);
  return latest_;
}

std::optional<Place> place_of(const std::string& path, Line& line) {
  const std::string real = real_path(path);
  std::optional<Trouble> trouble;
  if (auto known = place_below(real, line.reach.roots(trouble))) return known;
  const std::string inbox = inbox_above(real, line.settings.inbox);
  return inbox.empty() ? std::nullopt : place_below(real, {Root{"", root_of_inbox(inbox)}});
}

// ---- any request ----

Reply Request::address(const std::string& path) {
  if (is_named(path)) return {path, std::nullopt};
  std::optional<Trouble> trouble;
  line_->reach.roots(trouble);  // first: a gateway that answers only the second time must not have said "below no root"
  if (const auto place = place_of(path, *line_)) return {place->text() + (path.ends_with('/') && !place->below.empty() ? "/" : ""), std::nullopt};
  return {{}, trouble.value_or(trouble_of(Fault::kUsage, path + " lies below no root of the gateway", "see GET /v1/roots, or write root:path"))};
}

// Where the gateway knows the files by another path than we do, as from within a container, only the inbox among them says to it which they
// are.
static bool names_roots(const Json& body) {
  const auto is_rooted = [](const Json& place) { return is_named(place.get<std::string>()); };
  return body.contains("path") ? is_rooted(body["path"]) : is_rooted(body["destination"]) && std::all_of(body["sources"].begin(), body["sources"].end(), is_rooted);
}

std::optional<std::chrono::nanoseconds> Request::send() {
  Reply reply = body();
  const bool is_by_inbox = reply.ok() && !names_roots(reply.json);
  if (is_by_inbox) reply = line_->reach.ask("GET", "/v1/roots");  // if it does not answer, that is told
  else if (reply.ok()) reply = line_->reach.ask("POST", target(), reply.json);
  if (reply.ok() && !is_by_inbox) {
    ++line_->counts.accepted;
    ticket_->on_answer(reply.json);
    return std::nullopt;
  }
  if (!reply.ok()) line_->note(*reply.trouble);
  if (!reply.ok() && !reply.trouble->passes()) {
    refuse(*reply.trouble);
    return std::nullopt;
  }
  if (store()) return std::nullopt;
  const Duration pause = pause_;
  pause_ = std::min(kPauseMax, 2 * pause_);
  return pause;
}

void Request::refuse(const Trouble& trouble) {
  ++line_->counts.refused;
  line_->note(trouble);
  on_refused();
  ticket_->on_trouble(trouble);
}

bool Request::store() {
  const std::string folder = inbox();
  const Reply asked = folder.empty() ? Reply{{}, trouble_of(Fault::kDaemonUnreachable, "no gateway answers at " + line_->settings.api + ", and there is no inbox")} : body();
  if (!asked.ok()) {
    line_->note(*asked.trouble);
    return false;
  }
  if (const auto trouble = write_request(folder, ticket_->id(), to_text(asked.json))) {
    line_->note(trouble_of(Fault::kDestIo, *trouble));
    return false;
  }
  ++line_->counts.stored;
  ticket_->on_stored(folder);
  return true;
}

void Request::spill() {
  if (store()) return;
  end(TIDEWAY_FAILED, trouble_of(Fault::kDaemonUnreachable, "the client was closed before gateway or inbox took it"));
  on_refused();
}

std::optional<std::chrono::nanoseconds> Request::part() {
  on_refused();
  return std::nullopt;
}

void Request::end(tideway_state state, const Trouble& trouble) {
  line_->note(trouble);
  if (state == TIDEWAY_FAILED) ticket_->on_trouble(trouble);
  else ticket_->on_state(state);
}

// ---- jobs ----

Reply Submission::body() {
  Json body = wish_.rest;
  body["submission_id"] = ticket_->id();
  body["sources"] = Json::array();
  for (const std::string& source : wish_.sources) {
    Reply place = address(source);
    if (!place.ok()) return place;
    body["sources"].push_back(place.json);
  }
  Reply place = address(wish_.destination);
  if (!place.ok()) return place;
  body["destination"] = place.json;
  return {std::move(body), std::nullopt};
}

std::string Submission::inbox() const {
  std::vector<std::string> paths = wish_.sources;
  paths.push_back(wish_.destination);
  const auto local = std::find_if(paths.begin(), paths.end(), [](const std::string& path) { return !is_named(path); });
  return local == paths.end() ? line_->settings.inbox : inbox_above(real_path(*local), line_->settings.inbox);
}

// ---- checkpoints ----

void CheckpointRequest::follow() {
  if (is_named(wish_.path)) return;
  std::error_code ignored;
  if (std::filesystem::is_symlink(wish_.path, ignored)) real_ = real_path(wish_.path);
  departures_.emplace(line_->notices, source());
}

std::optional<std::chrono::nanoseconds> CheckpointRequest::step() {
  switch (hold()) {
    case Holding::kRefused: return std::nullopt;
    case Holding::kLater: return kLookAgain;
    case Holding::kDone: break;
  }
  return send();
}

CheckpointRequest::Holding CheckpointRequest::hold() {
  if (is_held_ || is_named(wish_.path)) return Holding::kDone;
  if (real_.empty()) real_ = real_path(wish_.path);
  const auto place = wish_.is_pinned ? place_of(real_, *line_) : std::nullopt;
  for (size_t tries = 0; !is_held_ && tries < kPinTriesMax; ++tries) {
    std::optional<std::string> trouble;
    Listing files = list_files(real_, trouble);
    if (departures_ && departures_->follow(real_, files)) files = list_files(real_, trouble);  // what left in between is told by neither
    if (is_refused(files)) return Holding::kRefused;
    if (!place) return Holding::kDone;
    is_held_ = !trouble && make_pin_of(*place, files);
  }
  if (!is_held_) return Holding::kLater;  // it is still being written
  departures_.reset();
  if (!pin_.empty()) ticket_->on_state(TIDEWAY_PINNED);
  return Holding::kDone;
}

bool CheckpointRequest::is_refused(const Listing& files) {
  struct stat status {};
  const auto gone = departures_ ? departures_->missing_in(files) : std::nullopt;
  if (gone)
    refuse(trouble_of(Fault::kSourceVanished, wish_.path + ": " + *gone + " was taken away before it could be held", "let the trainer keep more checkpoints than the last one"));
  else if (::stat(source().c_str(), &status) != 0)
    refuse(trouble_of(Fault::kSourceMissing, wish_.path + " is not there", "call when the checkpoint is written"));
  else
    return false;
  return true;
}

bool CheckpointRequest::make_pin_of(const Place& place, const Listing& files) {
  const std::string pins = pins_of(place.root.path), pin = pins + '/' + ticket_->id();
  std::optional<std::string> trouble;
  if (!is_directory(pins)) trouble = pins + " is not there";
  else trouble = make_pin(real_, files, pin);
  std::optional<std::string> gone;
  const bool is_same = list_files(real_, gone) == files && !gone;
  if (!is_same) {
    if (!trouble) drop_pin(pin);
    return false;
  }
  if (trouble) {
    ++line_->counts.unpinned;
    line_->note(trouble_of(Fault::kDestIo, *trouble, "it is read where it lies"));
  } else {
    pin_ = pin;
  }
  return true;
}

// There is no later at which it could be held: the gateway asks the rule of its format.
void CheckpointRequest::spill() {
  if (hold() == Holding::kRefused) return;
  goes_unheld_ = true;
  Request::spill();
}

// A gateway that came between hold() and this would get what nobody held, and what may be torn by now.
Reply CheckpointRequest::body() {
  Reply whole = growing();
  if (whole.ok() && wish_.is_pinned && !is_held_ && !goes_unheld_ && !is_named(wish_.path)) return {{}, trouble_of(Fault::kDaemonUnreachable, "no gateway answered when " + wish_.path + " was to be held")};
  return whole;
}

Reply CheckpointRequest::growing() {
  Reply path = address(source());
  if (!path.ok()) return path;
  const std::string text = path.json.get<std::string>();
  const size_t colon = text.find(':');
  const std::string root = colon == text.npos ? "" : text.substr(0, colon), below = colon == text.npos ? text : text.substr(colon + 1);
  Json body = wish_.rest;
  body["submission_id"] = ticket_->id();
  body["path"] = text;
  if (!wish_.series.empty()) body["series"] = wish_.series;
  else if (below.find('/') != below.npos) body["series"] = parent_of(below);
  else body["series"] = root.empty() ? "checkpoints" : root;
  if (!pin_.empty()) body["pin"] = name_of(pin_);
  return {std::move(body), std::nullopt};
}

void CheckpointRequest::on_refused() {
  if (!pin_.empty()) drop_pin(pin_);
  pin_.clear();
}

// ---- iterations ----

std::optional<std::chrono::nanoseconds> Iterations::step() {
  for (const double seconds : seconds_) {
    const auto microseconds = static_cast<uint64_t>(std::clamp(seconds, 0.0, 4000.0) * 1e6);
    const Reply reply = line_->reach.ask("POST", "/v1/phase", {{"training", training_}, {"kind", "iteration"}, {"duration_us", microseconds}});
    if (!reply.ok()) {
      line_->note(*reply.trouble);
      break;
    }
  }
  return std::nullopt;
}

bool Iterations::absorb(const Item& newer) {
  const auto* same = dynamic_cast<const Iterations*>(&newer);
  if (same == nullptr) return false;
  seconds_.insert(seconds_.end(), same->seconds_.begin(), same->seconds_.end());
  if (seconds_.size() > kIterationsMax) seconds_.erase(seconds_.begin(), seconds_.end() - kIterationsMax);
  return true;
}

}  // namespace tideway::client
