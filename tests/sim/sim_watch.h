// SPDX-License-Identifier: Apache-2.0
//
// Two watchers of one end of a simulated pair. They know what a bystander with all keys would know, never what the code
// under test believes.
#pragma once
#include "sim/sim_keys.h"
#include "wire/frames.h"
#include <tideway/packet_io.h>

#include <map>
#include <string>

namespace tideway::test {

// No address gets more than three times what came from it and 16 packets, and then one a second, before it has answered a challenge
// (docs/protocol.md, "Paths"). One per end and flow.
class AddressWatch {
 public:
  void start(const Endpoint& peer, bool is_proven);
  void on_destination(const Endpoint& to);  // of what is sealed and sent from now on
  void on_heard(const Endpoint& from, Bytes size);
  void on_sent(Time now, Bytes size);
  void on_sealed(std::span<const std::byte> frames);  // looks for challenges
  void on_opened(std::span<const std::byte> frames);  // looks for responses
  bool is_proven() const;                              // the present destination
  bool was_proven(const Endpoint& address) const;
  const std::string& problem() const { return problem_; }

 private:
  struct Address {
    uint64_t heard = 0, sent = 0, packets = 0, packets_unheard = 0;  // the last: sent before anything was heard
    bool is_proven = false;
    Time sent_at{};
  };
  std::map<Endpoint, Address> addresses_;
  std::map<wire::PathToken, Endpoint> challenged_;
  Endpoint destination_;
  std::string problem_;
};

// Progress while a path lives, of what one end sends. A round trip counts when an ACK packet came that left after an
// ack-eliciting packet of ours had arrived: then the path carries packets both ways, whatever the random losses were, and
// the sender knows it. Within kRoundTrips of those, a probe timeout apart, new bytes must have been acked. Two probe
// timeouts are what finding a black hole takes, two more what a resend waits for, and every one of them may be lost.
class ProgressWatch {
 public:
  static constexpr int kRoundTrips = 10;

  void on_eliciting_arrived(size_t flow, Time now);  // there
  void on_ack_arrived(size_t flow, Time now, Time sent_at);  // here
  void on_sent(Time now) { sent_at_ = now; }
  // After the arrivals of a step: bytes not acked yet, and how long a probe timeout is at most.
  void on_step(Time now, uint64_t unacked, Duration probe_timeout);
  void on_offered(uint64_t unacked) { unacked_ = unacked; }
  // While some path is open to us, something leaves within the longest wait of a flow that rests, a second, or of one that
  // does not yet, four probe timeouts; `may_send` is false when no address is proven.
  void check_silence(Time now, bool may_send, Duration probe_timeout);
  const std::string& problem() const { return problem_; }

 private:
  std::map<size_t, Time> eliciting_;  // by flow: when the first one arrived that no ACK has come for
  uint64_t unacked_ = 0;
  int round_trips_ = 0;
  Time counted_at_{}, sent_at_{};
  bool is_round_trip_ = false;
  std::string problem_;
};

}  // namespace tideway::test
