// SPDX-License-Identifier: Apache-2.0
#include "flow/packet_builder.h"

#include <algorithm>

namespace tideway::flow {

void PacketBuilder::begin(const Burst& burst) {
  burst_ = burst;
  burst_.rooms = burst.rooms.first(std::min(burst.rooms.size(), kBurstMax));
  count_ = arena_used_ = 0;
  last_data_flags_ = nullptr;
}

Writer PacketBuilder::frames(size_t packet_size) {
  const size_t room = has_room() ? std::min(packet_size, next_size()) : 0;
  const size_t plain = room > wire::kPacketOverhead ? room - wire::kPacketOverhead : 0;
  return Writer(std::span(arena_).subspan(arena_used_, std::min(plain, arena_.size() - arena_used_)));
}

size_t PacketBuilder::add_frames(wire::PacketType type, const Writer& frames) {
  const auto plain = std::span<const std::byte>(arena_).subspan(arena_used_, frames.used());
  arena_used_ += frames.used();
  wire::PacketHeader header;
  header.type = type;
  return add(header, plain);
}

size_t PacketBuilder::add_data(const SendRange& data, uint8_t flags) {
  flags = static_cast<uint8_t>(flags | (data.is_last_in_block ? wire::kLastInBlock : 0) | (data.is_resent ? wire::kResent : 0));
  last_data_flags_ = &burst_.rooms[count_].bytes[wire::kFlagsAt];
  wire::PacketHeader header;
  header.type = wire::PacketType::kData;
  header.data = {.slot = data.range.key.slot, .flags = flags, .head_units = data.head_units,
                 .block = data.range.key.block, .offset = data.range.offset};
  return add(header, data.bytes);
}

void PacketBuilder::add_flags_to_last_data(uint8_t flags) {
  if (last_data_flags_ != nullptr) *last_data_flags_ |= static_cast<std::byte>(flags);
}

size_t PacketBuilder::add(wire::PacketHeader header, std::span<const std::byte> plain) {
  Packet& room = burst_.rooms[count_];
  header.key_epoch_low = static_cast<uint8_t>(burst_.epoch.value());
  header.flow = flow_;
  header.destination = destination_;
  header.packet_number = burst_.first_number + count_;
  const size_t size = header.size() + plain.size() + kAeadTagSize;
  room.bytes = room.bytes.first(size);
  room.ecn = burst_.ecn;
  wire::write_header(header, room.bytes);
  jobs_[count_++] = {.packet_number = header.packet_number,
                     .header = room.bytes.first(header.size()),
                     .plain = plain,
                     .out = room.bytes.subspan(header.size())};
  return size;
}

}  // namespace tideway::flow
