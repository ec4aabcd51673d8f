// SPDX-License-Identifier: Apache-2.0
#include "packet_io/udp_intake.h"

#include "base/clock.h"
#include "packet_io/udp_socket.h"

#include <linux/udp.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>

namespace tideway::packet_io {
namespace {

// The kernel stamps packets with the calendar's time. When that jumps between a stamp and our look at it, the difference is
// no time that a packet waited.
constexpr Duration kWaitedMax = std::chrono::milliseconds(100);

struct Told {
  Ecn ecn = Ecn::kNotEct;
  Duration stamp{};        // of the calendar; zero: none
  uint32_t segment = 0;  // zero: one packet
};

template <typename T>
T value_of(const cmsghdr* option) {
  T value;
  std::memcpy(&value, CMSG_DATA(option), sizeof value);
  return value;
}

Told read_control(msghdr& header) {
  Told told;
  for (cmsghdr* option = CMSG_FIRSTHDR(&header); option != nullptr; option = CMSG_NXTHDR(&header, option)) {
    const auto is = [option](int level, int type) {
      return option->cmsg_level == level && option->cmsg_type == type;
    };
    // The two lower bits of the traffic class; IPv4 tells one byte, IPv6 an int.
    if (is(IPPROTO_IP, IP_TOS)) told.ecn = static_cast<Ecn>(value_of<uint8_t>(option) & 3);
    if (is(IPPROTO_IPV6, IPV6_TCLASS)) told.ecn = static_cast<Ecn>(value_of<int>(option) & 3);
    if (is(SOL_SOCKET, SCM_TIMESTAMPNS)) {
      const auto stamp = value_of<timespec>(option);
      told.stamp = std::chrono::seconds(stamp.tv_sec) + std::chrono::nanoseconds(stamp.tv_nsec);
    }
    if (is(IPPROTO_UDP, UDP_GRO)) told.segment = static_cast<uint32_t>(std::max(value_of<int>(option), 0));
  }
  return told;
}

}  // namespace

struct UdpIntake::Messages {
  // The ECN mark, the stamp and the segment of a joined message, with space for what a kernel may add.
  struct alignas(cmsghdr) Control {
    std::array<std::byte, 2 * CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(timespec)) + 64> bytes{};
  };
  std::array<mmsghdr, kMessagesMax> headers;
  std::array<iovec, kMessagesMax> iovecs;
  std::array<sockaddr_storage, kMessagesMax> names;
  std::array<Control, kMessagesMax> controls;
  std::array<uint32_t, kMessagesMax> buffers;
};

UdpIntake::UdpIntake(uint32_t buffers, UdpStats& stats)
    : buffers_(buffers), stats_(stats), messages_(std::make_unique<Messages>()) {}
UdpIntake::~UdpIntake() = default;

// Lays out as many of `messages` as there are buffers. Returns how many.
size_t UdpIntake::prepare(size_t messages) {
  size_t ready = 0;
  for (; ready < messages; ++ready) {
    const auto buffer = buffers_.take();
    if (!buffer) break;
    messages_->buffers[ready] = *buffer;
    messages_->iovecs[ready] = {.iov_base = buffers_.memory(*buffer).data(), .iov_len = kSliceBufferSize};
    msghdr& header = messages_->headers[ready].msg_hdr;
    header = {};
    header.msg_name = &messages_->names[ready];
    header.msg_namelen = sizeof messages_->names[ready];
    header.msg_iov = &messages_->iovecs[ready];
    header.msg_iovlen = 1;
    header.msg_control = messages_->controls[ready].bytes.data();
    header.msg_controllen = messages_->controls[ready].bytes.size();
  }
  return ready;
}

bool UdpIntake::read(int fd, const Endpoint& local, size_t packets) {
  TIDEWAY_CHECK(is_empty());
  waiting_next_ = waiting_count_ = 0;
  const size_t messages = (packets + packets_per_message_ - 1) / packets_per_message_;
  const size_t wanted = std::clamp(messages, size_t{1}, kMessagesMax);
  const size_t ready = prepare(wanted);
  if (ready == 0) {
    ++stats_.receive_dry;
    return false;
  }
  int arrived = 0;
  do arrived = recvmmsg(fd, messages_->headers.data(), static_cast<unsigned>(ready), MSG_DONTWAIT, nullptr);
  while (arrived < 0 && errno == EINTR);
  const size_t used = arrived > 0 ? static_cast<size_t>(arrived) : 0;  // errors here are echoes of what was sent
  const Clocks clocks = read_clocks();
  const uint64_t packets_before = stats_.packets_received;
  for (size_t i = 0; i < used; ++i) keep(i, messages_->buffers[i], local, clocks);
  for (size_t i = ready; i > used; --i) buffers_.drop(messages_->buffers[i - 1]);  // last in, first out: stays warm
  if (used > 0) packets_per_message_ = std::max<size_t>((stats_.packets_received - packets_before) / used, 1);
  return used == ready;
}

UdpIntake::Clocks UdpIntake::read_clocks() {
  timespec calendar{};
  clock_gettime(CLOCK_REALTIME, &calendar);
  return {read_clock(), std::chrono::seconds(calendar.tv_sec) + std::chrono::nanoseconds(calendar.tv_nsec)};
}

void UdpIntake::keep(size_t message, uint32_t buffer, const Endpoint& local, const Clocks& clocks) {
  msghdr& header = messages_->headers[message].msg_hdr;
  const uint32_t size = messages_->headers[message].msg_len;
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
    ++stats_.receive_dropped;
    buffers_.drop(buffer);
    return;
  }
  const Told told = read_control(header);
  const uint32_t segment = told.segment > 0 && told.segment < size ? told.segment : std::max(size, 1U);
  waiting_[waiting_count_++] = {.buffer = buffer, .size = size, .segment = segment,
                                .from = to_endpoint(messages_->names[message]), .to = local, .ecn = told.ecn, .arrived_at = kNever};
  const Duration waited = clocks.calendar - told.stamp;
  if (waited >= Duration::zero() && waited <= kWaitedMax) waiting_[waiting_count_ - 1].arrived_at = clocks.now - waited;
  ++stats_.messages_received;
  stats_.packets_received += size == 0 ? 1 : (size + segment - 1) / segment;
}

UdpIntake::Slice UdpIntake::take_next() {
  TIDEWAY_DCHECK(!is_empty());
  Waiting& message = waiting_[waiting_next_];
  const uint32_t length = std::min(message.segment, message.size - message.offset);
  const Slice slice{.buffer = message.buffer,
                    .bytes = buffers_.memory(message.buffer).subspan(message.offset, length),
                    .from = &message.from, .to = &message.to, .ecn = message.ecn, .arrived_at = message.arrived_at};
  message.offset += length;
  if (message.offset < message.size)
    buffers_.hold(message.buffer);
  else
    ++waiting_next_;  // the message's own hold goes to its last packet
  return slice;
}

}  // namespace tideway::packet_io
