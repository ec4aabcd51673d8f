// SPDX-License-Identifier: Apache-2.0
#include "packet_io/sim_packet_io.h"

#include <algorithm>
#include <optional>

namespace tideway::packet_io {
namespace {

constexpr uint16_t kPickedPortFirst = 49'152;  // RFC 6335, section 6: dynamic ports

struct Held {
  SimFrame frame;  // its bytes are those below
  std::vector<std::byte> bytes;
};

// One direction: a ring of packets, whose memory is used again and again.
struct Lane {
  explicit Lane(size_t capacity) : ring(capacity) {}
  std::vector<Held> ring;
  size_t first = 0, count = 0;
};

class QuietEnd final : public SimWire {
 public:
  QuietEnd(std::shared_ptr<Lane> out, std::shared_ptr<Lane> in) : out_(std::move(out)), in_(std::move(in)) {}

  bool offer(const SimFrame& frame) override {
    if (out_->count == out_->ring.size()) return false;
    Held& held = out_->ring[(out_->first + out_->count++) % out_->ring.size()];
    held.bytes.assign(frame.bytes.begin(), frame.bytes.end());
    held.frame = frame;
    held.frame.bytes = held.bytes;
    return true;
  }

  std::optional<SimFrame> take() override {
    if (in_->count == 0) return std::nullopt;
    std::swap(taken_, in_->ring[in_->first]);
    in_->first = (in_->first + 1) % in_->ring.size();
    --in_->count;
    return taken_.frame;
  }

 private:
  std::shared_ptr<Lane> out_, in_;
  Held taken_;  // keeps the bytes that take() handed out
};

}  // namespace

std::pair<std::unique_ptr<SimWire>, std::unique_ptr<SimWire>> quiet_wire(size_t capacity) {
  TIDEWAY_CHECK(capacity > 0);
  auto there = std::make_shared<Lane>(capacity), back = std::make_shared<Lane>(capacity);
  return {std::make_unique<QuietEnd>(there, back), std::make_unique<QuietEnd>(back, there)};
}

SimPacketIo::SimPacketIo(const SimConfig& config, SimWire& wire)
    : config_(config), wire_(wire),
      memory_(std::make_unique_for_overwrite<std::byte[]>(config.rooms * config.payload_max.count())) {
  free_.reserve(config.rooms);
  for (uint32_t room = config.rooms; room > 0; --room) free_.push_back(room - 1);
}

PacketIoLimits SimPacketIo::limits() const {
  return {.burst_max = kBurstMax, .payload_max = config_.payload_max, .wait_fd = -1, .delivery = Delivery::kDatagram};
}

Result<Path> SimPacketIo::open_path(const PathSpec& spec) {
  owner_.check();
  if (spec.local.address != config_.address.address)
    return Error{Fault::kConfigInvalid, to_string(spec.local) + " is not the address of this simulated port",
                 "open paths from " + to_string(config_.address)};
  PathRow row{.id = PathId(++path_last_), .local = spec.local, .remote = spec.remote};
  if (row.local.port == 0) row.local.port = pick_port();
  paths_.push_back(row);
  return Path{.id = row.id, .local = row.local, .mtu = config_.payload_max + ip_and_udp_headers(row.local.is_ipv4())};
}

uint16_t SimPacketIo::pick_port() {
  Endpoint local = config_.address;
  do {
    port_last_ = std::max(static_cast<uint16_t>(port_last_ + 1), kPickedPortFirst);
    local.port = port_last_;
  } while (is_open(local));
  return local.port;
}

void SimPacketIo::close_path(PathId path) {
  owner_.check();
  const auto closed = std::erase_if(paths_, [path](const PathRow& row) { return row.id == path; });
  TIDEWAY_CHECK(closed == 1);
}

const SimPacketIo::PathRow* SimPacketIo::find(PathId path) const {
  const auto row = std::find_if(paths_.begin(), paths_.end(), [path](const PathRow& one) { return one.id == path; });
  return row == paths_.end() ? nullptr : &*row;
}

bool SimPacketIo::is_open(const Endpoint& local) const {
  return std::any_of(paths_.begin(), paths_.end(), [&](const PathRow& row) { return row.local == local; });
}

Packet SimPacketIo::take_room(size_t size) {
  const uint32_t room = free_.back();
  free_.pop_back();
  Packet packet(this, room);
  packet.bytes = {memory_.get() + room * config_.payload_max.count(), size};
  return packet;
}

size_t SimPacketIo::allocate(PathId path, Bytes payload, std::span<Packet> out) {
  owner_.check();
  TIDEWAY_CHECK(payload.count() > 0 && payload <= config_.payload_max);
  TIDEWAY_CHECK(find(path) != nullptr);
  const size_t count = std::min(out.size(), free_.size());
  for (Packet& packet : out.first(count)) {
    packet = take_room(payload.count());
    packet.path = path;
    packet.ecn = Ecn::kEct0;
  }
  return count;
}

size_t SimPacketIo::send(std::span<Packet> burst) {
  owner_.check();
  size_t done = 0;
  for (Packet& packet : burst.first(std::min(burst.size(), kBurstMax))) {
    const PathRow* path = find(packet.path);
    if (path == nullptr || !path->remote.is_set()) {
      ++stats_.lost_path_closed;
    } else if (wire_.offer({.from = path->local, .to = path->remote, .ecn = packet.ecn, .bytes = packet.bytes})) {
      ++stats_.packets_sent;
    } else {
      ++stats_.send_full;
      break;
    }
    free_.push_back(static_cast<uint32_t>(token_of(packet)));  // the wire has its own copy
    disown(packet);
    ++done;
  }
  return done;
}

size_t SimPacketIo::receive(std::span<Packet> out) {
  owner_.check();
  out = out.first(std::min(out.size(), kBurstMax));
  size_t done = 0;
  while (done < out.size()) {
    const auto frame = wire_.take();
    if (!frame) break;
    if (!is_open(frame->to)) {
      ++stats_.dropped_not_ours;
    } else if (frame->bytes.size() > config_.payload_max.count()) {
      ++stats_.dropped_too_big;
    } else if (free_.empty()) {
      ++stats_.dropped_no_room;
    } else {
      Packet& packet = out[done++];
      packet = take_room(frame->bytes.size());
      std::copy(frame->bytes.begin(), frame->bytes.end(), packet.bytes.begin());
      packet.from = frame->from;
      packet.to = frame->to;
      packet.ecn = frame->ecn;
      ++stats_.packets_received;
    }
  }
  return done;
}

void SimPacketIo::release(Packet& packet) {
  owner_.check();
  free_.push_back(static_cast<uint32_t>(token_of(packet)));
}

}  // namespace tideway::packet_io
