// SPDX-License-Identifier: Apache-2.0
//
// One flow: paced, acknowledged packets on one path (docs/protocol.md). It decides when to send, finds losses, acks
// what arrives; which bytes to send and where they belong it asks the parts of its lane. It fills rooms and reads
// bytes it is handed, so it runs the same over sockets, DPDK and a simulated link.
//
// The mechanisms have files of their own; this class only joins them, and its methods are spread over three files:
//   flow_send.cc     write_burst and what a burst is made of         recovery, pacer, packet_builder, packet_sealer
//   flow_receive.cc  on_burst, in the order of checks of the protocol   packet_opener, ack_ranges, ack_schedule
//   flow.cc          the rest: keys, deadlines, state                path_probe
// Thread: net worker. Pure.
#pragma once
#include "flow/ack_ranges.h"
#include "flow/ack_schedule.h"
#include "flow/credit.h"
#include "flow/lane_trains.h"
#include "flow/pacer.h"
#include "flow/packet_builder.h"
#include "flow/packet_opener.h"
#include "flow/packet_sealer.h"
#include "flow/path_probe.h"
#include "flow/reassembler.h"
#include "flow/recovery.h"
#include "flow/send_window.h"
#include <tideway/aead.h>
#include <tideway/congestion_controller.h>
#include <tideway/packet_io.h>

#include <algorithm>
#include <array>
#include <memory>

namespace tideway::flow {

struct LaneParts {
  SendWindow& window;
  Reassembler& reassembler;
  Credit& credit;
  LaneTrains& trains;
};

// kProbing: no challenge was answered yet, though data may leave if the address is proven. kResting: three probe timeouts
// in a row; its ranges went back to the lane, the engine may give the flow another local port. kDead: five. Both go on
// asking the path and open again by themselves when it answers. kClosed: for good.
enum class FlowState : uint8_t { kProbing, kOpen, kResting, kDead, kClosed };

struct FlowConfig {
  FlowId id;
  ConnectionId local, remote;        // what arrives carries `local`, what leaves `remote`
  uint64_t first_packet_number = 0;  // random below 2^32
  uint64_t challenge_seed = 0;       // for path challenges
  Bytes mtu_max;                     // IP MTU of the local port
  Duration rtt_initial{};            // measured by the control channel
  Bytes window_initial;              // this flow's share of the session's initial window
  Endpoint peer;                     // where its packets go at first
  // Whether TCP already proved that the peer lives at that address: then the initial window may leave at once.
  enum class Address : uint8_t { kUnproven, kProven } address = Address::kProven;
  Delivery delivery = Delivery::kDatagram;  // of what carries its packets
  KeyLimits key_limits;              // tests lower them
  size_t replay_bits = AckRanges::kBitsDefault;
};

struct FlowStats {
  uint64_t packets_sent = 0, bytes_sent = 0, packets_received = 0, bytes_received = 0;  // UDP payload
  uint64_t packets_lost = 0, packets_spurious = 0, packets_duplicate = 0, probe_timeouts = 0;
  uint64_t dropped_auth = 0, dropped_replay = 0, dropped_refused = 0, dropped_malformed = 0;
  Duration rtt_smoothed{}, rtt_min{}, rtt_latest{};
  Bytes path_mtu, in_flight, window;
  Rate delivery_rate, pacing_rate;
  uint64_t key_changes = 0;
  FlowState state = FlowState::kProbing;
};

using BytesByAccount = std::array<uint64_t, kAccounts>;

// What the gate of our link direction lets pass, in UDP payload. Behind a gate that is not open the controller's model rests:
// what it would see there is others' traffic. A pulse that asks whether the path is free leaves at what it carries when it is, and not at what the
// controller has left others: a weak one would not be seen.
struct Pass {
  Rate most = Rate::unlimited();
  enum class Model : uint8_t { kLearns, kRests, kAsks } model = Model::kLearns;
  bool operator==(const Pass&) const = default;
};

class Flow {
 public:
  static constexpr Duration kKeepaliveIdle = std::chrono::seconds(15);  // NAT and firewall states last 30-120 s
  // Of an end that waits for blocks. If its address has changed nothing reaches it, and only what it sends tells the other end where it is.
  static constexpr Duration kKeepaliveReceiving = std::chrono::seconds(1);
  static constexpr int kCloseTries = 3;
  static constexpr int kForgetRoundTrips = 2;       // between FORGET frames
  static constexpr uint64_t kForgetPackets = 256;   // fewer new ones are not worth a packet
  static constexpr int kAckNowPerRoundTrip = 4;
  static constexpr uint64_t kAckCountCarries = 4 * AckSchedule::kPacketsFast;  // so many in flight draw acks by their count, at any rate

  Flow(Time start, const FlowConfig& config, std::unique_ptr<CongestionController> controller, LaneParts lane);

  ~Flow();

  // Keys. A flow starts with key epoch 0 both ways and e+1 ahead of use. It holds the key in use and the next one: while
  // needs_*_key() is true the engine installs the one next_*_key() names, and derives the one after it meanwhile.
  void install_send_key(KeyEpoch epoch, std::unique_ptr<Aead> key);
  void install_receive_key(KeyEpoch epoch, std::unique_ptr<Aead> key);
  bool needs_send_key() const { return sealer_.needs_key(); }
  bool needs_receive_key() const { return opener_.needs_key(); }
  KeyEpoch next_send_key() const { return sealer_.next_to_install(); }  // the first epoch that is not installed yet
  KeyEpoch next_receive_key() const { return opener_.next_to_install(); }

  // Fills a prefix of the rooms (each at least room_size() long) and shortens them; returns how many. 0: nothing to
  // send yet. The destination endpoint is peer(); the engine opens a path for it when it changes. Call it at every
  // next_deadline(), without rooms if there are none: timers fire here.
  size_t write_burst(Time now, std::span<Packet> rooms);
  // UDP payload of a full packet now; more for the one burst that tries a larger path MTU.
  Bytes room_size() const;
  // How many full packets write_burst would send now at most, so that the engine asks for no more rooms.
  size_t packets_wanted(Time now) const;
  // A ceiling of ours on the pacing rate, in UDP payload. While it is what holds the flow back, its samples say nothing
  // about the path.
  void limit_rate(Rate most) { rate_max_ = most; }
  // What leaves from now on; the same again changes nothing.
  void set_pass(Time now, const Pass& pass);
  // Packets whose connection id is ours. Open, place, note what to ack.
  void on_burst(Time now, std::span<const Packet> packets);
  Time next_deadline() const;         // pacing, loss, probe, ack, keepalive: the earliest
  void close(Time now);               // CLOSE leaves with the next write_burst; what is in flight goes back to the lane

  Endpoint peer() const { return path_.peer(); }
  FlowState state() const;
  FlowStats stats() const;
  const BytesByAccount& data_sent() const { return data_sent_; }  // of FlowStats::bytes_sent, the packets of blocks
  Rate pacing_rate() const {
    const Rate most = std::min(rate_max_, pass_.most);
    return std::min(pass_.model == Pass::Model::kAsks ? recovery_.rate_known() : recovery_.pacing_rate(), most);
  }
  Duration rtt() const { return recovery_.rtt().smoothed(); }
  uint32_t backoffs(Time now) const { return recovery_.backoffs(now); }
  bool has_protocol_error() const { return has_protocol_error_; }  // the session must end

 private:
  enum class Stop : uint8_t { kNothing, kWindow, kPacing, kRooms, kAddress };
  struct Arrived;   // a packet between the passes of on_burst
  struct Incoming;  // room for one burst of them

  // flow_send.cc
  void write_close(Time now);
  void write_ack(Time now);
  void write_control(Time now);
  void write_challenge(Time now);
  void write_mtu_probes(Time now);
  void write_data(Time now);
  void write_probe(Time now);
  Stop fill_data(Time now);
  void finish_data(Time now, Stop stop);
  void note_new_data(Time now, Bytes size);
  std::optional<SendRange> take_range(Time now, size_t payload);
  std::optional<SendRange> take_ahead(Time now, Duration age, size_t payload);
  Writer frames_for(size_t packet_size);
  void note_sent(Time now, SentPacket packet, size_t size);
  bool can_send() const;
  bool may_send_data() const;
  Bytes window_now() const;
  bool has_window() const;
  bool has_packets_max() const { return recovery_.packets_in_flight() >= SentPackets::kPacketsMax / 2; }
  bool may_probe_mtu() const { return path_.is_proven(); }  // what an unproven address may get is kept for other things
  bool is_control_due(Time now) const;
  bool is_forget_due(Time now) const;
  bool is_tail_due(Time now) const;
  bool is_for_trains() const { return pacer_.train() > Bytes(); }
  bool is_its_turn(Time now) const { return !is_for_trains() || lane_.trains.is_free(now, config_.id); }
  Time next_data() const;
  void note_train(Time now);
  Time next_keepalive() const { return last_sent_ + (lane_.credit.has_receiving() ? kKeepaliveReceiving : kKeepaliveIdle); }
  bool is_keepalive_due(Time now) const { return now >= next_keepalive(); }
  size_t packet_size() const { return recovery_.payload_max().count() + wire::kDataOverhead; }

  // flow_receive.cc
  void finish_burst(Time now);
  bool admit(const Packet& packet, Arrived& arrived);
  bool admit_data(Arrived& arrived);
  void open_all(std::span<Arrived> arrived);
  void accept(Time now, Arrived& arrived);
  void accept_frames(Time now, const Arrived& arrived);
  // `at`: when it came to this host, `now` or before. False: protocol error.
  bool on_frame(Time now, Time at, const wire::Frame& frame);
  bool on_ack(Time now, Time at, std::span<const std::byte> body);

  // flow.cc
  void fire_deadlines(Time now);
  void enter_closed(Time now);
  void pace(Time now);

  const FlowConfig config_;
  const bool is_ipv4_;
  LaneParts lane_;

  // Sending.
  PacketSealer sealer_;
  Recovery recovery_;
  Pacer pacer_;
  PacketBuilder builder_;
  Time last_sent_;
  Time ack_now_at_ = Time::min();
  Time tail_at_;                     // when to look for a tail to repair
  Time new_data_at_;                 // when data last left for the first time
  Bytes ahead_left_;                 // of new data, a small part of which may leave in copies before anybody knows whether it was lost
  Time forget_at_;
  uint64_t forgotten_ = 0;           // the last FORGET's number
  bool has_been_acked_ = false;
  Rate rate_max_ = Rate::unlimited();
  Pass pass_;

  // Receiving.
  PacketOpener opener_;
  AckRanges received_;
  AckSchedule ack_schedule_;
  std::unique_ptr<Incoming> incoming_;
  Time largest_received_at_;
  uint64_t delivered_ = 0, ecn_ect0_ = 0, ecn_ce_ = 0;

  PathProbe path_;
  FlowStats stats_;
  BytesByAccount data_sent_{};
  int closes_left_ = 0;
  Time close_at_ = kNever;
  bool is_closed_ = false;
  bool has_protocol_error_ = false;
};

}  // namespace tideway::flow
