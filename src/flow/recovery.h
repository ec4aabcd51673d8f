// SPDX-License-Identifier: Apache-2.0
//
// What happens to packets after they left: acked, lost, found again, probed for. Joins round-trip time, delivery rate,
// loss detection and probe timeout, tells the controller, and hands ranges back to the lane's window, so that any flow
// may resend what this one lost.
// Thread: net worker. Pure.
#pragma once
#include "flow/credit.h"
#include "flow/delivery_rate.h"
#include "flow/lane_trains.h"
#include "flow/loss_detector.h"
#include "flow/path_mtu.h"
#include "flow/probe_timeout.h"
#include "flow/train_meter.h"
#include "wire/frames.h"
#include <tideway/packet_io.h>

#include <algorithm>
#include <memory>

namespace tideway::flow {

struct RecoveryConfig {
  uint64_t first_number = 0;
  Duration rtt_initial{};
  Bytes mtu_max;
  bool is_ipv4 = true;
  Delivery delivery = Delivery::kDatagram;  // a stream loses nothing: then nothing is lost by time either, nor probed for
};

struct RecoveryStats {
  uint64_t packets_lost = 0, packets_spurious = 0, probe_timeouts = 0;
};

class Recovery {
 public:
  // Lost packets are remembered this many probe timeouts, to see that they were only late; by a flow that rests this many of its
  // longest ones. Its path may have become a hundred times as long, and it can learn that from an answer only.
  static constexpr int kRememberLost = 4;
  // A loss event counts as wrong when no more than one in so many of its packets stayed lost.
  static constexpr uint64_t kUndoShare = 8;

  Recovery(Time start, const RecoveryConfig& config, std::unique_ptr<CongestionController> controller, SendWindow& window,
           Credit& credit, LaneTrains& trains);

  // False: too much is in flight to keep track of more.
  bool begin_burst(Time now, size_t packets_max, BurstIs is = BurstIs::kTrain);
  void on_sent(Time now, const SentPacket& packet);  // takes next_number()

  struct AckOutcome {
    bool is_sound = true;               // false: it acks what was never sent
    bool is_news = false;
    uint64_t newest = 0;                // newly acked, if is_news
  };
  // `at`: when it came to this host. What it waited there for us is no part of the round trip.
  AckOutcome on_ack(Time now, Time at, const wire::AckFrame& frame);
  void detect_losses(Time now);         // when all ACK frames of a burst were given to on_ack
  void on_deadline(Time now);
  void on_app_limited() { rate_.on_app_limited(sent_.in_flight()); }
  // While frozen the controller learns nothing, and no time passes for it: afterwards it goes on where it stopped.
  void freeze(Time now);
  void thaw(Time now);
  void ask() { has_asked_ = true; }     // while it is frozen: by a pulse, whether a burst that nobody announced is over
  void give_up(Time now);               // everything in flight goes back to the window

  // Packets that a probe timeout still wants, whatever the window says.
  int probes_due() const { return probes_due_; }
  uint32_t timeouts_in_row() const { return timeout_.count(); }
  bool is_resting() const { return timeout_.is_resting(); }
  Duration probe_timeout() const { return ProbeTimeout::period(rtt_); }
  Time next_deadline() const;

  uint64_t next_number() const { return sent_.next_number(); }
  uint64_t tail() const { return sent_.tail(); }
  Bytes in_flight() const { return sent_.in_flight(); }
  uint64_t packets_in_flight() const { return sent_.packets_in_flight(); }
  Bytes window() const { return controller_->window(); }
  Rate pacing_rate() const { return controller_->pacing_rate(); }
  Bytes train() const { return is_frozen() ? Bytes() : controller_->train(); }
  Rate rate_known() const { return controller_->rate_known(); }
  Duration acks_every() const { return controller_->acks_every(); }
  // Of those before a freeze somebody has heard.
  uint32_t backoffs(Time now) const { return is_frozen() ? 0 : controller_->backoffs(controller_time(now), thawed_at_); }
  bool is_frozen() const { return frozen_at_ != kNever; }
  const RttEstimator& rtt() const { return rtt_; }
  const DeliveryRate& rate() const { return rate_; }
  const RecoveryStats& stats() const { return stats_; }
  PathMtu& mtu() { return mtu_; }
  const PathMtu& mtu() const { return mtu_; }
  Ecn ecn() const { return is_ecn_ok_ ? Ecn::kEct0 : Ecn::kNotEct; }
  Bytes payload_max() const;            // of a DATA packet on the path as it is

 private:
  // Ranges that touch are told to the window as one.
  struct Run { Range range; bool is_set = false; };
  struct Acked { Bytes bytes; uint64_t packets = 0, newest = 0; Run run; };

  void ack_one(Time now, uint64_t number, Acked& acked);
  void find_one(Time now, uint64_t number, const SentPacket& packet);
  void check_ecn(const wire::AckFrame& frame);
  Rate train_rate(const wire::AckFrame& frame, const Acked& acked, const BurstRecord& newest);
  void sample(Time now, Time at, const wire::AckFrame& frame, const Acked& acked);
  struct Lost { Bytes bytes; uint64_t packets = 0, newest = 0; bool carried_state = false; Run run; };
  void lose_one(Time now, uint64_t number, Lost& lost);
  void finish_losses(Time now, Lost& lost, LossCause cause);
  Time controller_time(Time now) const { return std::min(now, frozen_at_) - frozen_for_; }
  uint64_t controller_round() const { return rate_.round() - frozen_rounds_; }
  bool is_full(const SentPacket& packet) const { return packet.size().count() > base_size_; }

  SentPackets sent_;
  RttEstimator rtt_;
  DeliveryRate rate_;
  TrainMeter train_;
  LossDetector detector_;
  ProbeTimeout timeout_;
  PathMtu mtu_;
  std::unique_ptr<CongestionController> controller_;
  SendWindow& window_;
  Credit& credit_;
  LaneTrains& trains_;
  uint64_t trains_heard_;
  const Delivery delivery_;
  size_t base_size_;                     // UDP payload of a packet at the base MTU
  bool is_ipv4_;

  int probes_due_ = 0;
  uint64_t largest_acked_frame_ = 0;     // of frames, to tell old ones
  uint64_t event_round_ = 0, event_lost_ = 0, event_found_ = 0;  // the latest loss event
  uint64_t ecn_sent_acked_ = 0, ecn_ce_ = 0, ecn_ce_new_ = 0;
  Bytes in_flight_before_;               // of the newest acked or lost packet's burst
  bool is_ecn_ok_ = true;
  bool has_asked_ = false;
  Time frozen_at_ = kNever;              // kNever: the controller learns
  uint64_t frozen_at_round_ = 0;
  Duration frozen_for_{};                // in all, up to the last thaw
  Time thawed_at_ = Time::min();         // in the controller's time
  uint64_t frozen_rounds_ = 0;
  RecoveryStats stats_;
};

}  // namespace tideway::flow
