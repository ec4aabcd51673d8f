// SPDX-License-Identifier: Apache-2.0
#include "sim/sim_copy.h"

#include "storage/blocking_queue.h"

#include <algorithm>

namespace tideway::test {
namespace {

namespace fs = std::filesystem;
using namespace engine;

constexpr TransferId kId{std::byte{7}};
constexpr uint32_t kBuffers = 8, kSending = 4;
constexpr size_t kCredit = 4;
constexpr SlotId kCopySlot{1};
const LaneHandle kCopyLane = lane_handle(0, 1);

std::shared_ptr<storage::RootedDir> open_root(const fs::path& path, storage::Side side) {
  // Lookups by single steps are calls of the C library, which a simulated disk sees.
  return std::make_shared<storage::RootedDir>(storage::RootedDir::open_host_path(path.string(), side, storage::Lookup::kWalk).value());
}

// A cpu worker remembers how well a transfer's blocks shrank, so that no two may have the same number.
TransferHandle next_handle() {
  static uint32_t last = 0;
  return TransferHandle(++last);
}

}  // namespace

SimCopy::SimCopy(const SimCopyConfig& config)
    : config_(config), handle_(next_handle()), random_(config.seed), credit_(kCredit) {
  make_side(source_);
  make_side(sink_);
  start();
}

SimCopy::~SimCopy() { end(); }

std::vector<SimCopy::Base>& SimCopy::spare() {
  static std::vector<Base> bases;
  return bases;
}

SimCopy::Base SimCopy::make_base() {
  Base base{BufferPool::create(kBuffers).value(), Doorbell::create().value(), std::make_unique<Rings>(1, 1, kBuffers), {}};
  base.rings->io_bell = base.rings->control_bell = base.bell.get();
  base.rings->net_bells = base.rings->cpu_bells = {base.bell.get()};
  base.cpu = std::make_unique<CpuWorker>(*base.rings, 0, *base.pool);
  return base;
}

void SimCopy::empty(Rings& rings) {
  const auto drain = [](auto& ring) { while (ring.pop()) {} };
  drain(rings.io_control.commands);
  drain(rings.io_control.events);
  drain(rings.net_cpu[0][0]->received);
  drain(rings.net_cpu[0][0]->to_send);
  drain(rings.io_cpu[0]->to_pack);
  drain(rings.io_cpu[0]->packed);
  drain(rings.io_cpu[0]->unpacked);
  drain(rings.io_net[0]->freed);
  drain(rings.io_net[0]->notices);
}

void SimCopy::make_side(Side& side) {
  if (spare().empty()) spare().push_back(make_base());
  static_cast<Base&>(side) = std::move(spare().back());
  spare().pop_back();
  Layout layout;
  layout.buffers = kBuffers;
  layout.buffers_sending = kSending;
  layout.buffers_receiving = kCredit;
  auto queue = config_.queue ? config_.queue() : std::make_unique<storage::BlockingQueue>();
  side.io = std::make_unique<IoWorker>(layout, std::move(queue), *side.rings, *side.pool);
  side.board = std::make_shared<TransferBoard>();
}

void SimCopy::start() {
  StartSource source;
  source.transfer = handle_;
  source.id = kId;
  source.board = source_.board;
  source.scan.sources = {{open_root(config_.source, storage::Side::kSource), config_.source_name.empty() ? ObjectName() : storage::single_name(config_.source_name), ""}};
  source.options = config_.options;
  tell(source_, std::move(source));
  StartSink sink;
  sink.transfer = handle_;
  sink.id = sink.staging = kId;
  sink.board = sink_.board;
  sink.root = open_root(config_.root, storage::Side::kDestination);
  sink.destination = config_.destination.empty() ? ObjectName() : ObjectName::from_text(config_.destination).value();
  sink.options = config_.options;
  sink.base = config_.base;
  sink.repair = config_.repair;
  sink.lease_epoch = config_.lease_epoch;
  sink.boot = config_.boot;
  tell(sink_, std::move(sink));
}

const SimCopy::Outcome& SimCopy::run(const std::function<bool()>& goes_on, int turns_max) {
  for (; turns_max > 0 && !outcome_ && goes_on(); --turns_max) turn();
  if (!goes_on()) outcome_.reset();  // whatever it said in its last turn nobody heard
  return outcome_;
}

void SimCopy::end() {
  flying_.clear();
  // As a session does: what was published leaves nothing, and of what proved to be wrong nothing is kept.
  const bool is_published = outcome_ && outcome_->ok();
  const bool is_wrong = outcome_ && !outcome_->ok() && outcome_->error().fault == Fault::kHashMismatch;
  for (Side* side : {&source_, &sink_}) {
    if (side->io == nullptr) continue;
    empty(*side->rings);
    tell(*side, EndTransfer{handle_, is_published || is_wrong ? Leftovers::kRemoved : Leftovers::kKept});
    side->io->poll(now_);
    side->io.reset();
    empty(*side->rings);
    TIDEWAY_CHECK(side->pool->free() == side->pool->size());
    spare().push_back(std::move(*side));
  }
}

void SimCopy::turn() {
  now_ += config_.turn;
  turns_ += 1;
  for (Side* side : {&source_, &sink_}) {
    side->io->poll(now_);
    while (side->cpu->poll()) {}
    take_events(*side);
  }
  carry_blocks();
}

void SimCopy::take_events(Side& from) {
  Side& to = &from == &source_ ? sink_ : source_;
  while (auto event = from.rings->io_control.events.pop()) {
    if (auto* message = std::get_if<ToPeer>(&*event)) {
      tell(from, MessageTaken{handle_});
      const bool is_heard = &from == &sink_ || turns_ < config_.silent_from;
      if (is_heard) tell(to, FromPeer{handle_, std::move(message->message)});
    } else if (const auto* ready = std::get_if<SinkReady>(&*event)) {
      tell(source_, SourceAccepted{handle_, kCopySlot, {kCopyLane}, ready->needed});
    } else if (auto* report = std::get_if<EntryReported>(&*event)) {
      reported_.push_back(std::move(report->why));
    } else if (auto* done = std::get_if<TransferDone>(&*event)) {
      outcome_.emplace(std::move(done->outcome));
    }
  }
}

// Exactly once each, as lanes do, in any order.
void SimCopy::carry_blocks() {
  while (auto sent = source_.rings->net_cpu[0][0]->to_send.pop())
    flying_.push_back({turns_ + random_.below(config_.late_max + 1), std::move(sent->block)});
  while (const auto freed = sink_.rings->io_net[0]->freed.pop()) credit_ += 1;
  std::ranges::stable_sort(flying_, {}, &Flying::due);
  while (!flying_.empty() && flying_.front().due <= turns_ && credit_ > 0) {
    Buffer room = sink_.pool->take();
    if (room.is_empty()) return;
    PackedBlock& block = flying_.front().block;
    PackedBlock arrived{block.key, block.head_units, block.length, std::move(room)};
    std::ranges::copy(block.bytes(), arrived.bytes().begin());
    if (random_.fraction() < config_.damaged)
      arrived.bytes()[random_.below(arrived.length)] ^= std::byte{static_cast<uint8_t>(1U << random_.below(8))};
    const BlockId id = block.key.block;
    flying_.pop_front();
    notice(id, BlockNotice::Kind::kStarted);
    notice(id, BlockNotice::Kind::kAcked);
    credit_ -= 1;
    const auto hashes = config_.options.verify == messages::VerifyLevel::kWire ? block::LeafHashes::kTrusted : block::LeafHashes::kCompared;
    TIDEWAY_CHECK(sink_.rings->net_cpu[0][0]->received.push(BlockReceived{kCopyLane, handle_, std::move(arrived), hashes}));
  }
}

void SimCopy::notice(BlockId block, BlockNotice::Kind kind) {
  TIDEWAY_CHECK(source_.rings->io_net[0]->notices.push(BlockNotice{kCopyLane, handle_, block, kind}));
}

}  // namespace tideway::test
