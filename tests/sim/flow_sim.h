// SPDX-License-Identifier: Apache-2.0
//
// Two ends with a lane of flows each, over simulated links, in virtual time that jumps to the next deadline. A run is a
// seed. What must hold at every step is checked at every step (check_step); the first thing that does not ends the run
// with its reason.
#pragma once
#include "flow/flow.h"
#include "support/fixed_controller.h"
#include "support/test_aead.h"
#include "wan/link_model.h"

#include <functional>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

namespace tideway::test {

using Controllers = std::function<std::unique_ptr<CongestionController>()>;

struct FlowSimConfig {
  wan::LinkConfig there, back;       // one pair of links, shared by all flows
  uint64_t seed = 1;
  size_t flows = 1;
  Bytes mtu_max = 1500_B;
  Duration rtt_initial = std::chrono::milliseconds(50);
  Controllers controllers;           // one for each flow and end
  flow::KeyLimits key_limits;
  flow::FlowConfig::Address address = flow::FlowConfig::Address::kProven;
  uint64_t credit_blocks = 12;       // buffers the receiver lends
  Duration store_delay{};            // a complete block keeps its buffer for so long
  double forged = 0;                 // damaged copies that strangers inject, per packet
  double replayed = 0;               // exact copies injected up to 100 ms late, from a stranger's address
};

class FlowSim {
 public:
  explicit FlowSim(const FlowSimConfig& config);
  ~FlowSim();

  // Queues blocks of these packed lengths for sending from the first end to the second.
  void put_blocks(std::vector<uint32_t> lengths);
  void at(Duration when, std::function<void()> event);  // from the start
  void set_flow_dead(size_t flow, bool is_dead) { dead_[flow] = is_dead; }  // its packets vanish
  void set_mtu(Bytes mtu) { mtu_now_ = mtu; }                               // larger ones vanish
  void move_sender(uint16_t port) { source_port_ = port; }                  // as a NAT does

  // True when every block has arrived and all acks are home. False: the time is over, or problem() is set.
  bool run(Duration at_most);
  void run_for(Duration length);

  const std::string& problem() const { return problem_; }  // empty: nothing is wrong
  Duration elapsed() const { return now_ - Time(); }
  Duration finished_after() const { return finished_at_ - Time(); }
  uint64_t bytes_put() const { return bytes_put_; }
  size_t blocks_delivered() const { return delivered_.size(); }
  flow::Flow& sender(size_t flow = 0) { return *ends_[0].flows[flow]; }
  flow::Flow& receiver(size_t flow = 0) { return *ends_[1].flows[flow]; }
  uint64_t data_bytes_sent() const { return data_bytes_sent_; }
  uint64_t stranger_packets() const { return stranger_packets_; }

 private:
  struct End {
    std::unique_ptr<BufferPool> pool;
    std::unique_ptr<flow::SendWindow> window;
    std::unique_ptr<flow::Reassembler> reassembler;
    std::unique_ptr<flow::Credit> credit;
    std::vector<std::unique_ptr<flow::Flow>> flows;
    std::unique_ptr<wan::LinkModel> link;  // away from here
  };
  struct InFlight {
    Time at;
    uint64_t turn;
    size_t to, flow;
    Endpoint from;
    Ecn ecn;
    std::vector<std::byte> bytes;
    bool operator>(const InFlight& other) const { return at != other.at ? at > other.at : turn > other.turn; }
  };
  struct Event { Time at; uint64_t turn; std::function<void()> run; bool operator>(const Event& o) const { return at != o.at ? at > o.at : turn > o.turn; } };
  struct Stored { Time free_at; PackedBlock block; };

  void make_end(size_t end);
  void give_keys();
  uint64_t key_of(size_t end, size_t flow, KeyEpoch epoch) const;
  void step();
  Time next_time() const;
  void deliver();
  void offer_blocks();
  void receive_blocks();
  bool poll_flow(size_t end, size_t flow);
  void transmit(size_t end, size_t flow, const Packet& packet);
  void inject(size_t end, size_t flow, std::span<const std::byte> bytes);
  void arrive(Time at, size_t end, size_t flow, std::vector<std::byte> bytes, Ecn ecn, Endpoint from);
  void check_step();
  void fail(std::string what) { if (problem_.empty()) problem_ = std::move(what); }
  bool is_done() const;
  static std::byte byte_of(uint64_t seed, uint32_t block, uint32_t offset);
  PackedBlock make_block(uint32_t number, uint32_t length);

  const FlowSimConfig config_;
  Random random_;
  Time now_;
  std::array<End, 2> ends_;
  std::priority_queue<InFlight, std::vector<InFlight>, std::greater<>> wire_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<uint32_t> lengths_;        // of all blocks put
  size_t offered_ = 0;                   // of them
  std::set<uint32_t> delivered_, done_;
  std::vector<Stored> stored_;
  std::vector<bool> dead_;
  Bytes mtu_now_ = Bytes::max();
  uint16_t source_port_ = 1000;
  uint64_t turn_ = 0, bytes_put_ = 0, data_bytes_sent_ = 0, stranger_packets_ = 0;
  uint64_t steps_at_now_ = 0;
  Time finished_at_;
  std::vector<std::vector<std::byte>> rooms_;
  std::string problem_;
};

}  // namespace tideway::test
