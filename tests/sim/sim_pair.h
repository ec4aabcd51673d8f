// SPDX-License-Identifier: Apache-2.0
//
// Two lanes with several flows each, a link of its own for every flow, and transfers in both directions whose stores
// may be slow or stuck. Everything arrives through the flow tables in mixed bursts, as at a real port. Time is virtual
// and a run is a seed; what must hold at every step is checked at every step.
#pragma once
#include "flow/lane.h"
#include "support/fixed_controller.h"
#include "support/test_aead.h"
#include "wan/link_model.h"

#include <functional>
#include <map>
#include <memory>
#include <queue>
#include <set>
#include <string>
#include <vector>

namespace tideway::test {

struct SimPairConfig {
  wan::LinkConfig link;                         // of each flow, both ways
  std::map<size_t, wan::LinkConfig> link_of = {};  // flows with another one
  size_t flows = 2;
  uint64_t seed = 1;
  Bytes window = 1_MiB;                         // of each flow
  uint64_t credit_blocks = 32;
  double stray = 0;                             // per packet: a copy with a connection id that is not ours
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
  void set_flow_dead(size_t flow, bool is_dead) { dead_[flow] = is_dead; }  // its packets vanish
  void drop_lane(size_t end) { ends_[end].lane.reset(); }

  // True when every block of these transfers is stored and acked.
  bool run_until_done(const std::vector<SlotId>& slots, Duration at_most);
  bool run_for(Duration length);                  // false: problem() says why

  const std::string& problem() const { return problem_; }
  Time now() const { return now_; }
  flow::Lane& lane(size_t end) { return *ends_[end].lane; }
  flow::FlowTable& table(size_t end) { return *ends_[end].table; }
  BufferPool& pool(size_t end) { return *ends_[end].pool; }
  size_t stored(SlotId slot) const { return transfers_.at(slot.value()).stored.size(); }
  size_t abandoned(SlotId slot) const { return transfers_.at(slot.value()).abandoned.size(); }
  // All buffers that nobody outside a lane holds are at home: both lanes hold none.
  bool is_home() const;

 private:
  struct End {
    std::unique_ptr<BufferPool> pool;
    std::unique_ptr<flow::FlowTable> table;
    std::unique_ptr<flow::Lane> lane;
    std::vector<std::unique_ptr<wan::LinkModel>> links;  // away from here
  };
  struct Transfer {
    SimTransfer spec;
    bool is_open = true;
    uint32_t next = 0;             // block to build
    PackedBlock waiting;           // built, and no credit for it yet
    std::set<uint32_t> under_way, done, stored, abandoned;
    std::vector<Buffer> stuck;     // what a stuck store sits on
  };
  struct InFlight {
    Time at;
    uint64_t turn;
    size_t to, flow;
    std::vector<std::byte> bytes;
    bool operator>(const InFlight& other) const { return at != other.at ? at > other.at : turn > other.turn; }
  };
  struct Event {
    Time at;
    uint64_t turn;
    std::function<void()> run;
    bool operator>(const Event& other) const { return at != other.at ? at > other.at : turn > other.turn; }
  };
  struct Storing { Time done_at; size_t end; PackedBlock block; };

  void add_flows();
  void give_keys();
  void step();
  Time next_time() const;
  void run_events();
  void deliver();
  void send_blocks(Transfer& transfer);
  void receive_blocks(size_t end);
  void store(size_t end, PackedBlock block);
  void finish_storing();
  void poll(size_t end);
  void transmit(size_t end, size_t flow, std::span<const std::byte> bytes);
  void check();
  void fail(std::string what) { if (problem_.empty()) problem_ = std::move(what); }
  bool is_done(const Transfer& transfer) const;
  void fill(const PackedBlock& block) const;
  bool is_right(const PackedBlock& block) const;

  const SimPairConfig config_;
  Random random_;
  Time now_;
  std::array<End, 2> ends_;
  std::map<uint16_t, Transfer> transfers_;
  std::priority_queue<InFlight, std::vector<InFlight>, std::greater<>> wire_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::vector<Storing> storing_;
  std::vector<bool> dead_;
  std::vector<std::vector<std::byte>> rooms_;
  uint64_t turn_ = 0, steps_at_now_ = 0;
  std::string problem_;
};

}  // namespace tideway::test
