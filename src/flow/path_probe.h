// SPDX-License-Identifier: Apache-2.0
//
// Where the peer is, and whether that is true. An address counts as proven when a random token sent there came back
// (PATH_CHALLENGE, PATH_RESPONSE). Until then it gets little, so that nobody can aim our traffic at a third host. A peer
// whose address changes (NAT) is noticed by the source of its newest authentic packet: traffic turns there at once, under
// the limits of an unproven address, and turns back if no response comes.
// Thread: net worker. Pure.
#pragma once
#include "base/random.h"
#include "wire/frames.h"
#include <tideway/packet_io.h>

#include <optional>

namespace tideway::flow {

enum class Proof : uint8_t { kNone, kProven };

struct PathProbeConfig {
  Endpoint peer;
  Proof proof = Proof::kNone;  // kProven: TCP or an earlier challenge did it; the first challenge runs beside the data
  uint64_t seed = 0;           // of the tokens: from a real source of randomness, a guess would prove a false address
};

class PathProbe {
 public:
  static constexpr uint64_t kAmplification = 3;    // bytes to an unproven address per byte from it (RFC 9000, 8.1)
  static constexpr uint64_t kPacketsUnproven = 16;
  // Then one challenge at a time, when it was heard of since the last: a way there may be cut for longer than sixteen packets last.
  static constexpr Duration kAskedAgainMin = std::chrono::seconds(1);
  // Besides, to an address that the peer has named and not yet sent from, each of kLeast bytes at most: where both sides
  // have their data ports elsewhere than the control connection, one has to begin (as RFC 9000, 9.6.1, with a preferred
  // address).
  static constexpr uint64_t kPacketsUnheard = 4;
  // Between the first two of these, and then doubling: they outlast two seconds of a neighbour's address being looked up.
  static constexpr Duration kUnheardWaitMin = std::chrono::milliseconds(300);
  static constexpr uint64_t kKeptForChallenges = 8;  // of the sixteen: an address that used all up on acks could never be proven
  // Less fits no packet worth sending. A challenge fits three times an empty probe, the least that anybody hears first.
  static constexpr Bytes kLeast = Bytes(64);
  static constexpr Bytes kLeastBeside = Bytes(128);  // less is kept for challenges: a due ACK that does not fit would wait awake
  static constexpr int kBackoffMax = 8;            // of challenges that get no answer, in probe timeouts
  static constexpr int kRevertAfter = 3;           // probe timeouts an unproven new address gets to answer

  PathProbe(Time start, const PathProbeConfig& config);

  // An authentic packet: from where, and whether its number is above all others. True: the peer's address has changed.
  struct Heard { Endpoint from; Bytes size; bool is_newest = false; };
  bool on_authentic(Time now, const Heard& heard, Duration probe_timeout);
  void on_challenge(const wire::PathToken& token) { response_ = token; }
  bool on_response(const wire::PathToken& token);  // true: it answers ours
  void on_sent(Bytes size);
  // True: the new address did not answer, and the old one is the peer's again.
  bool on_deadline(Time now);

  // What to send. Each take_ is a promise to send it.
  bool has_response() const { return response_.has_value(); }
  std::optional<wire::PathToken> take_response();
  bool is_challenge_due(Time now) const { return now >= next_challenge(); }
  wire::PathToken take_challenge(Time now, Duration probe_timeout);

  Endpoint peer() const { return peer_; }
  bool is_proven() const { return proof_ == Proof::kProven; }
  bool is_reachable() const { return is_reachable_; }  // a challenge was answered since the last change
  Bytes allowance() const;             // bytes that may be sent to the peer now
  // What may be sent is kept for challenges.
  bool is_for_challenges() const {
    return !is_proven() && (sent_packets_ + kKeptForChallenges >= kPacketsUnproven || allowance() < kLeastBeside);
  }
  Time next_deadline() const;

 private:
  void start_over(Time now);
  // An unproven address is asked again only when it was heard of since: what is kept for challenges must not be spent on a
  // path that has fallen silent. Before anything came, asking is all there is, and the first question may be lost like any
  // packet.
  Time next_challenge() const { return is_proven() || is_heard_ || heard_bytes_ == 0 ? challenge_at_ : kNever; }

  Random random_;
  // An address that is left and comes back is asked the same again: the answer to what it was asked first may be on its way, and if
  // two of them take turns faster than that, none would ever be proven.
  struct Asked { Endpoint peer; wire::PathToken token{}; };

  Endpoint peer_, proven_before_;      // the latter is set while an unproven change is on trial
  Asked asked_before_;                 // the address before this one
  Proof proof_;
  bool is_reachable_ = false;
  wire::PathToken token_{};
  std::optional<wire::PathToken> response_;
  Time challenge_at_;
  int challenges_ = 0;                 // without an answer
  bool is_heard_ = true;               // since the last challenge
  Time revert_at_ = kNever;
  uint64_t heard_bytes_ = 0, sent_bytes_ = 0, sent_packets_ = 0;  // from and to an unproven address
  uint64_t sent_unheard_ = 0;          // packets, while nothing had come from it
};

}  // namespace tideway::flow
