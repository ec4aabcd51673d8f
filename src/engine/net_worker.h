// SPDX-License-Identifier: Apache-2.0
//
// Moves packets: one PacketIo, the lanes that end here, and the blocks in them. A turn is a list of duties, each
// bounded: obey commands, take blocks, receive (first, because receive buffers are the scarcest), hand on what is
// complete, start blocks, transmit within window, pacing and rate.
//
// It owns no thread: whoever drives it calls poll(now), and unless next_look() is `now` sleeps on wait_fds() until then.
// Thread: net worker.
#pragma once
#include "congestion/registry.h"
#include "engine/doorbell.h"
#include "engine/lane_port.h"
#include "engine/receive_rest.h"
#include "engine/rings.h"
#include "flow/flow_table.h"
#include "mem/buffer_pool.h"
#include "packet_io/stream_packet_io.h"
#include <tideway/packet_io.h>

#include <map>
#include <memory>
#include <span>
#include <string>

namespace tideway::engine {

struct NetWorkerConfig {
  uint32_t index = 0;
  congestion::ControllerEntry controller;
  Rate rate = Rate::unlimited();       // of the gateway at its start, all lanes together; the contract of `contracted`
  std::span<NetBoard> boards;          // of all workers, by index; they outlive them
  uint32_t buffers_receiving = 0;      // what all lanes together may have promised to peers
  Gates* gates = nullptr;              // of the links; null: none, everything may pass. It outlives the worker
};

class NetWorker {
 public:
  static constexpr Duration kNapMin = std::chrono::microseconds(60);  // also where a deadline has passed and the backend takes nothing

  NetWorker(const NetWorkerConfig& config, std::unique_ptr<PacketIo> io, Rings& rings, BufferPool& pool);
  ~NetWorker();  // logs what was dropped of what arrived

  bool poll(Time now);  // false: there was nothing to do
  // Its lanes end without a word, and their packets and streams go home by the thread that they belong to; whoever destroys it may be another one.
  void stop();
  // When to look again behind the turn of `now`. At once (`now`) if it had work and left some; else whatever comes wakes us, and at the latest
  // a deadline does, put off to the next beat, so that what falls due a little later is done in the same turn.
  Time next_look(Time now) const;
  bool has_commands() const;  // or blocks: look once more before sleeping
  bool is_polled() const { return wait_fd_ < 0; }  // its packets cannot be waited for
  // What may wake us until then: not the port while what it receives comes together.
  Doorbell::Others wait_fds(Time now) const { return {now < rests_until() ? -1 : wait_fd_, streams_.limits().wait_fd}; }

 private:
  Time next_deadline(Time now) const;
  bool has_more(Time now) const;
  Duration beat() const;
  Time rests_until() const;
  bool obey(Time now);
  void obey(Time now, BindPorts&& bind);
  void obey(Time now, DropPorts&& drop);
  void obey(Time now, OpenLane&& open);
  void obey(Time now, OpenSlot&& open);
  void obey(Time now, CloseSlot&& close);
  void obey(Time now, AttachStream&& attach);
  void obey(Time now, InstallKey&& install);
  void obey(Time now, SetRate&& set);
  void obey(Time now, CloseLane&& close);
  bool take_blocks();
  bool receive(Time now);
  bool receive(Time now, PacketIo& io, uint64_t& packets);
  PacketIo& carrier(Delivery delivery);
  void watch_streams(LaneHandle handle, const LanePort& lane);
  bool hand_on(LaneHandle handle, LanePort& lane);
  bool transmit(Time now);
  void deal_rate(Time now);
  void watch_device(Time now);
  void watch(Time now, LaneHandle handle, LanePort& lane);
  void tell(NetEvent event);
  void tell_drops();
  void log_drops();
  LanePort* find(LaneHandle lane);

  NetWorkerConfig config_;
  std::unique_ptr<PacketIo> io_;
  packet_io::StreamPacketIo streams_;  // for lanes whose packets go over TLS
  const int wait_fd_;
  Rings& rings_;
  BufferPool& pool_;
  flow::FlowTable table_;
  flow::CreditPool credit_;
  std::map<LaneHandle, std::unique_ptr<LanePort>> lanes_;
  struct Bound { Delivery delivery; PathId path; std::optional<ConnectionId> connection; };
  std::map<uint32_t, std::vector<Bound>> bound_;  // by request, until their lane opens
  std::array<Packet, kBurstMax> burst_;
  size_t next_cpu_ = 0;
  Time watched_at_{}, dealt_at_{};
  Time worked_at_{};             // in the last turn that had work
  ReceiveRest rest_;
  bool has_streams_ = false;     // had a lane of them once
  bool stopped_at_bursts_ = false;  // the last turn: more may have arrived, where no descriptor shows it
  bool is_device_gone_ = false;  // and told
  flow::FlowStats closed_;  // of flows whose lane is closed: the counters of drops
};

}  // namespace tideway::engine
