// SPDX-License-Identifier: Apache-2.0
#include "flow/path_probe.h"

#include <algorithm>
#include <cstring>

namespace tideway::flow {
namespace {

// For each packet: as one comparison, where == of std::array takes the bytes one by one.
bool is_same(const Endpoint& a, const Endpoint& b) {
  return a.port == b.port && std::memcmp(a.address.data(), b.address.data(), a.address.size()) == 0;
}

}  // namespace

PathProbe::PathProbe(Time start, const PathProbeConfig& config)
    : random_(config.seed), peer_(config.peer), proof_(config.proof) {
  start_over(start);
}

void PathProbe::start_over(Time now) {
  for (size_t at = 0; at < token_.size(); at += sizeof(uint64_t)) {
    const uint64_t word = random_.next();
    std::memcpy(token_.data() + at, &word, sizeof word);
  }
  challenge_at_ = now;
  challenges_ = 0;
  is_reachable_ = false;
  is_heard_ = true;
  heard_bytes_ = sent_bytes_ = sent_packets_ = sent_unheard_ = 0;
}

bool PathProbe::on_authentic(Time now, const Heard& heard, Duration probe_timeout) {
  if (!heard.from.is_set()) return false;
  if (is_same(heard.from, peer_)) {
    if (!is_proven()) heard_bytes_ += heard.size.count();
    is_heard_ = true;
    return false;
  }
  if (!heard.is_newest) return false;
  if (proven_before_.is_set() && heard.from == proven_before_) {  // it is still where it was
    peer_ = proven_before_;
    proven_before_ = Endpoint();
    proof_ = Proof::kProven;
    revert_at_ = kNever;
    return true;
  }
  if (is_proven()) proven_before_ = peer_;
  const Asked left{peer_, token_};
  peer_ = heard.from;
  proof_ = Proof::kNone;
  start_over(now);
  if (asked_before_.peer == peer_) token_ = asked_before_.token;
  asked_before_ = left;
  heard_bytes_ = heard.size.count();
  revert_at_ = proven_before_.is_set() ? now + kRevertAfter * probe_timeout : kNever;
  return true;
}

bool PathProbe::on_response(const wire::PathToken& token) {
  if (is_reachable_ || challenges_ == 0 || token != token_) return false;
  is_reachable_ = true;
  proof_ = Proof::kProven;
  proven_before_ = Endpoint();
  challenge_at_ = revert_at_ = kNever;
  return true;
}

void PathProbe::on_sent(Bytes size) {
  if (is_proven()) return;
  if (heard_bytes_ == 0) {
    ++sent_unheard_;
    return;
  }
  sent_bytes_ += size.count();
  ++sent_packets_;
}

bool PathProbe::on_deadline(Time now) {
  if (now < revert_at_) return false;
  peer_ = proven_before_;
  proven_before_ = Endpoint();
  proof_ = Proof::kProven;
  revert_at_ = kNever;
  start_over(now);
  return true;
}

std::optional<wire::PathToken> PathProbe::take_response() {
  auto response = response_;
  response_.reset();
  return response;
}

wire::PathToken PathProbe::take_challenge(Time now, Duration probe_timeout) {
  if (!is_proven() && heard_bytes_ == 0) probe_timeout = std::max(probe_timeout, kUnheardWaitMin);
  const Duration wait = probe_timeout * std::min(1 << std::min(challenges_, 8), kBackoffMax);
  challenge_at_ = now + (sent_packets_ < kPacketsUnproven - 1 ? wait : std::max(wait, kAskedAgainMin));
  ++challenges_;
  is_heard_ = false;
  return token_;
}

Bytes PathProbe::allowance() const {
  if (!peer_.is_set()) return Bytes();
  if (is_proven()) return Bytes::max();
  if (heard_bytes_ == 0) return sent_unheard_ < kPacketsUnheard ? kLeast : Bytes();
  const Bytes left = saturating_sub(Bytes(heard_bytes_ * kAmplification), Bytes(sent_bytes_));
  if (left < kLeast) return Bytes();
  if (sent_packets_ < kPacketsUnproven) return left;
  return is_heard_ ? kLeast : Bytes();
}

Time PathProbe::next_deadline() const {
  return std::min(revert_at_, allowance() == Bytes() ? kNever : next_challenge());
}

}  // namespace tideway::flow
