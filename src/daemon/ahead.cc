// SPDX-License-Identifier: Apache-2.0
#include "daemon/ahead.h"

#include "base/log.h"
#include "session/transfer_id.h"

#include <algorithm>
#include <utility>

namespace tideway::daemon {

void Ahead::begin(const job::Job& job) { streams_.push_back({job.id, job.pin}); }

void Ahead::on_grown(const std::string& pin, const std::vector<engine::GrownPart>& parts) {
  for (Stream& stream : streams_)
    if (stream.pin == pin) stream.grown.insert(stream.grown.end(), parts.begin(), parts.end());
}

void Ahead::end(const std::string& pin, Time now) {
  for (auto stream = streams_.begin(); stream != streams_.end();) {
    if (stream->pin == pin) leave(*stream, now);
    stream = stream->pin == pin ? streams_.erase(stream) : std::next(stream);
  }
}

void Ahead::leave(Stream& stream, Time now) {
  if (stream.transfer == nullptr) return;
  if (!stream.session->is_over()) stream.session->cancel(*stream.transfer, {Fault::kCancelled, "what goes ahead has ended", ""});
  parts_.peers.give_back(stream.session, now);
  stream.transfer.reset();
  stream.session = nullptr;
}

// On the session that its job will use, so that the sink has let go of it before it hears of the job. Its bytes are read back when they are
// part of the whole, as far as that is asked for.
Status Ahead::start(Stream& stream, Time now) {
  const job::Job* job = parts_.table.find(stream.job);
  if (job == nullptr) return Error{Fault::kCancelled, "its job is gone", ""};
  auto request = request_of(job->spec, {parts_.roots, parts_.peers});
  if (!request.ok()) return request.error();
  request.value().job = job->id;
  request.value().source = session::CopyRequest::Source::kGrowing;
  request.value().options.verify = messages::VerifyLevel::kMemory;
  auto session = parts_.peers.take(job->peer, {PeerSessions::Sharing::kShared, job->spec.service, parts_.runner.manners_of(job->spec.service)}, now);
  if (!session.ok()) return session.error();
  auto transfer = session::start_copy(*session.value(), session::ahead_id(job->transfer), std::move(request).value(), below_roots(parts_.roots));
  if (!transfer.ok()) {
    parts_.peers.give_back(session.value(), now);
    return transfer.error();
  }
  stream.session = session.value();
  stream.transfer = std::move(transfer).value();
  stream.told = 0;
  stream.rate = Rate::unlimited();
  log::info("ahead_started", "job=" + job->id + " peer=" + job->peer);
  return success();
}

void Ahead::stop(Time now) {
  for (Stream& stream : streams_) leave(stream, now);
  streams_.clear();
}

void Ahead::turn(Time now, job::WallTime wall) {
  for (Stream& stream : streams_) {
    const job::Job* job = parts_.table.find(stream.job);
    if (job == nullptr || job->state == job::State::kPaused || parts_.runner.shares().is_paused(job->peer, wall)) {
      leave(stream, now);
      stream.retry_at = now + kRetry;
      continue;
    }
    const bool has_failed = stream.transfer != nullptr && (stream.transfer->outcome || stream.session->is_over());
    if (has_failed) {
      const auto& outcome = stream.transfer->outcome;
      const Error why = outcome && !outcome->ok() ? outcome->error() : stream.session->error();
      log::info("ahead_waits", "job=" + stream.job + " code=" + std::string(why.name()) + " why=\"" + why.what + '"');
      leave(stream, now);
      stream.retry_at = now + (why.fault == Fault::kDestFull ? kRetryFull : kRetry);
    }
    if (stream.grown.empty() || now < stream.retry_at) continue;
    if (stream.transfer == nullptr && !start(stream, now).ok()) {
      stream.retry_at = now + kRetry;
      continue;
    }
    if (const Rate rate = parts_.runner.ahead_of(*job, wall); std::exchange(stream.rate, rate) != rate) stream.session->limit_rate(*stream.transfer, rate);
    if (stream.told == stream.grown.size()) continue;
    stream.session->grow(*stream.transfer, {stream.grown.begin() + static_cast<std::ptrdiff_t>(stream.told), stream.grown.end()});
    stream.told = stream.grown.size();
  }
}

Time Ahead::next_deadline() const {
  Time next = kNever;
  for (const Stream& stream : streams_)
    if (stream.transfer == nullptr && !stream.grown.empty()) next = std::min(next, stream.retry_at);
  return next;
}

}  // namespace tideway::daemon
