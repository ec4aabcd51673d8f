// SPDX-License-Identifier: Apache-2.0
#include "port.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

namespace tideway::wan {
namespace {

constexpr size_t kBlockSize = 64 << 10;  // small enough that the kernel always finds whole ones
// Per interface: 16,384 frames of MTU 1500, a fifth of a second at 1 Gbit/s. Senders on virtual interfaces burst at memory
// speed, and the machine may have other things to do when they do.
constexpr size_t kRingSize = 32 << 20;
constexpr int kSendBuffer = 8 << 20;   // a batch of jumbo frames with the kernel's own accounting on top
constexpr size_t kHeaderGap = 64;      // the kernel aligns the IP header behind its own
constexpr size_t kTagSize = 4;         // 802.1Q
constexpr size_t kAddressesSize = 12;  // destination and source, before the tag

Error system_error(const std::string& what, const std::string& interface) {
  const int code = errno;
  const Fault fault = code == EPERM || code == EACCES ? Fault::kDenied
                      : code == ENOMEM || code == ENOBUFS ? Fault::kNoMemory
                                                          : Fault::kConfigInvalid;
  const char* next = code == EPERM     ? "run as root, or in a network namespace of your own with CAP_NET_RAW"
                     : code == ENODEV ? "ip link shows the interfaces of this namespace"
                                      : "";
  return {fault, what + " on " + interface + ": " + std::strerror(code), next};
}

template <typename T>
bool set_option(int fd, int level, int option, const T& value) {
  return ::setsockopt(fd, level, option, &value, sizeof value) == 0;
}

ifreq request_for(const std::string& interface) {
  ifreq request{};
  interface.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

}  // namespace

void ReceivedFrame::copy_to(std::span<std::byte> out) const {
  if (!vlan) {
    std::memcpy(out.data(), bytes.data(), bytes.size());
    return;
  }
  std::memcpy(out.data(), bytes.data(), kAddressesSize);
  const std::array<uint8_t, kTagSize> tag = {
      static_cast<uint8_t>(vlan->protocol >> 8), static_cast<uint8_t>(vlan->protocol),
      static_cast<uint8_t>(vlan->value >> 8), static_cast<uint8_t>(vlan->value)};
  std::memcpy(out.data() + kAddressesSize, tag.data(), kTagSize);
  std::memcpy(out.data() + kAddressesSize + kTagSize, bytes.data() + kAddressesSize, bytes.size() - kAddressesSize);
}

Result<Port> Port::open(const std::string& interface) {
  // Protocol 0: nothing arrives before everything is set.
  const int fd = ::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (fd < 0) return system_error("cannot open a packet socket", interface);
  Port port(fd, interface);
  if (auto status = port.set_up(); !status.ok()) return status.error();
  return port;
}

Status Port::set_up() {
  if (interface_.size() >= IFNAMSIZ || interface_.empty())
    return Error{Fault::kConfigInvalid, '"' + interface_ + "\" is not the name of an interface", "ip link shows them"};
  ifreq request = request_for(interface_);
  if (::ioctl(fd_, SIOCGIFMTU, &request) != 0) return system_error("no MTU", interface_);
  frame_max_ = static_cast<size_t>(request.ifr_mtu) + ETH_HLEN + kTagSize;
  request = request_for(interface_);
  if (::ioctl(fd_, SIOCGIFINDEX, &request) != 0) return system_error("no index", interface_);
  const int index = request.ifr_ifindex;

  if (auto status = map_ring(); !status.ok()) return status;
  const packet_mreq promiscuous{index, PACKET_MR_PROMISC, 0, {}};
  if (!set_option(fd_, SOL_PACKET, PACKET_ADD_MEMBERSHIP, promiscuous) ||
      !set_option(fd_, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1) ||
      !set_option(fd_, SOL_PACKET, PACKET_QDISC_BYPASS, 1))
    return system_error("cannot set up the packet socket", interface_);
  if (!set_option(fd_, SOL_SOCKET, SO_SNDBUFFORCE, kSendBuffer)) set_option(fd_, SOL_SOCKET, SO_SNDBUF, kSendBuffer);

  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = __builtin_bswap16(ETH_P_ALL);
  address.sll_ifindex = index;
  if (::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return system_error("cannot bind", interface_);
  return success();
}

Status Port::map_ring() {
  const size_t needed = TPACKET_ALIGN(TPACKET2_HDRLEN) + kHeaderGap + frame_max_;
  slot_size_ = TPACKET_ALIGN(needed);
  if (slot_size_ <= 2048) slot_size_ = 2048;  // so that a slot never straddles more pages than it must
  if (slot_size_ > kBlockSize)
    return Error{Fault::kConfigInvalid, "the MTU of " + interface_ + " is above what a ring slot holds", "set an MTU up to 65000"};
  slots_per_block_ = kBlockSize / slot_size_;
  const size_t blocks = kRingSize / kBlockSize;
  slots_ = slots_per_block_ * blocks;
  if (!set_option(fd_, SOL_PACKET, PACKET_VERSION, int{TPACKET_V2})) return system_error("no TPACKET_V2", interface_);
  const tpacket_req ring{kBlockSize, static_cast<unsigned>(blocks), static_cast<unsigned>(slot_size_),
                         static_cast<unsigned>(slots_)};
  if (!set_option(fd_, SOL_PACKET, PACKET_RX_RING, ring)) return system_error("cannot make the ring", interface_);
  void* mapped = ::mmap(nullptr, kRingSize, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0);
  if (mapped == MAP_FAILED) return system_error("cannot map the ring", interface_);
  ring_ = static_cast<std::byte*>(mapped);
  ring_size_ = kRingSize;
  return success();
}

Port::Port(Port&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), interface_(std::move(other.interface_)), frame_max_(other.frame_max_),
      ring_(std::exchange(other.ring_, nullptr)), ring_size_(other.ring_size_), slot_size_(other.slot_size_),
      slots_per_block_(other.slots_per_block_), slots_(other.slots_), head_(other.head_) {}

Port::~Port() {
  if (ring_ != nullptr) ::munmap(ring_, ring_size_);
  if (fd_ >= 0) ::close(fd_);
}

namespace {

std::byte* slot_of(std::byte* ring, size_t slot, size_t per_block, size_t size) {
  return ring + slot / per_block * kBlockSize + slot % per_block * size;
}

}  // namespace

std::optional<ReceivedFrame> Port::receive() const {
  std::byte* slot = slot_of(ring_, head_, slots_per_block_, slot_size_);
  auto& header = *reinterpret_cast<tpacket2_hdr*>(slot);
  const uint32_t status = std::atomic_ref(header.tp_status).load(std::memory_order_acquire);
  if ((status & TP_STATUS_USER) == 0) return std::nullopt;
  ReceivedFrame frame{};
  frame.bytes = std::span(slot + header.tp_mac, header.tp_snaplen);
  frame.wire_size = header.tp_len;
  frame.wall_time = std::chrono::seconds(header.tp_sec) + Duration(header.tp_nsec);
  frame.is_checksum_missing = (status & TP_STATUS_CSUMNOTREADY) != 0;
  if ((status & TP_STATUS_VLAN_VALID) != 0) frame.vlan = VlanTag{header.tp_vlan_tpid, header.tp_vlan_tci};
  return frame;
}

void Port::release() {
  auto& header = *reinterpret_cast<tpacket2_hdr*>(slot_of(ring_, head_, slots_per_block_, slot_size_));
  std::atomic_ref(header.tp_status).store(TP_STATUS_KERNEL, std::memory_order_release);
  head_ = head_ + 1 == slots_ ? 0 : head_ + 1;
}

size_t Port::send(std::span<const std::span<std::byte>> frames) {
  std::array<mmsghdr, kSendMax> messages{};
  std::array<iovec, kSendMax> parts;
  const size_t count = std::min(frames.size(), kSendMax);
  for (size_t i = 0; i < count; ++i) {
    parts[i] = {frames[i].data(), frames[i].size()};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  const int sent = ::sendmmsg(fd_, messages.data(), static_cast<unsigned>(count), MSG_DONTWAIT);
  return sent < 0 ? 0 : static_cast<size_t>(sent);
}

bool Port::is_gone() const { return ::if_nametoindex(interface_.c_str()) == 0; }

uint64_t Port::take_ring_drops() {
  tpacket_stats statistics{};
  socklen_t size = sizeof statistics;
  if (::getsockopt(fd_, SOL_PACKET, PACKET_STATISTICS, &statistics, &size) != 0) return 0;
  return statistics.tp_drops;
}

}  // namespace tideway::wan
