// SPDX-License-Identifier: Apache-2.0
#include "packet_io/stream_packet_io.h"

#include <sys/epoll.h>

#include <algorithm>
#include <cstring>

namespace tideway::packet_io {
namespace {

constexpr size_t kLength = 2;                // bytes in front of each packet, the more significant one first
constexpr size_t kReceiveRooms = kBurstMax;
constexpr size_t kRoom = StreamPacketIo::kPayloadMax.count();
constexpr size_t kArrivedMax = 64 << 10;     // at least one packet and its length
static_assert(kArrivedMax >= kRoom + kLength);

size_t read_length(const std::byte* at) { return static_cast<size_t>(at[0]) << 8 | static_cast<size_t>(at[1]); }

}  // namespace

StreamPacketIo::StreamPacketIo() {
  for (uint32_t room = kRooms; room > 0; --room) free_send_.push_back(room - 1);
  for (uint32_t room = kReceiveRooms; room > 0; --room) free_receive_.push_back(static_cast<uint32_t>(kRooms) + room - 1);
}

StreamPacketIo::~StreamPacketIo() {
  TIDEWAY_DCHECK(free_send_.size() == kRooms && free_receive_.size() == kReceiveRooms);
}

PacketIoLimits StreamPacketIo::limits() const {
  return {.burst_max = kBurstMax, .payload_max = kPayloadMax, .wait_fd = epoll_.get(), .delivery = Delivery::kStream};
}

// ---- paths ---------------------------------------------------------------------------------------------------------

Result<Path> StreamPacketIo::open_path(const PathSpec& spec) {
  owner_.check();
  if (memory_ == nullptr) memory_ = std::make_unique_for_overwrite<std::byte[]>((kRooms + kReceiveRooms) * kRoom);
  Row& row = rows_.emplace_back();
  row.id = PathId(++path_last_);
  row.local = spec.local;
  row.remote = spec.remote;
  return Path{.id = row.id, .local = row.local, .mtu = kPayloadMax + ip_and_udp_headers(row.local.is_ipv4())};
}

void StreamPacketIo::close_path(PathId path) {
  owner_.check();
  if (Row* row = find(path); row != nullptr && row->stream != nullptr) flush(*row);
  const auto closed = std::erase_if(rows_, [path](const Row& row) { return row.id == path; });  // closing a socket ends its watch
  TIDEWAY_CHECK(closed == 1);
  next_row_ = 0;
}

bool StreamPacketIo::attach(PathId path, std::unique_ptr<ByteStream> stream) {
  owner_.check();
  Row* row = find(path);
  if (row == nullptr || row->stream != nullptr || row->is_broken) return false;
  row->stream = std::move(stream);
  row->staged.reserve(kStagedMax);
  row->arrived.resize(kArrivedMax);
  if (!epoll_.is_open()) epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  if (!watch_socket(*row, EPOLL_CTL_ADD, EPOLLIN)) break_off(*row);  // out of descriptors, or of memory
  return true;
}

bool StreamPacketIo::watch_socket(const Row& row, int operation, uint32_t events) {
  epoll_event event{.events = events, .data = {.fd = row.stream->fd()}};
  return ::epoll_ctl(epoll_.get(), operation, row.stream->fd(), &event) == 0;
}

StreamPacketIo::Row* StreamPacketIo::find(PathId path) {
  const auto row = std::ranges::find(rows_, path, &Row::id);
  return row == rows_.end() ? nullptr : &*row;
}
const StreamPacketIo::Row* StreamPacketIo::find(PathId path) const {
  const auto row = std::ranges::find(rows_, path, &Row::id);
  return row == rows_.end() ? nullptr : &*row;
}

bool StreamPacketIo::is_broken(PathId path) const {
  const Row* row = find(path);
  return row == nullptr || row->is_broken;
}

void StreamPacketIo::break_off(Row& row) {
  row.is_broken = true;
  row.stream.reset();
  row.staged.clear();
  row.written = row.arrived_from = row.arrived_to = 0;
}

// ---- rooms ---------------------------------------------------------------------------------------------------------

Packet StreamPacketIo::room(uint32_t number, size_t size) {
  Packet packet;
  lend(packet, number);
  packet.bytes = {memory_.get() + number * kRoom, size};
  return packet;
}

size_t StreamPacketIo::allocate(PathId path, Bytes payload, std::span<Packet> out) {
  owner_.check();
  TIDEWAY_CHECK(payload.count() > 0 && payload <= kPayloadMax);
  const size_t count = std::min(out.size(), free_send_.size());
  for (Packet& packet : out.first(count)) {
    packet = room(free_send_.back(), payload.count());
    free_send_.pop_back();
    packet.path = path;
  }
  return count;
}

void StreamPacketIo::release(Packet& packet) {
  owner_.check();
  const auto number = static_cast<uint32_t>(token_of(packet));
  (number < kRooms ? free_send_ : free_receive_).push_back(number);
}

// ---- out -----------------------------------------------------------------------------------------------------------

size_t StreamPacketIo::send(std::span<Packet> burst) {
  owner_.check();
  Row* last = nullptr;
  size_t done = 0;
  for (Packet& packet : burst.first(std::min(burst.size(), kBurstMax))) {
    Row* row = find(packet.path);
    if (last != nullptr && row != last) flush(*last);
    last = row != nullptr && row->stream != nullptr ? row : nullptr;
    if (row != nullptr && !row->is_broken && (row->stream == nullptr || !stage(*row, packet.bytes))) break;
    packet.reset();  // its bytes are staged, or lost with its path
    ++done;
  }
  if (last != nullptr) flush(*last);
  return done;
}

bool StreamPacketIo::stage(Row& row, std::span<const std::byte> packet) {
  const auto has_room = [&] { return row.staged.size() + kLength + packet.size() <= kStagedMax; };
  if (!has_room()) flush(row);
  if (row.is_broken) return true;
  row.has_refused = !has_room();
  if (row.has_refused) return false;
  row.staged.push_back(static_cast<std::byte>(packet.size() >> 8));
  row.staged.push_back(static_cast<std::byte>(packet.size() & 0xFF));
  row.staged.insert(row.staged.end(), packet.begin(), packet.end());
  return true;
}

void StreamPacketIo::flush(Row& row) {
  if (row.is_broken || row.stream == nullptr) return;
  // Bytes stay staged only while the socket is full, so that its having room again is what wakes us.
  row.stream->flush();
  while (!row.stream->has_output() && row.written < row.staged.size()) {
    const size_t taken = row.stream->write(std::span(row.staged).subspan(row.written));
    if (taken == 0) break;
    row.written += taken;
    row.stream->flush();
  }
  if (row.stream->is_broken()) return break_off(row);
  row.staged.erase(row.staged.begin(), row.staged.begin() + static_cast<ptrdiff_t>(row.written));
  row.written = 0;
  watch(row);
}

// A socket that takes no more wakes its worker when it does; one that takes all would wake it all the time. A packet that was
// refused waits with its flow, and nothing else would wake that, even if all that stood before it has left by now.
void StreamPacketIo::watch(Row& row) {
  const bool waits = row.stream->has_output() || row.has_refused;
  if (waits == row.waits_for_room) return;
  row.waits_for_room = waits;
  if (!watch_socket(row, EPOLL_CTL_MOD, static_cast<uint32_t>(waits ? EPOLLIN | EPOLLOUT : EPOLLIN))) break_off(row);
}

// ---- in ------------------------------------------------------------------------------------------------------------

size_t StreamPacketIo::receive(std::span<Packet> out) {
  owner_.check();
  size_t done = 0;
  out = out.first(std::min(out.size(), kBurstMax));
  for (size_t i = 0; i < rows_.size() && done < out.size(); ++i) {
    Row& row = rows_[(next_row_ + i) % rows_.size()];
    if (row.stream == nullptr) continue;
    if (row.waits_for_room) flush(row);
    for (bool moves = true; moves && done < out.size();) {
      if (take(row, out[done])) ++done;
      else moves = fill(row);
    }
  }
  if (!rows_.empty()) next_row_ = (next_row_ + 1) % rows_.size();
  return done;
}

// The next packet that has arrived whole. False: the rest of it is not here yet, or no room is free.
bool StreamPacketIo::take(Row& row, Packet& out) {
  const size_t held = row.arrived_to - row.arrived_from;
  if (held < kLength || free_receive_.empty()) return false;
  const std::byte* at = row.arrived.data() + row.arrived_from;
  const size_t size = read_length(at);
  if (size == 0 || size > kRoom) {
    break_off(row);
    return false;
  }
  if (held < kLength + size) return false;
  out = room(free_receive_.back(), size);
  free_receive_.pop_back();
  std::memcpy(out.bytes.data(), at + kLength, size);
  out.from = row.remote;
  out.to = row.local;
  row.arrived_from += kLength + size;
  return true;
}

// More bytes of the stream. False: none came.
bool StreamPacketIo::fill(Row& row) {
  if (row.is_broken || free_receive_.empty()) return false;
  std::memmove(row.arrived.data(), row.arrived.data() + row.arrived_from, row.arrived_to - row.arrived_from);
  row.arrived_to -= row.arrived_from;
  row.arrived_from = 0;
  const size_t got = row.stream->read(std::span(row.arrived).subspan(row.arrived_to));
  row.arrived_to += got;
  if (got == 0 && row.stream->is_broken()) break_off(row);
  return got > 0;
}

}  // namespace tideway::packet_io
