// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/cpu_worker.h"
#include "engine/io_worker.h"
#include "engine/net_worker.h"
#include "engine/packet_ports.h"
#include "engine/poll_pace.h"
#include "packet_io/capture_ring.h"
#include "storage/registry.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <thread>

namespace tideway::engine {
namespace {

constexpr int kTurnsBeforeSleep = 50;                               // idle polls before a worker arms its bell
constexpr Duration kNapMax = std::chrono::seconds(1);
constexpr Duration kCaptureNap = std::chrono::milliseconds(2);      // nobody rings for a captured packet

uint32_t usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<uint32_t>(CPU_COUNT(&set));
}

void name_thread(const std::string& name) {
  prctl(PR_SET_NAME, name.c_str());
  prctl(PR_SET_TIMERSLACK, 1);  // a pacer that wakes 50 µs late sends in bursts
}

}  // namespace

struct Engine::Parts {
  Parts(const Layout& planned, std::unique_ptr<BufferPool> buffers, const PollPace& polled)
      : layout(planned), pool(std::move(buffers)), rings(planned.net_workers, planned.cpu_workers, planned.buffers),
        net_boards(planned.net_workers), pace(polled) {}

  Layout layout;
  std::unique_ptr<BufferPool> pool;  // outlives the rings and workers that hold its buffers
  Rings rings;
  std::vector<NetBoard> net_boards;
  std::string packet_backend;
  std::shared_ptr<Gates> gates;  // outlives the workers that look at it
  std::vector<std::unique_ptr<Doorbell>> bells;
  std::unique_ptr<packet_io::CaptureFile> capture;  // null: none; closed after the workers whose packets it takes
  std::vector<std::unique_ptr<NetWorker>> net;
  std::vector<std::unique_ptr<CpuWorker>> cpu;
  std::unique_ptr<IoWorker> io;
  PollPace pace;  // each net worker starts with a copy
  std::atomic<bool> stopping{false};
  std::vector<std::thread> threads;

  uint32_t lanes = 0, transfers = 0;
  std::map<LaneHandle, std::shared_ptr<LaneBoard>> boards;

  Result<Doorbell*> add_bell();
  Status make_bells();
  void run_net(size_t index);
  void run_cpu(size_t index);
  void run_io(bool with_cpu);
  void run_capture();
};

Result<Doorbell*> Engine::Parts::add_bell() {
  auto bell = Doorbell::create();
  if (!bell.ok()) return std::move(bell).error();
  bells.push_back(std::move(bell).value());
  return bells.back().get();
}

Status Engine::Parts::make_bells() {
  auto add = [&](Doorbell*& place) {
    auto bell = add_bell();
    if (!bell.ok()) return Status(std::move(bell).error());
    place = bell.value();
    return success();
  };
  rings.net_bells.resize(layout.net_workers);
  rings.cpu_bells.resize(layout.cpu_workers);
  for (Doorbell*& bell : rings.net_bells)
    if (Status status = add(bell); !status.ok()) return status;
  if (Status status = add(rings.io_bell); !status.ok()) return status;
  for (Doorbell*& bell : rings.cpu_bells) {
    if (layout.threads == Layout::Threads::kCpuOnIo) bell = rings.io_bell;
    else if (Status status = add(bell); !status.ok()) return status;
  }
  return add(rings.control_bell);
}

// ---- threads -------------------------------------------------------------------------------------------------------

void Engine::Parts::run_net(size_t index) {
  name_thread("tw-net" + std::to_string(index));
  NetWorker& worker = *net[index];
  Doorbell& bell = *rings.net_bells[index];
  const bool is_polled = worker.is_polled();
  PollPace rests = pace;
  while (!stopping.load(std::memory_order_relaxed)) {
    const Time now = read_clock();
    net_boards[index].turned_ns.set(static_cast<uint64_t>(now.time_since_epoch().count()));
    if (worker.poll(now)) rests.on_work();
    const Time next = worker.next_look(now);
    if (next == now) continue;
    const Duration nap_max = is_polled ? rests.on_empty(now) : kNapMax;
    if (nap_max == Duration::zero()) continue;
    bell.arm();
    if (!worker.has_commands() && !stopping.load(std::memory_order_acquire)) {
      const Duration until = next == kNever ? kNapMax : next - read_clock();
      bell.sleep(std::min(std::max(until, NetWorker::kNapMin), nap_max), worker.wait_fds(now));
    }
    bell.disarm();
  }
  worker.stop();
}

void Engine::Parts::run_cpu(size_t index) {
  name_thread("tw-cpu" + std::to_string(index));
  CpuWorker& worker = *cpu[index];
  Doorbell& bell = *rings.cpu_bells[index];
  for (int idle = 0; !stopping.load(std::memory_order_relaxed);) {
    idle = worker.poll() ? 0 : idle + 1;
    if (idle < kTurnsBeforeSleep) continue;
    bell.arm();
    if (worker.is_idle() && !stopping.load(std::memory_order_acquire)) bell.sleep(kNapMax);
    bell.disarm();
  }
}

void Engine::Parts::run_io(bool with_cpu) {
  name_thread(with_cpu ? "tw-store" : "tw-io");
  Doorbell& bell = *rings.io_bell;
  const auto cpu_idle = [&] { return !with_cpu || std::all_of(cpu.begin(), cpu.end(), [](auto& one) { return one->is_idle(); }); };
  while (!stopping.load(std::memory_order_relaxed)) {
    bool worked = io->poll(read_clock());
    if (with_cpu)
      for (auto& one : cpu) worked |= one->poll();
    if (worked) continue;
    bell.arm();
    if (!io->has_commands() && cpu_idle() && !stopping.load(std::memory_order_acquire)) bell.sleep(io->nap());
    bell.disarm();
  }
}

void Engine::Parts::run_capture() {
  name_thread("tw-capture");
  while (!stopping.load(std::memory_order_relaxed))
    if (!capture->write_out()) std::this_thread::sleep_for(kCaptureNap);
}

// ---- start and stop ------------------------------------------------------------------------------------------------

// Small files are held open by the hundred until they are synced; the usual soft limit of 1,024 is for those who use select().
static void raise_open_files_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == limit.rlim_max) return;
  limit.rlim_cur = limit.rlim_max;
  static_cast<void>(setrlimit(RLIMIT_NOFILE, &limit));  // else it stays as it was
}

// For each of so many net workers.
static Bytes packet_memory(const EngineConfig& config, uint32_t workers) {
  const auto backend = packet_io::find_backend(config.packet_backend);
  const bool is_told = backend.ok() && backend.value()->memory != nullptr;
  return std::max(kPacketBuffers, is_told ? backend.value()->memory(config.packets, static_cast<uint16_t>(workers)) : Bytes());
}

Result<std::unique_ptr<Engine>> Engine::start(const EngineConfig& config) {
  raise_open_files_limit();
  LayoutOrder order{config.cores == 0 ? usable_cores() : config.cores, config.memory, config.net_workers};
  if (!config.capture.empty()) order.capture_each = packet_io::CaptureRing::kMemoryDefault;
  order.packets_each = packet_memory(config, order.net_workers == 0 ? net_workers_most(order.cores) : order.net_workers);
  auto layout = plan_layout(order);
  if (!layout.ok()) return layout.error();
  auto ios = make_packet_ios(config.packet_backend, config.packets, layout.value().net_workers);
  if (!ios.ok()) return std::move(ios).error();
  order.net_workers = static_cast<uint32_t>(ios.value().size());  // a port may have fewer queues
  order.packets_each = packet_memory(config, order.net_workers);
  layout = plan_layout(order);
  if (!layout.ok()) return layout.error();
  auto pool = BufferPool::create(layout.value().buffers);
  if (!pool.ok()) return std::move(pool).error();
  const Poll poll = config.packets.dpdk.poll == packet_io::DpdkPoll::kFull ? Poll::kFull : Poll::kAdaptive;
  auto parts = std::make_unique<Parts>(layout.value(), std::move(pool).value(), PollPace(poll, order.cores));
  parts->packet_backend = config.packet_backend;
  parts->gates = config.gates;
  if (Status status = parts->make_bells(); !status.ok()) return std::move(status).error();
  const auto controller = congestion::find_controller(config.congestion, config.rate.is_unlimited() ? Rate() : config.rate);
  if (!controller.ok()) return controller.error();
  if (!config.capture.empty()) {
    auto capture = capture_packets(config.capture, ios.value());
    if (!capture.ok()) return std::move(capture).error();
    parts->capture = std::move(capture).value();
  }
  for (uint32_t i = 0; i < layout.value().net_workers; ++i) {
    const NetWorkerConfig net{i, controller.value(), config.rate, parts->net_boards, layout.value().buffers_receiving / layout.value().net_workers,
                              config.gates.get()};
    parts->net.push_back(std::make_unique<NetWorker>(net, std::move(ios.value()[i]), parts->rings, *parts->pool));
  }
  for (uint32_t i = 0; i < layout.value().cpu_workers; ++i)
    parts->cpu.push_back(std::make_unique<CpuWorker>(parts->rings, i, *parts->pool));
  const auto mode = storage::io_queue_mode_named(config.storage_io);
  if (!mode.ok()) return mode.error();
  auto queue = storage::make_io_queue(mode.value());
  if (!queue.ok()) return std::move(queue).error();
  queue.value()->set_direct(config.storage_direct);
  layout.value().peer_entries_max = config.peer_entries_max;
  parts->io = std::make_unique<IoWorker>(layout.value(), std::move(queue).value(), parts->rings, *parts->pool);
  log::debug("engine_started", "net=" + std::to_string(layout.value().net_workers) + " cpu=" + std::to_string(layout.value().cpu_workers) +
                                   " memory=\"" + layout.value().memory_table + '"');
  return std::unique_ptr<Engine>(new Engine(std::move(parts)));
}

Engine::Engine(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {
  Parts& p = *parts_;
  const bool with_cpu = p.layout.threads == Layout::Threads::kCpuOnIo;
  for (size_t i = 0; i < p.net.size(); ++i) p.threads.emplace_back([&p, i] { p.run_net(i); });
  for (size_t i = 0; !with_cpu && i < p.cpu.size(); ++i) p.threads.emplace_back([&p, i] { p.run_cpu(i); });
  p.threads.emplace_back([&p, with_cpu] { p.run_io(with_cpu); });
  if (p.capture != nullptr) p.threads.emplace_back([&p] { p.run_capture(); });
}

Engine::~Engine() {
  parts_->stopping.store(true, std::memory_order_release);
  for (auto& bell : parts_->bells) bell->ring();
  for (std::thread& thread : parts_->threads) thread.join();
}

// ---- the control thread's side -------------------------------------------------------------------------------------

static uint32_t net_worker_of(const NetCommand& command) {
  return std::visit(
      [](const auto& c) {
        if constexpr (requires { c.net_worker; }) return c.net_worker;
        else return net_worker_of(c.lane);
      },
      command);
}

void Engine::post(NetCommand command) {
  if (auto* open = std::get_if<OpenLane>(&command)) open->board = parts_->boards[open->lane];
  if (auto* close = std::get_if<CloseLane>(&command)) parts_->boards.erase(close->lane);
  const uint32_t worker = net_worker_of(command);
  pass_on(parts_->rings.net_control[worker]->commands, std::move(command), *parts_->rings.net_bells[worker]);
}

void Engine::post(IoCommand command) { pass_on(parts_->rings.io_control.commands, std::move(command), *parts_->rings.io_bell); }

bool Engine::takes_commands() const {
  const auto has_room = [](const auto& control) { return control->commands.room() > kCommandsMax / 2; };
  return parts_->rings.io_control.commands.room() > kCommandsMax / 2 && std::ranges::all_of(parts_->rings.net_control, has_room);
}

std::optional<NetEvent> Engine::next_net_event() {
  for (auto& control : parts_->rings.net_control)
    if (auto event = control->events.pop()) return event;
  return std::nullopt;
}

std::optional<IoEvent> Engine::next_io_event() { return parts_->rings.io_control.events.pop(); }

bool Engine::has_events() const {
  const auto has = [](const auto& control) { return !control->events.is_empty(); };
  return !parts_->rings.io_control.events.is_empty() ||
         std::any_of(parts_->rings.net_control.begin(), parts_->rings.net_control.end(), has);
}

int Engine::wait_fd() const { return parts_->rings.control_bell->fd(); }
void Engine::arm() { parts_->rings.control_bell->arm(); }
void Engine::disarm() { parts_->rings.control_bell->disarm(); }
const Layout& Engine::layout() const { return parts_->layout; }
const std::string& Engine::packet_backend() const { return parts_->packet_backend; }

PacketIoLosses Engine::losses() const {
  PacketIoLosses sum;
  for (const NetBoard& board : parts_->net_boards) {
    sum.received += board.packets_lost_received.get();
    sum.sent += board.packets_lost_sent.get();
  }
  return sum;
}

std::span<const NetBoard> Engine::net_boards() const { return parts_->net_boards; }
const IoBoard& Engine::io_board() const { return parts_->io->board(); }

double Engine::pool_free_share() const { return static_cast<double>(parts_->pool->free()) / static_cast<double>(parts_->pool->size()); }

void Engine::set_rate(Rate rate) {
  for (NetBoard& board : parts_->net_boards) board.ceiling.set(rate.bytes_per_second());
}

Rate Engine::rate() const { return Rate::bytes_per_second(parts_->net_boards.front().ceiling.get()); }

LaneHandle Engine::new_lane(uint32_t net_worker, size_t flows) {
  LaneHandle lane = lane_handle(net_worker, ++parts_->lanes);
  while (parts_->boards.contains(lane)) lane = lane_handle(net_worker, ++parts_->lanes);  // after many millions of lanes
  parts_->boards[lane] = std::make_shared<LaneBoard>(flows);
  return lane;
}

TransferHandle Engine::new_transfer() { return TransferHandle(++parts_->transfers); }

std::shared_ptr<const LaneBoard> Engine::lane_board(LaneHandle lane) const {
  const auto found = parts_->boards.find(lane);
  return found == parts_->boards.end() ? nullptr : found->second;
}

}  // namespace tideway::engine
