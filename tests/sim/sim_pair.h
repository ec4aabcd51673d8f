// SPDX-License-Identifier: Apache-2.0
//
// Two gateways' lanes with several flows each, a path of its own for every flow, and transfers in both directions whose
// stores may be slow or stuck. Everything arrives through the flow tables in mixed bursts, as at a real port, and rooms
// for packets come as from a real one. Time is virtual and a run is a seed; what must hold at every step is checked at
// every step (sim_pair_check.cc), and problem() says what did not.
#pragma once
#include "flow/lane.h"
#include "sim/sim_forger.h"
#include "sim/sim_keys.h"
#include "sim/sim_link.h"
#include "sim/sim_watch.h"

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

namespace tideway::test {

inline constexpr SlotId kSlot{1};  // of the transfer, where there is one

struct SimPairConfig {
  wan::LinkConfig link;                         // of each flow, both ways
  std::map<size_t, wan::LinkConfig> link_of = {};  // flows with another one
  size_t flows = 2;
  enum class Paths : uint8_t { kOwn, kShared } paths = Paths::kOwn;  // shared: one link, one queue for all flows of a way
  enum class Marks : uint8_t { kKept, kBleached } marks = Marks::kKept;  // of ECN, on the way
  uint64_t seed = 1;
  std::string controller = "";                  // of congestion/registry; empty: `window` and the link's rate, for good
  Rate rate_remembered = {};                    // of the path, by the controllers of end 0; zero: unknown
  Bytes window = 1_MiB;                         // of each flow
  uint64_t credit_blocks = 32;
  uint64_t unsent_max = ~uint64_t{0};           // bytes of started blocks; with less waiting, the next one is started
  Bytes mtu_max = 1500_B;                       // of the local ports
  flow::KeyLimits key_limits = {};
  std::string provider = "";                    // of crypto/registry; empty: a keyed hash
  flow::FlowConfig::Address address = flow::FlowConfig::Address::kProven;  // the dialling end (0) as the other sees it
  Duration receive_every = {};                  // how often a port is looked at; what came meanwhile is one burst
  Duration run_every = {};                      // how often a host lets its worker send
  size_t rooms_max = kBurstMax;                 // per burst; what does not fit waits for `rooms_wait`
  Duration rooms_wait = std::chrono::microseconds(20);
  double stray = 0;                             // per packet: a copy with a connection id that is not ours
  double forged = 0;                            // per packet: a forged one beside it
  double raced = 0;                             // per packet: a copy from another address is there first
};

struct SimTransfer {
  SlotId slot;
  size_t from = 0;               // which end sends
  uint32_t blocks = 1;
  uint32_t length = 100'000;     // packed bytes of each
  Duration store_delay{};
  enum class Store : uint8_t { kWorks, kStuck } store = Store::kWorks;
};

class SimPair {
 public:
  explicit SimPair(const SimPairConfig& config);
  ~SimPair();

  void open(const SimTransfer& transfer);
  void close(SlotId slot);                        // on both sides, whatever is under way
  void abandon_under_way(SlotId slot, size_t count);  // the oldest unfinished blocks
  void at(Duration when, std::function<void()> event);
  void run_every(Duration every) { config_.run_every = config_.receive_every = every; }  // both hosts are as busy as that
  void drop_lane(size_t end) { ends_[end].lane.reset(); }

  // Asked before end 0 sends, as a lane's gate is in each turn; says when to ask again at the latest.
  std::function<Time(Time)> gate;
  // A packet of somebody else's enters the first link away from end 0, and its queue.
  wan::Fate meet_other(Bytes payload) { return ends_[0].links[0]->offer(now_, payload); }
  const wan::LinkCounters& counters(size_t end) const { return ends_[end].links[0]->counters(); }

  // Faults.
  void set_flow_dead(size_t flow, bool is_dead);  // its packets vanish
  void set_mtu(size_t flow, Bytes mtu);           // of its path, both ways
  void set_detour(size_t flow, Duration more);    // each way of its path is longer by that
  void rebind(size_t end, size_t flow);           // the NAT before this end gives it another address and forgets the old one
  void replay_old();                              // a packet from the past arrives once more
  void forge(size_t count);                       // made-up datagrams arrive, by themselves

  // True when every block of these transfers is stored and acked.
  bool run_until_done(const std::vector<SlotId>& slots, Duration at_most);
  bool run_for(Duration length);                  // false: problem() says why

  const std::string& problem() const { return problem_; }
  Time now() const { return now_; }
  uint64_t trace() const { return trace_; }       // of all packets that were sent, their times included
  flow::Lane& lane(size_t end) { return *ends_[end].lane; }
  flow::FlowTable& table(size_t end) { return *ends_[end].table; }
  BufferPool& pool(size_t end) { return *ends_[end].pool; }
  const SimKeys& keys() const { return keys_; }
  Endpoint endpoint(size_t end, size_t flow) const { return sim_endpoint(end, flow, ends_[end].moves[flow]); }
  bool has_proven(size_t end, size_t flow, const Endpoint& address) const;  // by a challenge, or from the start
  uint64_t replays_refused() const { return replays_refused_; }
  uint64_t forgeries() const { return forgeries_; }
  size_t stored(SlotId slot) const { return transfers_.at(slot.value()).stored.size(); }
  size_t abandoned(SlotId slot) const { return transfers_.at(slot.value()).abandoned.size(); }
  // All buffers that nobody outside a lane holds are at home: both lanes hold none.
  bool is_home() const;

 private:
  struct End {
    std::unique_ptr<BufferPool> pool;
    std::unique_ptr<flow::FlowTable> table;
    std::unique_ptr<flow::Lane> lane;
    std::vector<std::shared_ptr<SimLink>> links;  // away from here, by flow
    std::vector<size_t> moves;                    // of the address of each flow
    std::vector<Time> rooms_at;                   // by flow: rooms are back
    std::vector<AddressWatch> addresses;          // by flow
    ProgressWatch progress;
    uint64_t arrived = 0, received = 0;           // datagrams handed to the table, and packets its flows accepted
  };
  struct Transfer {
    SimTransfer spec;
    bool is_open = true;
    uint32_t next = 0;             // block to build
    PackedBlock waiting;           // built, and no credit for it yet
    uint64_t started = 0, started_max = 0;  // blocks with credit, and how many there may be
    std::set<uint32_t> under_way, done, stored, abandoned;
    std::vector<Buffer> stuck;     // what a stuck store sits on
  };
  struct InFlight {
    Time at;
    uint64_t turn;
    SimDatagram datagram;
    bool operator>(const InFlight& other) const { return at != other.at ? at > other.at : turn > other.turn; }
  };
  struct Event {
    Time at;
    uint64_t turn;
    std::function<void()> run;
    bool operator>(const Event& other) const { return at != other.at ? at > other.at : turn > other.turn; }
  };
  struct Storing { Time done_at; size_t end; PackedBlock block; };

  // sim_pair.cc
  void make_end(size_t end);
  void add_flows();
  std::unique_ptr<CongestionController> make_controller(size_t end, size_t flow);
  void give_keys();
  void watch_frames();
  void step();
  Time next_time() const;
  Time next_deadline(const End& end) const;
  void run_events();
  void send_blocks(Transfer& transfer);
  void receive_blocks(size_t end);
  void store(size_t end, PackedBlock block);
  void finish_storing();
  bool is_done(const Transfer& transfer) const;

  // sim_pair_packets.cc
  void deliver();
  void note_arrival(const SimDatagram& datagram);
  void hand_on(size_t end, std::span<SimDatagram> datagrams);
  void poll(size_t end);
  void poll_flow(size_t end, size_t flow);
  void transmit(size_t end, size_t flow, const Packet& packet, const Endpoint& destination);
  void add_strangers(Time at, const SimDatagram& datagram);

  void put(Time at, SimDatagram datagram);
  void arrive_alone(SimDatagram datagram);

  // sim_pair_check.cc
  struct Sending {
    uint64_t data = 0, others = 0;  // bytes of one burst
    size_t data_packets = 0;
  };
  void check();
  void check_buffers(size_t end, const flow::LaneStats& stats);
  void check_counts(size_t end, const flow::FlowStats& stats);
  void check_watches();
  void check_window(const flow::Flow& flow, const Sending& sending);
  std::vector<uint64_t> state_of(size_t end) const;  // everything that only an authentic packet may change
  uint64_t dropped(size_t end, const flow::FlowStats& stats) const;
  Duration probe_timeout_max(size_t end) const;
  void fail(std::string what) { if (problem_.empty()) problem_ = std::move(what); }

  SimPairConfig config_;
  Random random_;
  Time now_, gate_at_ = kNever;
  SimKeys keys_;
  SimForger forger_;
  std::array<End, 2> ends_;
  std::map<uint16_t, Transfer> transfers_;
  std::priority_queue<InFlight, std::vector<InFlight>, std::greater<>> wire_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<Storing> storing_;
  std::vector<std::vector<std::byte>> rooms_;
  uint64_t turn_ = 0, steps_at_now_ = 0, trace_ = 0, replays_refused_ = 0, forgeries_ = 0;
  std::string problem_;
};

// For the message of a failed expectation: what went wrong, and when.
inline std::string state_of(const SimPair& sim) {
  return sim.problem() + " after " + std::to_string((sim.now() - Time()) / std::chrono::milliseconds(1)) + " ms";
}

}  // namespace tideway::test
