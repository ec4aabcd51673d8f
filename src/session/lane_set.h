// SPDX-License-Identifier: Apache-2.0
//
// The lanes of one session: offered or answered, bound to data ports, opened with their keys, and closed with it. The
// dialling side offers one lane per net worker of its own, so that all of them can carry blocks of one transfer; the
// accepting side answers at most as many as it has workers, and spreads them, because each takes a share of its buffers.
//
//   offer | answer ─▶ on_ports (one answer per lane) ─▶ are_bound ─▶ message ─▶ open
// Thread: control.
#pragma once
#include "engine/engine.h"
#include "messages/session_messages.h"
#include "session/hello.h"

#include <memory>
#include <optional>
#include <vector>

namespace tideway::session {

inline constexpr uint32_t kDataPorts = 64;  // of a listening gateway, from its address on

// Where a gateway's sessions take their data ports from; shared, so that they spread over ports and workers. A port
// belongs to the net worker of its offset modulo their number, so no two workers ever share one.
struct DataPorts {
  std::vector<Endpoint> first;  // of the ports that workers are divided among; port 0: the kernel, or who owns it, picks
  uint32_t next = 0;
  uint32_t next_net_worker = 0;

  const Endpoint& first_of(uint32_t net_worker) const { return first[net_worker % first.size()]; }
};

struct LaneLimits {
  size_t lanes = 1, flows = 1;  // at least one of each
};
// Leaves no more lanes and flows than that; no lane without flows.
void limit_lanes(messages::Lanes& lanes, const LaneLimits& most);

class LaneSet {
 public:
  LaneSet(engine::Engine& engine, DataPorts& ports) : engine_(engine), ports_(ports) {}
  ~LaneSet();
  LaneSet(const LaneSet&) = delete;
  LaneSet& operator=(const LaneSet&) = delete;

  // What the peer is offered; `control` is our end of the control connection, whose address data packets take where no
  // other is configured.
  struct Offer { size_t flows; Delivery delivery; };
  void offer(const Endpoint& control, const Offer& offer);
  // Takes the peer's offer.
  void answer(const Endpoint& control, const messages::Lanes& theirs);
  bool is_planned() const { return !lanes_.empty(); }

  bool owns_port_request(uint32_t request) const;
  Status on_ports(const engine::PortsBound& bound);  // errors: those of binding
  bool are_bound() const;
  messages::Lanes message() const;  // once they are bound

  struct PeerPath {
    Endpoint control;  // the peer's end of the control connection
    Bytes mtu_max;
    Duration rtt;
    Rate rate_remembered;  // zero: unknown
    std::optional<size_t> link;  // whose gate what we send passes
    Dscp dscp = Dscp::kLowerEffort;  // of it
  };
  // Opens those that the peer answered, or offered and we answered; drops the others. Errors: protocol_error.
  Status open(const messages::Lanes& theirs, const PeerPath& peer, FlowKeys& keys);
  bool are_open() const { return !handles_.empty(); }
  std::span<const engine::LaneHandle> handles() const { return handles_; }
  Delivery delivery() const { return delivery_; }
  // What carries a flow's packets from now on, once the lanes are open.
  void attach(FlowId flow, std::unique_ptr<packet_io::ByteStream> stream);
  void close();  // for good, at once
  bool owns(engine::LaneHandle lane) const;
  size_t flows() const;  // bound or to be

  // A transfer uses all lanes; the sink's start credit holds in each.
  void open_slot(const engine::OpenSlot& slot);  // its lane is filled in, and how many there are
  void close_slot(const engine::CloseSlot& slot);
  void set_ceiling(Rate rate, Rate in_bursts);   // of all lanes together

 private:
  struct Lane {
    LaneId id;
    uint32_t net_worker = 0;
    uint32_t port_request = 0;
    std::vector<messages::FlowOffer> flows;
    std::vector<Endpoint> local;  // of the flows, once bound
    engine::LaneHandle handle;    // once it is open
  };
  void bind(Lane& lane);
  Endpoint next_port(uint32_t net_worker);
  Result<engine::OpenLane> prepare(const Lane& ours, const messages::LaneOffer& theirs, const PeerPath& peer, FlowKeys& keys) const;

  engine::Engine& engine_;
  DataPorts& ports_;
  Endpoint control_;
  Delivery delivery_ = Delivery::kDatagram;
  enum class Ports : uint8_t { kAny, kConfigured } kind_ = Ports::kAny;
  std::vector<Lane> lanes_;
  std::vector<engine::LaneHandle> handles_;  // of the lanes, once open
};

}  // namespace tideway::session
