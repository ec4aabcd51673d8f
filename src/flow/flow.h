// SPDX-License-Identifier: Apache-2.0
//
// One flow: paced, acknowledged packets on one path (docs/protocol.md). It decides when to send, finds losses, acks
// what arrives; which bytes to send and where they belong it asks the parts of its lane. It fills rooms and reads
// bytes it is handed, so it runs the same over sockets, DPDK and a simulated link.
// Thread: net worker. Pure.
#pragma once
#include "flow/credit.h"
#include "flow/reassembler.h"
#include "flow/send_window.h"
#include <tideway/aead.h>
#include <tideway/congestion_controller.h>
#include <tideway/packet_io.h>

#include <memory>

namespace tideway::flow {

struct LaneParts {
  SendWindow& window;
  Reassembler& reassembler;
  Credit& credit;
};

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
};

struct FlowStats {
  uint64_t packets_sent = 0, bytes_sent = 0, packets_received = 0, bytes_received = 0;  // UDP payload
  uint64_t packets_lost = 0, packets_spurious = 0, packets_duplicate = 0, probe_timeouts = 0;
  uint64_t dropped_auth = 0, dropped_replay = 0, dropped_refused = 0, dropped_malformed = 0;
  Duration rtt_smoothed{}, rtt_min{};
  Bytes path_mtu, in_flight, window;
  Rate delivery_rate, pacing_rate;
  uint64_t key_changes = 0;
  FlowState state = FlowState::kProbing;
};

class Flow {
 public:
  Flow(Time start, const FlowConfig& config, std::unique_ptr<CongestionController> controller, LaneParts lane);

  // Keys. A flow starts with key epoch 0 both ways and e+1 ahead of use.
  void install_send_key(KeyEpoch epoch, std::unique_ptr<Aead> key);
  void install_receive_key(KeyEpoch epoch, std::unique_ptr<Aead> key);
  KeyEpoch next_send_key() const;     // the first epoch that is not installed yet; the engine derives it ahead
  KeyEpoch next_receive_key() const;

  // Fills a prefix of the rooms (each at least room_size() long) and shortens them; returns how many. 0: nothing to
  // send yet. The destination endpoint is peer(); the engine opens a path for it when it changes.
  size_t write_burst(Time now, std::span<Packet> rooms);
  Bytes room_size() const;            // UDP payload of a full packet now
  // How many full packets write_burst would send now at most, so that the engine asks for no more rooms.
  size_t packets_wanted(Time now) const;
  // Packets whose connection id is ours. Open, place, note what to ack.
  void on_burst(Time now, std::span<const Packet> packets);
  Time next_deadline() const;         // pacing, loss, probe, ack, keepalive: the earliest
  void close(Time now);               // CLOSE leaves with the next write_burst

  Endpoint peer() const;
  FlowState state() const;
  FlowStats stats() const;
  bool has_protocol_error() const;    // the session must end
};

}  // namespace tideway::flow
