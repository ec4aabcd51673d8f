// SPDX-License-Identifier: Apache-2.0
#include "daemon/gather.h"

#include "base/log.h"
#include "crypto/random_bytes.h"

#include <algorithm>

namespace tideway::daemon {

std::vector<session::RemoteAddress> Gather::sources_of(const job::Job& job, const Parts& parts) {
  const job::Spec& spec = job.spec;
  const bool is_small = spec.bytes > 0_B && spec.bytes < kBytesMin;
  const bool is_plain = spec.filters.empty() && !spec.only && spec.rate_max.is_unlimited() && spec.verify == "memory" && spec.resume_verify == "auto";
  std::vector<session::RemoteAddress> found;
  if (spec.service != job::Class::kRestore || is_small || !is_plain || spec.sources.size() != 1) return found;
  std::vector<std::string> all = spec.alternatives;
  all.insert(all.begin(), spec.sources.front());
  for (const std::string& source : all) {
    const auto place = parse_place(source, {parts.gateway.roots(), parts.peers});
    const auto* at = place.ok() ? std::get_if<session::RemoteAddress>(&place.value()) : nullptr;
    if (at == nullptr || at->name.is_root()) continue;
    const bool is_same_step = found.empty() || found.front().name.last() == at->name.last();
    const auto is_known = [&](const session::RemoteAddress& other) { return other.peer == at->peer; };
    if (is_same_step && std::ranges::none_of(found, is_known)) found.push_back(*at);
    if (found.size() == engine::kGatherSourcesMax) break;
  }
  if (found.size() < 2) found.clear();
  return found;
}

Gather::Gather(const Parts& parts, const job::Job& job, std::vector<session::RemoteAddress> sources, session::Manners manners)
    : parts_(parts), job_(job.id), spec_(job.spec), staging_(job.transfer), use_{PeerSessions::Sharing::kShared, job.spec.service, manners},
      handle_(parts.gateway.engine().new_transfer().value()) {
  for (session::RemoteAddress& source : sources) sources_.push_back({std::move(source), nullptr, {}, {}});
}

Gather::~Gather() {
  for (Source& source : sources_)
    for (const auto& transfer : source.transfers) transfer->on_report = {};
}

void Gather::turn(Time now) {
  if (is_over_) return;
  for (Source& source : sources_)
    if (!source.trouble) turn(source, now);
  is_over_ = is_disputed_ || board_->is_over.get() != 0 || std::ranges::count_if(sources_, [](const Source& source) { return !source.trouble; }) < 2;
}

void Gather::turn(Source& source, Time now) {
  if (source.session != nullptr && source.session->is_over()) return give_up(source, source.session->error(), now);
  for (const auto& transfer : source.transfers)
    if (transfer->outcome && !transfer->outcome->ok()) return give_up(source, transfer->outcome->error(), now);
  std::erase_if(source.transfers, [](const auto& transfer) {
    if (!transfer->outcome) return false;
    transfer->on_report = {};
    return true;
  });
  if (!is_listed() && &source != first()) return;
  while (source.transfers.size() < kTransfersOfEach && board_->is_over.get() == 0)
    if (Status status = open(source, now); !status.ok()) return give_up(source, status.error(), now);
}

// The list that all others are compared with is that of the source which the job would have been brought from alone.
const Gather::Source* Gather::first() const {
  const auto found = std::ranges::find_if(sources_, [](const Source& source) { return !source.trouble; });
  return found == sources_.end() ? nullptr : &*found;
}

Status Gather::open(Source& source, Time now) {
  if (source.session == nullptr) {
    const auto session = parts_.peers.take(source.at.peer, use_, now);
    if (!session.ok()) return session.error();
    source.session = session.value();
  }
  job::Spec spec = spec_;
  spec.sources = {session::to_display(source.at)};
  auto request = request_of(spec, {parts_.gateway.roots(), parts_.peers});
  if (!request.ok()) return std::move(request).error();
  request.value().job = job_;
  request.value().gathers = {{handle_, number_of(source), static_cast<uint32_t>(sources_.size()), board_}, staging_};
  TransferId id{};
  crypto::random_bytes(id);
  auto transfer = session::start_copy(*source.session, id, std::move(request).value(), below_roots(parts_.gateway.roots()));
  if (!transfer.ok()) return std::move(transfer).error();
  transfer.value()->on_report = [this, &source](const engine::EntryReported& report) {
    log::warning("gather_entry_failed", "job=" + job_ + " source=\"" + session::to_display(source.at) + "\" code=" + std::string(report.why.name()) + " why=\"" + report.why.what + '"');
  };
  source.transfers.push_back(std::move(transfer).value());
  return success();
}

void Gather::give_up(Source& source, const Error& why, Time now) {
  const bool is_trouble = why.fault != Fault::kUnsupported;  // else it is not to be gathered at all
  (is_trouble ? log::warning : log::info)(is_trouble ? "gather_source_given_up" : "not_gathered", "job=" + job_ + " source=\"" + session::to_display(source.at) + "\" code=" + std::string(why.name()) + " why=\"" + why.what + '"');
  source.trouble = why;
  is_disputed_ |= why.fault == Fault::kManifestMismatch;
  let_go(source, now);
}

void Gather::leave_closed(const LinkIsClosed& is_closed, Time now) {
  for (Source& source : sources_)
    if (!source.trouble && is_closed(source.at.peer)) give_up(source, {Fault::kCancelled, "its link is closed", "it opens by its timetable, or when its ceiling is raised"}, now);
}

void Gather::let_go(Source& source, Time now) {
  for (const auto& transfer : source.transfers) {
    transfer->on_report = {};
    source.session->cancel(*transfer, {Fault::kCancelled, "another replica brings the rest", ""});
  }
  source.transfers.clear();
  if (source.session != nullptr) parts_.peers.give_back(std::exchange(source.session, nullptr), now);
}

void Gather::leave(Time now) {
  is_over_ = true;
  for (Source& source : sources_) let_go(source, now);
  if (!std::exchange(has_left_, true)) parts_.gateway.engine().post(engine::EndGather{handle_});
}

std::optional<Gather::Best> Gather::best() const {
  if (is_disputed_) return std::nullopt;
  const auto rank = [this](const Source& source) {
    const uint32_t number = number_of(source);
    return std::pair(board_->is_shunned[number].get() == 0, board_->bytes_of[number].get());
  };
  const Source* best = nullptr;
  for (const Source& source : sources_)
    if (!source.trouble && (best == nullptr || rank(source) > rank(*best))) best = &source;
  if (best == nullptr) return std::nullopt;
  return Best{session::to_display(best->at), best->at.peer};
}

std::vector<job::SourceShare> Gather::shares() const {
  std::vector<job::SourceShare> shares;
  for (const Source& source : sources_) shares.push_back({session::to_display(source.at), Bytes(board_->bytes_of[number_of(source)].get())});
  return shares;
}

api::Progress Gather::progress() const {
  api::Progress progress;
  const bool is_known = board_->bytes_missing.get() > 0;
  const auto is_up = [](const Source& source) { return source.session != nullptr && source.session->is_up(); };
  progress.stage = is_known ? "send" : std::ranges::any_of(sources_, is_up) ? "scan" : "connect";
  progress.backend = parts_.gateway.engine().packet_backend();
  progress.bytes_needed = Bytes(board_->bytes_missing.get());
  progress.bytes_held = Bytes(board_->bytes_held.get());
  progress.bytes_durable = Bytes(board_->bytes_durable.get());
  progress.sources = shares();
  for (const job::SourceShare& share : progress.sources) progress.bytes_verified += share.bytes;
  return progress;
}

}  // namespace tideway::daemon
