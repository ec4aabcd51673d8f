// SPDX-License-Identifier: Apache-2.0
//
// A sender with endless data, a link and a receiver in virtual time, for tests of congestion controllers: it paces, counts
// rounds, measures delivery rates and finds losses as a flow does, and carries no bytes.
#pragma once
#include "flow/train_meter.h"
#include "wan/link_model.h"
#include <tideway/congestion_controller.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <queue>
#include <span>
#include <utility>
#include <vector>

namespace tideway::test {

struct PathResult {
  Bytes delivered;              // payload that was acked
  uint64_t packets_sent = 0, packets_lost = 0;
  Duration queue_delay_mean{};  // of acked packets: their round trip above the path's own
  Duration elapsed{};
  Rate goodput() const { return Rate::of(delivered, elapsed); }
};

class PathSimulation {
 public:
  static constexpr Bytes kPayload = 1408_B;                 // of a full packet
  static constexpr Bytes kFrame = kPayload + 92_B + 14_B;   // an IP packet of 1,500 bytes and its Ethernet header

  // The link and the controller outlive the path; several paths may share a link, driven by run_together(). On fast links
  // one event may stand for `packets` packets that meet the same fate.
  PathSimulation(wan::LinkModel& link, CongestionController& controller, uint64_t packets = 1)
      : link_(link), delay_back_(link.config().delay), controller_(controller),
        payload_(kPayload * packets), frame_((kFrame + wan::kFrameOverhead) * packets - wan::kFrameOverhead) {}

  // Runs on for `time` and says what happened in it.
  PathResult run(Duration time);
  // Sends `size` in all, what is lost once more, and says how long that takes until the last of it is acked.
  Duration deliver(Bytes size) {
    const uint64_t before = total_.delivered.count() / payload_.count();
    const Time start = now_;
    unsent_ = (size.count() + payload_.count() - 1) / payload_.count();
    const uint64_t wanted = before + unsent_;
    while (total_.delivered.count() / payload_.count() < wanted) step();
    return now_ - start;
  }

  Time next_event() const {
    Time next = probe_deadline();
    if (!acks_.empty()) next = std::min(next, acks_.front().arrives);
    if (may_send()) next = std::min(next, std::max(next_send_, now_));
    return next;
  }
  void step() {
    now_ = std::max(now_, next_event());
    if (!acks_.empty() && acks_.front().arrives <= now_) take_ack();
    else if (probe_deadline() <= now_) on_probe_timeout();
    else send_one();
  }
  void jump_to(Time now) { now_ = std::max(now_, now); }
  // The same flow, over another link from now on.
  void go_on_after(const PathSimulation& before) {
    jump_to(before.now_);
    round_ = before.round_;
  }

  // What happened since the last call.
  PathResult take_result() {
    PathResult result = total_;
    result.delivered -= taken_.delivered;
    result.packets_sent -= taken_.packets_sent;
    result.packets_lost -= taken_.packets_lost;
    result.elapsed = now_ - taken_at_;
    const uint64_t acked = result.delivered.count() / payload_.count();
    result.queue_delay_mean = acked == 0 ? Duration() : queue_delay_sum_ / static_cast<int64_t>(acked);
    taken_ = total_;
    taken_at_ = now_;
    queue_delay_sum_ = Duration();
    return result;
  }
  Bytes delivered() const { return total_.delivered; }
  // What the link can carry in payload when it is never idle.
  static Rate payload_rate(const wan::LinkConfig& link) {
    return link.rate * (static_cast<double>(kPayload.count()) / static_cast<double>((kFrame + wan::kFrameOverhead).count()));
  }
  // Trains seem to take `by` times as long, as they do to a receiver that is kept from its port.
  void stretch_trains(double by) { train_stretch_ = by; }
  void stop_sending_at(Time time) { idle_from_ = time; }  // kNever: go on
  Bytes in_flight() const { return payload_ * outstanding_; }
  Time now() const { return now_; }

 private:
  struct Sent {
    Time at, first_sent, delivered_at;
    Bytes delivered, in_flight;
    uint64_t train;
    Bytes train_size;
    enum State : uint8_t { kOut, kDone } state;
  };
  struct Ack {
    Time arrives;
    uint64_t number;
  };
  static constexpr Duration kAckEvery = std::chrono::microseconds(200);  // the receiver collects; below a quarter of our shortest RTT

  Duration rtt_base() const { return link_.config().delay + delay_back_; }
  bool may_send() const {
    return now_ < idle_from_ && unsent_ > 0 && in_flight() + payload_ <= std::max(controller_.window(), payload_ * 2);
  }
  Time probe_deadline() const {
    return outstanding_ == 0 ? kNever : progress_at_ + std::max(srtt_ * 3, rtt_base() * 3) + std::chrono::milliseconds(20);
  }
  void send_one() {
    if (outstanding_ == 0) first_sent_ = delivered_at_ = progress_at_ = now_;
    ++outstanding_;
    ++total_.packets_sent;
    --unsent_;
    if (train_left_ == Bytes()) {
      train_left_ = train_size_ = controller_.train();
      ++train_;
    }
    sent_.push_back({now_, first_sent_, delivered_at_, total_.delivered, in_flight(), train_, train_size_, Sent::kOut});
    const uint64_t number = first_number_ + sent_.size() - 1;
    const wan::Fate fate = link_.offer(now_, frame_);
    if (!fate.dropped) {
      // Acks leave at whole steps of kAckEvery and travel on a clean path.
      const int64_t arrived = fate.deliver_at.time_since_epoch().count();
      const Time ack_leaves = Time(Duration((arrived / kAckEvery.count() + 1) * kAckEvery.count()));
      const Ack ack{ack_leaves + delay_back_, number};
      acks_.insert(std::upper_bound(acks_.begin(), acks_.end(), ack, [](const Ack& a, const Ack& b) { return a.arrives < b.arrives; }), ack);
    }
    debt_ += payload_;
    train_left_ = saturating_sub(train_left_, payload_);
    if (train_left_ != Bytes()) return;  // the rest of a train leaves at once
    const Duration gap = controller_.pacing_rate().time_for(std::exchange(debt_, Bytes()));
    next_send_ = std::max(next_send_, now_ - std::chrono::microseconds(100)) + gap;
  }

  // Everything that one ACK frame reports.
  void take_ack() {
    AckSample sample{};
    uint64_t newest = 0;
    for (const Time arrives = acks_.front().arrives; !acks_.empty() && acks_.front().arrives == arrives;) {
      const uint64_t number = acks_.front().number;
      acks_.pop_front();
      if (number < first_number_ || sent_[number - first_number_].state != Sent::kOut) continue;
      Sent& packet = sent_[number - first_number_];
      packet.state = Sent::kDone;
      --outstanding_;
      total_.delivered += payload_;
      sample.acked += payload_;
      ++sample.packets_acked;
      newest = std::max(newest, number);
      queue_delay_sum_ += now_ - packet.at - rtt_base();
    }
    if (sample.packets_acked == 0) return;
    progress_at_ = delivered_at_ = now_;
    const Sent packet = sent_[newest - first_number_];
    fill_sample(packet, sample);
    find_losses(newest);
    while (!sent_.empty() && sent_.front().state == Sent::kDone) sent_.pop_front(), ++first_number_;
    sample.in_flight = in_flight();
    controller_.on_ack(sample);
  }

  void fill_sample(const Sent& packet, AckSample& sample) {
    sample.now = now_;
    sample.in_flight_before = packet.in_flight;
    sample.rtt = now_ - packet.at;
    srtt_ = srtt_.count() == 0 ? sample.rtt : (srtt_ * 7 + sample.rtt) / 8;
    rtt_min_ = std::min(rtt_min_, sample.rtt);
    sample.rtt_min = rtt_min_;
    sample.rtt_smoothed = srtt_;
    const Duration interval = std::max(packet.at - packet.first_sent, now_ - packet.delivered_at);
    if (interval >= rtt_min_) sample.delivery_rate = Rate::of(total_.delivered - packet.delivered, interval);
    first_sent_ = packet.at;
    if (packet.delivered >= round_ends_) {
      ++round_;
      round_ends_ = total_.delivered;
    }
    sample.round = round_;
    sample.limited_by = unsent_ == 0 ? LimitedBy::kApplication : LimitedBy::kNetwork;
    sample.train_rate = train_meter_.on_ack({.train = packet.train,
                                             .size = packet.train_size,
                                             .acked = sample.acked,
                                             .received_at = now_ - delay_back_}) *
                        (1 / train_stretch_);
  }

  // What was sent before an acked packet, by more than the link may mix up, and is still out is lost. A flow learns how much that is.
  void find_losses(uint64_t newest) {
    LossSample lost{};
    const Duration mixed = link_.config().impairments.reorder.extra_max;
    const Time sent_by = sent_[newest - first_number_].at - mixed;
    for (uint64_t number = first_number_; number < newest && sent_[number - first_number_].at <= sent_by; ++number) {
      Sent& packet = sent_[number - first_number_];
      if (packet.state == Sent::kDone) continue;
      give_up(packet, lost);
    }
    report(lost, LossCause::kTimeThreshold);
  }
  void on_probe_timeout() {
    LossSample lost{};
    for (Sent& packet : sent_)
      if (packet.state == Sent::kOut) give_up(packet, lost);
    progress_at_ = now_;
    report(lost, LossCause::kProbeTimeout);
  }
  void give_up(Sent& packet, LossSample& lost) {
    packet.state = Sent::kDone;
    --outstanding_;
    ++unsent_;
    lost.lost += payload_;
    ++lost.packets_lost;
    lost.in_flight_before = packet.in_flight;
  }
  void report(LossSample& lost, LossCause cause) {
    if (lost.packets_lost == 0) return;
    total_.packets_lost += lost.packets_lost;
    lost.now = now_;
    lost.in_flight = in_flight();
    lost.round = round_;
    lost.cause = cause;
    controller_.on_loss(lost);
  }

  wan::LinkModel& link_;
  const Duration delay_back_;
  CongestionController& controller_;
  Time idle_from_ = kNever;
  Time now_{}, next_send_{}, first_sent_{}, delivered_at_{}, progress_at_{};
  std::deque<Sent> sent_;
  uint64_t first_number_ = 0, outstanding_ = 0, round_ = 0;
  std::deque<Ack> acks_;
  const Bytes payload_, frame_;
  uint64_t unsent_ = uint64_t{1} << 62;  // endless data
  Bytes train_size_, train_left_, debt_;              // of the train that leaves now; sent since the pacer was asked
  uint64_t train_ = 0;
  flow::TrainMeter train_meter_;
  double train_stretch_ = 1;
  Bytes round_ends_;
  Duration srtt_{}, rtt_min_ = Duration::max(), queue_delay_sum_{};
  PathResult total_, taken_;
  Time taken_at_{};
};

// Runs paths that share a link until `end`. A step of one moves no event of another.
inline void run_together(std::span<PathSimulation* const> paths, Time end) {
  using Turn = std::pair<Time, size_t>;  // the next event of a path
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns;
  for (size_t i = 0; i < paths.size(); ++i) turns.emplace(paths[i]->next_event(), i);
  while (turns.top().first <= end) {
    const size_t i = turns.top().second;
    turns.pop();
    paths[i]->step();
    turns.emplace(paths[i]->next_event(), i);
  }
  for (PathSimulation* path : paths) path->jump_to(end);
}

inline PathResult PathSimulation::run(Duration time) {
  PathSimulation* const self = this;
  take_result();
  run_together(std::span(&self, 1), now_ + time);
  return take_result();
}

}  // namespace tideway::test
