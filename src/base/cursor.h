// SPDX-License-Identifier: Apache-2.0
//
// Bounded reading and writing of foreign bytes, big-endian as on our wire. Reading past the end gives nothing and
// stays at the end; nobody does pointer arithmetic on input.
// Pure.
#pragma once
#include <tideway/check.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace tideway {

class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : rest_(bytes) {}

  template <std::unsigned_integral T>
  std::optional<T> read() {
    if (rest_.size() < sizeof(T)) {
      rest_ = {};
      return std::nullopt;
    }
    uint64_t value = 0;
    for (size_t i = 0; i < sizeof(T); ++i) value = value << 8 | static_cast<uint64_t>(rest_[i]);
    rest_ = rest_.subspan(sizeof(T));
    return static_cast<T>(value);
  }
  std::optional<uint8_t> read_u8() { return read<uint8_t>(); }
  std::optional<uint16_t> read_u16() { return read<uint16_t>(); }
  std::optional<uint32_t> read_u32() { return read<uint32_t>(); }
  std::optional<uint64_t> read_u64() { return read<uint64_t>(); }
  // A view of the next `size` bytes; it lives as long as the input does.
  std::optional<std::span<const std::byte>> read_bytes(size_t size) {
    if (rest_.size() < size) {
      rest_ = {};
      return std::nullopt;
    }
    const auto taken = rest_.first(size);
    rest_ = rest_.subspan(size);
    return taken;
  }
  std::span<const std::byte> rest() const { return rest_; }
  bool is_empty() const { return rest_.empty(); }

 private:
  std::span<const std::byte> rest_;
};

// Writes into room the caller owns. The room was sized by us, so running over it is our bug.
class Writer {
 public:
  explicit Writer(std::span<std::byte> room) : room_(room) {}

  template <std::unsigned_integral T>
  void write(T value) {
    TIDEWAY_CHECK(left() >= sizeof(T));
    for (size_t i = 0; i < sizeof(T); ++i)
      room_[used_ + i] = static_cast<std::byte>(static_cast<uint64_t>(value) >> (8 * (sizeof(T) - 1 - i)));
    used_ += sizeof(T);
  }
  void write_u8(uint8_t value) { write(value); }
  void write_u16(uint16_t value) { write(value); }
  void write_u32(uint32_t value) { write(value); }
  void write_u64(uint64_t value) { write(value); }
  void write_bytes(std::span<const std::byte> bytes) {
    TIDEWAY_CHECK(left() >= bytes.size());
    if (!bytes.empty()) std::memcpy(room_.data() + used_, bytes.data(), bytes.size());
    used_ += bytes.size();
  }
  void write_zeros(size_t count) {
    TIDEWAY_CHECK(left() >= count);
    if (count != 0) std::memset(room_.data() + used_, 0, count);
    used_ += count;
  }
  size_t left() const { return room_.size() - used_; }
  size_t used() const { return used_; }
  std::span<std::byte> written() const { return room_.first(used_); }

 private:
  std::span<std::byte> room_;
  size_t used_ = 0;
};

}  // namespace tideway
