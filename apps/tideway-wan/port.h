// SPDX-License-Identifier: Apache-2.0
//
// One network interface, raw: frames arrive through a ring shared with the kernel (AF_PACKET, TPACKET_V2, where each frame
// shows at once and carries the time at which it arrived) and leave in batches past the queueing discipline. Frames that
// this machine itself sends on the interface are not seen.
// Thread: main.
#pragma once
#include <tideway/result.h>
#include <tideway/time.h>
#include <tideway/units.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace tideway::wan {

inline constexpr size_t kSendMax = 64;  // frames per call: enough that the call itself costs little

struct VlanTag {
  uint16_t protocol, value;
};

// A frame in the ring. The kernel keeps the VLAN tag apart; size() is with it.
struct ReceivedFrame {
  std::span<const std::byte> bytes;  // without the tag
  std::optional<VlanTag> vlan;
  Duration wall_time;  // of arrival, since the epoch
  size_t wire_size;    // more than bytes.size(): cut off, larger than the interface's MTU allows
  bool is_checksum_missing;  // the sender left it to an offload that a forwarded frame never meets

  size_t size() const { return bytes.size() + (vlan ? 4 : 0); }
  // Writes the frame as it was on the wire; `out` is size() long.
  void copy_to(std::span<std::byte> out) const;
};

class Port {
 public:
  // Errors: config_invalid (no such interface), denied (no CAP_NET_RAW), no_memory.
  static Result<Port> open(const std::string& interface);
  Port(Port&& other) noexcept;
  Port& operator=(Port&&) = delete;
  ~Port();

  // The oldest frame in the ring, until release(); nothing: empty.
  std::optional<ReceivedFrame> receive() const;
  void release();

  // Sends a prefix and returns its length; shorter when the kernel refuses the next one, which errno explains.
  size_t send(std::span<const std::span<std::byte>> frames);

  int fd() const { return fd_; }
  const std::string& interface() const { return interface_; }
  bool is_gone() const;         // the interface was deleted
  uint64_t take_ring_drops();   // frames lost since the last call because we were too slow
  size_t frame_max() const { return frame_max_; }  // Ethernet header, tag and MTU

 private:
  Port(int fd, std::string interface) : fd_(fd), interface_(std::move(interface)) {}
  Status set_up();
  Status map_ring();

  int fd_;
  std::string interface_;
  size_t frame_max_ = 0;
  std::byte* ring_ = nullptr;
  size_t ring_size_ = 0, slot_size_ = 0, slots_per_block_ = 0, slots_ = 0;
  size_t head_ = 0;  // slot to read next
};

}  // namespace tideway::wan
