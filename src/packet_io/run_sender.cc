// SPDX-License-Identifier: Apache-2.0
#include "packet_io/run_sender.h"

#include <linux/udp.h>
#include <netinet/in.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace tideway::packet_io {
namespace {

template <typename T>
struct Option { int level, type; T value; };

template <typename T>
cmsghdr* put(cmsghdr* at, const Option<T>& option) {
  at->cmsg_level = option.level;
  at->cmsg_type = option.type;
  at->cmsg_len = CMSG_LEN(sizeof(T));
  std::memcpy(CMSG_DATA(at), &option.value, sizeof(T));
  return reinterpret_cast<cmsghdr*>(reinterpret_cast<std::byte*>(at) + CMSG_SPACE(sizeof(T)));
}

// `control` has room for both, aligned as a cmsghdr.
size_t write_control(std::span<std::byte> control, const Route& route, Ecn ecn, const GsoRun& run) {
  const int traffic_class = static_cast<int>(route.dscp) << 2 | static_cast<int>(ecn);
  auto* at = reinterpret_cast<cmsghdr*>(control.data());
  if (route.remote.storage.ss_family == AF_INET)
    at = put(at, Option<int>{IPPROTO_IP, IP_TOS, traffic_class});
  else
    at = put(at, Option<int>{IPPROTO_IPV6, IPV6_TCLASS, traffic_class});
  if (run.packets > 1) at = put(at, Option<uint16_t>{IPPROTO_UDP, UDP_SEGMENT, static_cast<uint16_t>(run.segment)});
  return static_cast<size_t>(reinterpret_cast<std::byte*>(at) - control.data());
}

// Lists the memory of a run, neighbours in one piece, from `out` on. Returns how many entries.
size_t write_iovecs(std::span<const Packet> run, std::span<iovec> out) {
  size_t used = 0;
  for (const Packet& packet : run) {
    iovec* last = used > 0 ? &out[used - 1] : nullptr;
    if (last != nullptr && static_cast<std::byte*>(last->iov_base) + last->iov_len == packet.bytes.data())
      last->iov_len += packet.bytes.size();
    else
      out[used++] = {.iov_base = packet.bytes.data(), .iov_len = packet.bytes.size()};
  }
  return used;
}

bool is_full(int cause) {
  return cause == EAGAIN || cause == EWOULDBLOCK || cause == ENOBUFS || cause == ENOMEM;
}

// EIO: a device without checksum offload, or IPsec on the way; EINVAL and, in newer kernels, EMSGSIZE: a segment
// larger than the MTU, which one of the packets alone may not be.
bool may_be_gso(int cause) { return cause == EIO || cause == EINVAL || cause == EMSGSIZE; }

}  // namespace

struct RunSender::Messages {
  // ECN and DSCP together, then the segment of a run.
  struct alignas(cmsghdr) Control {
    std::array<std::byte, CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(uint16_t))> bytes{};
  };
  std::array<GsoRun, kBurstMax> runs;
  std::array<mmsghdr, kBurstMax> headers;
  std::array<iovec, kBurstMax> iovecs;  // a packet needs one at most
  std::array<Control, kBurstMax> controls;
};

RunSender::RunSender(UdpStats& stats) : stats_(stats), messages_(std::make_unique<Messages>()) {}
RunSender::~RunSender() = default;

SendProgress RunSender::send(int fd, Gso gso, std::span<const Packet> packets,
                             std::span<const Route* const> routes) {
  TIDEWAY_CHECK(!packets.empty() && packets.size() <= kBurstMax && packets.size() == routes.size());
  const size_t runs = form_runs(packets, gso, messages_->runs);
  size_t iovecs = 0;
  for (size_t i = 0, at = 0; i < runs; at += messages_->runs[i].packets, ++i) {
    const GsoRun& run = messages_->runs[i];
    const Route& route = *routes[at];
    msghdr& header = messages_->headers[i].msg_hdr;
    header = {};
    header.msg_name = const_cast<sockaddr_storage*>(&route.remote.storage);
    header.msg_namelen = route.remote.length;
    header.msg_iov = &messages_->iovecs[iovecs];
    header.msg_iovlen = write_iovecs(packets.subspan(at, run.packets), std::span(messages_->iovecs).subspan(iovecs));
    header.msg_control = messages_->controls[i].bytes.data();
    header.msg_controllen = write_control(messages_->controls[i].bytes, route, packets[at].ecn, run);
    iovecs += header.msg_iovlen;
  }
  return send_runs(fd, runs, packets, routes);
}

SendProgress RunSender::send_runs(int fd, size_t runs, std::span<const Packet> packets,
                                  std::span<const Route* const> routes) {
  SendProgress progress;
  for (size_t next = 0; next < runs;) {
    const int sent = sendmmsg(fd, &messages_->headers[next], static_cast<unsigned>(runs - next), 0);
    const int cause = sent < 0 ? errno : 0;
    for (int i = 0; i < sent; ++i, ++next, ++stats_.messages_sent) {
      stats_.packets_sent += messages_->runs[next].packets;
      progress.packets += messages_->runs[next].packets;
    }
    if (sent > 0 || cause == EINTR) continue;  // an error behind sent messages shows at the next call
    if (is_full(cause)) {
      ++stats_.send_full;
      progress.is_full = true;
      return progress;
    }
    const uint32_t refused = messages_->runs[next].packets;
    if (refused > 1 && may_be_gso(cause)) {
      const size_t at = progress.packets;
      const SendProgress rest = send_singly(fd, packets.subspan(at, refused), routes.subspan(at, refused));
      return {at + rest.packets, rest.is_full, rest.is_gso_refused};  // messages_ was used again: start over
    }
    count_lost(cause, refused);
    progress.packets += refused;
    ++next;
  }
  return progress;
}

// The packets of a run that was refused. If they pass alone, segmentation is what the kernel refuses here. If they do
// not, the MTU is too small for them or the peer out of reach, and other runs are still welcome.
SendProgress RunSender::send_singly(int fd, std::span<const Packet> packets, std::span<const Route* const> routes) {
  const uint64_t sent_before = stats_.packets_sent;
  SendProgress progress = send(fd, Gso::kOff, packets, routes);
  const uint64_t sent = stats_.packets_sent - sent_before;
  progress.is_gso_refused = sent > 0 && sent == progress.packets;
  return progress;
}

void RunSender::count_lost(int cause, uint32_t packets) {
  switch (cause) {
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EHOSTDOWN: stats_.lost_unreachable += packets; break;
    case ECONNREFUSED: stats_.lost_refused += packets; break;
    case EPERM:
    case EACCES: stats_.lost_denied += packets; break;
    case EMSGSIZE: stats_.lost_too_big += packets; break;
    default: stats_.lost_other += packets; break;
  }
}

}  // namespace tideway::packet_io
