// SPDX-License-Identifier: Apache-2.0
#include "packet_io/udp_packet_io.h"

#include "base/log.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace tideway::packet_io {
namespace {

constexpr uint32_t kLeftoverMark = UINT32_MAX;  // in epoll's data, where sockets have their index

// A packet's token: which buffer, and of which kind.
constexpr uint64_t kReceivedBit = uint64_t{1} << 32;
uint32_t buffer_of(uint64_t token) { return static_cast<uint32_t>(token); }
bool is_received(uint64_t token) { return (token & kReceivedBit) != 0; }

bool watch(int epoll_fd, int fd, uint32_t mark) {
  epoll_event event{.events = EPOLLIN, .data = {.u32 = mark}};
  return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

Error out_of_descriptors(const char* step, int cause) {
  return {Fault::kOverloaded, std::string("UDP backend: ") + step + " failed: " + std::strerror(cause),
          "raise the limit of open files (LimitNOFILE, ulimit -n)"};
}

}  // namespace

Result<std::unique_ptr<UdpPacketIo>> UdpPacketIo::create(const UdpConfig& config) {
  if (config.send_buffers == 0 || config.receive_buffers == 0 || config.payload_max.count() == 0 ||
      config.payload_max.count() > kRunBytesMax)
    return Error{Fault::kConfigInvalid, "UDP backend: it needs buffers, and a payload of 1 to 65507 bytes",
                 "leave the buffer counts and the MTU of [data_plane] at their defaults"};
  Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.is_open()) return out_of_descriptors("epoll_create1", errno);
  Descriptor leftover(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!leftover.is_open() || !watch(epoll.get(), leftover.get(), kLeftoverMark)) return out_of_descriptors("eventfd", errno);
  return std::unique_ptr<UdpPacketIo>(new UdpPacketIo(config, std::move(epoll), std::move(leftover)));
}

UdpPacketIo::UdpPacketIo(const UdpConfig& config, Descriptor epoll, Descriptor leftover)
    : config_(config), epoll_(std::move(epoll)), leftover_(std::move(leftover)), rooms_(config.send_buffers), sender_(stats_),
      intake_(config.receive_buffers, stats_) {}

UdpPacketIo::~UdpPacketIo() {
  while (!intake_.is_empty()) intake_.release(intake_.take_next().buffer);
  TIDEWAY_DCHECK(receive_buffers_free() == intake_.buffers().size() && send_buffers_free() == rooms_.size());
  std::string drops;
  log::add_count(drops, "dropped_cut_short", stats_.receive_dropped);
  log::add_count(drops, "dropped_by_kernel", overflows_closed_ + receive_overflows());
  if (!drops.empty()) log::info("net_drops", "backend=udp" + drops);
}

PacketIoLimits UdpPacketIo::limits() const {
  return {.burst_max = kBurstMax, .payload_max = config_.payload_max, .wait_fd = epoll_.get(),
          .delivery = Delivery::kDatagram};
}

PacketIoLosses UdpPacketIo::losses() const {
  return {.received = overflows_closed_ + receive_overflows() + stats_.receive_dropped,
          .sent = stats_.lost_unreachable + stats_.lost_refused + stats_.lost_denied + stats_.lost_other};
}

// ---- paths ----------------------------------------------------------------------------------------------------------

Result<Path> UdpPacketIo::open_path(const PathSpec& spec) {
  owner_.check();
  if (spec.remote.is_set() && spec.remote.is_ipv4() != spec.local.is_ipv4())
    return Error{Fault::kConfigInvalid,
                 "no path from " + to_string(spec.local) + " to " + to_string(spec.remote) +
                     ": IPv4 and IPv6 do not mix",
                 "set address in [data_plane] to an address of the peer's family"};
  auto row = std::find_if(paths_.begin(), paths_.end(), [](const PathRow& path) { return !path.is_open; });
  if (row == paths_.end() && paths_.size() == kPathsMax)
    return Error{Fault::kOverloaded, "all " + std::to_string(kPathsMax) + " paths of a net worker are in use",
                 "lower flows in [data_plane], or let fewer peers connect"};
  const auto socket = socket_for(spec.local);
  if (!socket.ok()) return socket.error();
  if (row == paths_.end()) row = paths_.insert(row, PathRow{});
  ++sockets_[socket.value()]->paths;
  // Counts the lives of this place, so that an old id finds nothing. Never zero: PathId() names no path.
  row->generation = static_cast<uint16_t>(row->generation == UINT16_MAX ? 1 : row->generation + 1);
  row->is_open = true;
  row->socket = socket.value();
  row->route = {.remote = {}, .dscp = spec.dscp};
  if (spec.remote.is_set()) row->route.remote = to_socket_address(spec.remote);
  const auto place = static_cast<uint32_t>(row - paths_.begin());
  const UdpSocket& used = sockets_[row->socket]->socket;
  const Bytes own_max = config_.payload_max + ip_and_udp_headers(used.local().is_ipv4());
  const Bytes of_interface = used.notes().interface_mtu;  // zero: unknown
  return Path{.id = PathId(uint32_t{row->generation} << 16 | place), .local = used.local(),
              .mtu = of_interface == Bytes() ? own_max : std::min(own_max, of_interface)};
}

// The socket bound to `local`, opened if there is none; a port of zero always means a new one.
Result<uint32_t> UdpPacketIo::socket_for(const Endpoint& local) {
  for (uint32_t i = 0; local.port != 0 && i < sockets_.size(); ++i)
    if (sockets_[i] != nullptr && sockets_[i]->socket.local() == local) return i;
  auto opened = UdpSocket::open(local, config_);
  if (!opened.ok()) return std::move(opened).error();
  const auto free = std::find(sockets_.begin(), sockets_.end(), nullptr);
  const auto index = static_cast<uint32_t>(free - sockets_.begin());
  if (!watch(epoll_.get(), opened.value().fd(), index)) return out_of_descriptors("epoll_ctl", errno);
  const Gso gso = opened.value().notes().gso;
  auto row = std::make_unique<SocketRow>(SocketRow{std::move(opened).value(), 0, gso});
  if (free == sockets_.end())
    sockets_.push_back(std::move(row));
  else
    sockets_[index] = std::move(row);
  return index;
}

void UdpPacketIo::close_path(PathId path) {
  owner_.check();
  TIDEWAY_CHECK(find(path) != nullptr);
  PathRow& row = paths_[path.value() & 0xFFFF];
  row.is_open = false;
  auto& socket = sockets_[row.socket];
  if (--socket->paths > 0) return;
  overflows_closed_ += socket->socket.receive_overflows();
  socket.reset();  // closing leaves the epoll set, too
}

const UdpPacketIo::PathRow* UdpPacketIo::find(PathId path) const {
  const size_t place = path.value() & 0xFFFF;
  if (place >= paths_.size()) return nullptr;
  const PathRow& row = paths_[place];
  return row.is_open && row.generation == path.value() >> 16 ? &row : nullptr;
}

UdpNotes UdpPacketIo::notes() const {
  UdpNotes least;
  bool is_first = true;
  for (const auto& row : sockets_) {
    if (row == nullptr) continue;
    const UdpNotes& notes = row->socket.notes();
    if (std::exchange(is_first, false)) least = notes;
    least.send_granted = std::min(least.send_granted, notes.send_granted);
    least.receive_granted = std::min(least.receive_granted, notes.receive_granted);
    least.interface_mtu = std::min(least.interface_mtu, notes.interface_mtu);
    if (row->gso == Gso::kOff) least.gso = Gso::kOff;
    if (notes.gro == Gro::kOff) least.gro = Gro::kOff;
  }
  return least;
}

uint64_t UdpPacketIo::receive_overflows() const {
  uint64_t dropped = 0;
  for (const auto& row : sockets_)
    if (row != nullptr) dropped += row->socket.receive_overflows();
  return dropped;
}

// ---- out ------------------------------------------------------------------------------------------------------------

size_t UdpPacketIo::allocate(PathId path, Bytes payload, std::span<Packet> out) {
  owner_.check();
  const size_t size = payload.count();
  TIDEWAY_CHECK(size > 0 && payload <= config_.payload_max);
  TIDEWAY_CHECK(find(path) != nullptr);
  // All rooms of the buffer are home again: cut from its front, which is still in the cache.
  if (room_buffer_ && rooms_.holders(*room_buffer_) == 1) room_cursor_ = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    if (!room_buffer_ || room_cursor_ + size > kSliceBufferSize) {
      if (room_buffer_) rooms_.drop(*room_buffer_);
      room_buffer_ = rooms_.take();
      room_cursor_ = 0;
      if (!room_buffer_) {
        ++stats_.send_dry;
        return i;
      }
    }
    rooms_.hold(*room_buffer_);
    lend(out[i], *room_buffer_);
    out[i].bytes = rooms_.memory(*room_buffer_).subspan(room_cursor_, size);
    out[i].path = path;
    out[i].ecn = Ecn::kEct0;
    room_cursor_ += size;
  }
  return out.size();
}

size_t UdpPacketIo::send_buffers_free() const {
  const bool is_kept_only = room_buffer_ && rooms_.holders(*room_buffer_) == 1;
  return rooms_.free() + (is_kept_only ? 1 : 0);
}

// The packets at the front of `burst` that share a socket, their routes in routes_. No socket: the first one's path
// has gone, or cannot send.
UdpPacketIo::Group UdpPacketIo::next_group(std::span<const Packet> burst) {
  Group group{nullptr, 0};
  for (const Packet& packet : burst) {
    const PathRow* path = find(packet.path);
    if (path == nullptr || path->route.remote.length == 0) break;
    SocketRow* row = sockets_[path->socket].get();
    if (group.row != nullptr && row != group.row) break;
    group.row = row;
    routes_[group.packets++] = &path->route;
  }
  return group;
}

size_t UdpPacketIo::send(std::span<Packet> burst) {
  owner_.check();
  burst = burst.first(std::min(burst.size(), kBurstMax));
  size_t done = 0;
  while (done < burst.size()) {
    const auto [row, packets] = next_group(burst.subspan(done));
    SendProgress progress{.packets = 1};
    if (row == nullptr) {
      ++stats_.lost_path_closed;
    } else {
      const int fd = row->socket.fd();
      progress = sender_.send(fd, row->gso, burst.subspan(done, packets), std::span(routes_).first(packets));
      if (progress.is_gso_refused) {
        row->gso = Gso::kOff;
        ++stats_.gso_refused;
      }
    }
    for (Packet& packet : burst.subspan(done, progress.packets)) {
      TIDEWAY_DCHECK(!is_received(token_of(packet)));
      rooms_.drop(buffer_of(token_of(packet)));
      disown(packet);
    }
    done += progress.packets;
    if (progress.is_full) break;
  }
  return done;
}

void UdpPacketIo::release(Packet& packet) {
  owner_.check();
  const uint64_t token = token_of(packet);
  if (is_received(token))
    intake_.release(buffer_of(token));
  else
    rooms_.drop(buffer_of(token));
}

// ---- in -------------------------------------------------------------------------------------------------------------

size_t UdpPacketIo::receive(std::span<Packet> out) {
  owner_.check();
  out = out.first(std::min(out.size(), kBurstMax));
  size_t done = hand_out(out);
  // One question to epoll per call at most, so that a socket with nothing but an error cannot hold us here.
  bool may_poll = true;
  while (done < out.size()) {
    if (ready_next_ == ready_count_ && !(std::exchange(may_poll, false) && poll_ready())) break;
    const uint32_t index = ready_[ready_next_++];
    if (sockets_[index] == nullptr) continue;  // closed since epoll named it
    const UdpSocket& socket = sockets_[index]->socket;
    size_t handed = 0;
    bool may_have_more = true;
    do {
      may_have_more = intake_.read(socket.fd(), socket.local(), out.size() - done);
      handed = hand_out(out.subspan(done));
      done += handed;
    } while (may_have_more && handed > 0 && done < out.size());
  }
  signal_leftover();
  return done;
}

// Fills ready_; false when no socket has anything.
bool UdpPacketIo::poll_ready() {
  ready_next_ = ready_count_ = 0;
  std::array<epoll_event, kBurstMax> events;
  const int count = epoll_wait(epoll_.get(), events.data(), static_cast<int>(events.size()), 0);
  for (int i = 0; i < count; ++i) {
    const uint32_t mark = events[static_cast<size_t>(i)].data.u32;
    if (mark != kLeftoverMark) ready_[ready_count_++] = mark;
  }
  return ready_count_ > 0;
}

size_t UdpPacketIo::hand_out(std::span<Packet> out) {
  size_t done = 0;
  for (; done < out.size() && !intake_.is_empty(); ++done) {
    const UdpIntake::Slice slice = intake_.take_next();
    Packet& packet = out[done];
    lend(packet, kReceivedBit | slice.buffer);
    packet.bytes = slice.bytes;
    packet.from = *slice.from;
    packet.to = *slice.to;
    packet.ecn = slice.ecn;
    packet.arrived_at = slice.arrived_at;
  }
  return done;
}

// Keeps wait_fd readable while packets wait here that the kernel no longer knows of.
void UdpPacketIo::signal_leftover() {
  const bool is_wanted = !intake_.is_empty();
  if (is_wanted == is_leftover_signalled_) return;
  uint64_t value = 1;
  const ssize_t moved = is_wanted ? write(leftover_.get(), &value, sizeof value)
                                  : read(leftover_.get(), &value, sizeof value);
  TIDEWAY_CHECK(moved == sizeof value);
  is_leftover_signalled_ = is_wanted;
}

}  // namespace tideway::packet_io
