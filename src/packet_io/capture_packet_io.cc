// SPDX-License-Identifier: Apache-2.0
#include "packet_io/capture_packet_io.h"

#include <algorithm>

namespace tideway::packet_io {
namespace {

void keep_payload(CapturedPacket& record, std::span<const std::byte> bytes) {
  record.size = static_cast<uint32_t>(bytes.size());
  std::copy_n(bytes.begin(), std::min(bytes.size(), kCaptureSnap), record.bytes.begin());
}

}  // namespace

Result<Path> CapturePacketIo::open_path(const PathSpec& spec) {
  auto path = inner_->open_path(spec);
  if (path.ok()) paths_[path.value().id.value()] = {path.value().local, spec.remote, spec.dscp};
  return path;
}

void CapturePacketIo::close_path(PathId path) {
  paths_.erase(path.value());
  inner_->close_path(path);
}

CapturedPacket* CapturePacketIo::stage(Staged& staged) {
  ++staged.seen;
  CapturedPacket* const record = ring_->room(staged.kept);
  if (record != nullptr) ++staged.kept;
  return record;
}

// Copies before it sends, because what the backend takes is gone; only what it took counts. A packet that it is offered
// again is copied again. One whose path has gone has no addresses any more, and reaches no wire.
size_t CapturePacketIo::send(std::span<Packet> burst) {
  const Time now = clock_();
  burst = burst.first(std::min(burst.size(), kBurstMax));
  std::array<Staged, kBurstMax + 1> staged{};  // after so many packets
  for (size_t i = 0; i < burst.size(); ++i) {
    const Packet& packet = burst[i];
    staged[i + 1] = staged[i];
    const auto path = paths_.find(packet.path.value());
    if (path == paths_.end() || !path->second.remote.is_set()) continue;
    CapturedPacket* const record = stage(staged[i + 1]);
    if (record == nullptr) continue;
    record->time = now;
    record->direction = PacketDirection::kSent;
    record->dscp = path->second.dscp;
    record->ecn = packet.ecn;
    record->from = path->second.local;
    record->to = path->second.remote;
    keep_payload(*record, packet.bytes);
  }
  const size_t sent = inner_->send(burst);
  ring_->commit(staged[sent].seen, staged[sent].kept);
  return sent;
}

size_t CapturePacketIo::receive(std::span<Packet> out) {
  const size_t received = inner_->receive(out);
  if (received == 0) return 0;
  const Time now = clock_();
  Staged staged;
  for (const Packet& packet : out.first(received)) {
    CapturedPacket* const record = stage(staged);
    if (record == nullptr) continue;
    record->time = now;
    record->direction = PacketDirection::kReceived;
    record->dscp = Dscp::kDefault;
    record->ecn = packet.ecn;
    record->from = packet.from;
    record->to = packet.to;
    keep_payload(*record, packet.bytes);
  }
  ring_->commit(staged.seen, staged.kept);
  return received;
}

}  // namespace tideway::packet_io
