// SPDX-License-Identifier: Apache-2.0
//
// Workers, rings and loops: joins storage, packing and packets with threads. The control thread posts commands and
// takes events; everything else happens on the workers (src/README.md shows a block's way through them).
//
// The rings that carry blocks hold as many items as there are block buffers, so they can never be full: what limits
// the pipeline is buffers, and a worker without one simply reads or grants no more.
// Thread: control.
#pragma once
#include "engine/board.h"
#include "engine/commands.h"
#include "engine/layout.h"
#include "mem/buffer_pool.h"
#include "packet_io/registry.h"
#include "storage/direct_io.h"

#include <memory>
#include <optional>
#include <span>
#include <string>

namespace tideway::engine {

class Gates;

struct EngineConfig {
  Bytes memory = 1_GiB;
  uint32_t cores = 0;            // 0: as many as this process may use
  uint32_t net_workers = 0;      // at most kNetWorkersMax; 0: as the cores say
  std::string packet_backend = "udp";
  packet_io::PacketIoConfig packets;
  std::string capture;           // the file that packets are captured to; empty: none
  std::string storage_io = "auto";
  storage::DirectIo storage_direct = storage::DirectIo::kAuto;
  std::string congestion = "bbr";
  Rate rate = Rate::unlimited();  // ceiling of this gateway, and the contract of `contracted`
  std::shared_ptr<Gates> gates;   // of the links; null: none
  size_t peer_entries_max = kPeerEntriesMax;
};

class NetWorker;
class IoWorker;

class Engine {
 public:
  // Starts the workers. Errors: config_invalid (memory too small, backend unknown), no_memory.
  static Result<std::unique_ptr<Engine>> start(const EngineConfig& config);
  ~Engine();  // stops and joins them
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  void post(NetCommand command);
  void post(IoCommand command);
  // False: a worker has so much to do that its commands pile up. Then read no more from peers; what is under way may
  // still be posted, because half of each ring is kept for that.
  bool takes_commands() const;
  std::optional<NetEvent> next_net_event();
  std::optional<IoEvent> next_io_event();
  // Readable when an event may be waiting. Call arm() and look for events once more before sleeping on it.
  int wait_fd() const;
  bool has_events() const;
  void arm();
  void disarm();

  const Layout& layout() const;
  const std::string& packet_backend() const;
  PacketIoLosses losses() const;  // of all net workers, as of up to 100 ms ago
  std::span<const NetBoard> net_boards() const;
  const IoBoard& io_board() const;
  double pool_free_share() const;  // of block buffers
  // The ceiling of this gateway from now on. `contracted` keeps the rate that it was started with.
  void set_rate(Rate rate);
  Rate rate() const;
  LaneHandle new_lane(uint32_t net_worker, size_t flows);
  TransferHandle new_transfer();
  // What one net worker's lane tells about itself; valid as long as the engine. Nothing for an unknown lane.
  std::shared_ptr<const LaneBoard> lane_board(LaneHandle lane) const;

 private:
  struct Parts;
  explicit Engine(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace tideway::engine
