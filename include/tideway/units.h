// SPDX-License-Identifier: Apache-2.0
//
// Sizes and rates with their unit in the type. Plain integers are for counts only.
#pragma once
#include <tideway/check.h>
#include <tideway/time.h>

#include <compare>
#include <cstdint>
#include <limits>

namespace tideway {

// A number of bytes. Subtracting below zero is a failed check: sizes here are never negative.
class Bytes {
 public:
  constexpr Bytes() = default;
  explicit constexpr Bytes(uint64_t count) : count_(count) {}
  static constexpr Bytes max() { return Bytes(std::numeric_limits<uint64_t>::max()); }

  constexpr uint64_t count() const { return count_; }
  constexpr auto operator<=>(const Bytes&) const = default;
  constexpr Bytes& operator+=(Bytes other) { count_ += other.count_; return *this; }
  constexpr Bytes& operator-=(Bytes other) {
    TIDEWAY_CHECK(count_ >= other.count_);
    count_ -= other.count_;
    return *this;
  }
  friend constexpr Bytes operator+(Bytes a, Bytes b) { return a += b; }
  friend constexpr Bytes operator-(Bytes a, Bytes b) { return a -= b; }
  friend constexpr Bytes operator*(Bytes a, uint64_t times) { return Bytes(a.count_ * times); }
  friend constexpr Bytes operator/(Bytes a, uint64_t parts) { return Bytes(a.count_ / parts); }

 private:
  uint64_t count_ = 0;
};

// What `a` has more than `b`, or nothing.
constexpr Bytes saturating_sub(Bytes a, Bytes b) { return a > b ? a - b : Bytes(); }

constexpr Bytes operator""_B(unsigned long long n) { return Bytes(n); }
constexpr Bytes operator""_KiB(unsigned long long n) { return Bytes(n << 10); }
constexpr Bytes operator""_MiB(unsigned long long n) { return Bytes(n << 20); }
constexpr Bytes operator""_GiB(unsigned long long n) { return Bytes(n << 30); }

// Data per time, kept in bytes per second. No rate limit is Rate::unlimited().
class Rate {
 public:
  constexpr Rate() = default;
  static constexpr Rate bytes_per_second(uint64_t n) { return Rate(n); }
  static constexpr Rate bits_per_second(uint64_t n) { return Rate(n / 8); }
  static constexpr Rate unlimited() { return Rate(std::numeric_limits<uint64_t>::max()); }
  // `amount` per `time`; a time of zero or less gives no rate at all.
  static constexpr Rate of(Bytes amount, Duration time) {
    if (time.count() <= 0) return Rate();
    return Rate(static_cast<uint64_t>(static_cast<double>(amount.count()) * 1e9 /
                                      static_cast<double>(time.count())));
  }

  constexpr uint64_t bytes_per_second() const { return per_second_; }
  constexpr double bits_per_second() const { return static_cast<double>(per_second_) * 8.0; }
  constexpr bool is_unlimited() const { return *this == unlimited(); }
  constexpr auto operator<=>(const Rate&) const = default;
  friend constexpr Rate operator+(Rate a, Rate b) {  // with an unlimited one: unlimited
    return Rate(a.per_second_ > unlimited().per_second_ - b.per_second_ ? unlimited().per_second_ : a.per_second_ + b.per_second_);
  }
  friend constexpr Rate operator*(Rate rate, double factor) {
    if (rate.is_unlimited()) return rate;
    return Rate(static_cast<uint64_t>(static_cast<double>(rate.per_second_) * factor));
  }

  // What passes in `time`.
  constexpr Bytes over(Duration time) const {
    if (time.count() <= 0) return Bytes();
    const double bytes = static_cast<double>(per_second_) * static_cast<double>(time.count()) / 1e9;
    return bytes >= 1.8e19 ? Bytes::max() : Bytes(static_cast<uint64_t>(bytes));
  }
  // How long `amount` takes; a rate of zero takes Duration::max().
  constexpr Duration time_for(Bytes amount) const {
    if (per_second_ == 0) return Duration::max();
    const double ns = static_cast<double>(amount.count()) * 1e9 / static_cast<double>(per_second_);
    return ns >= 9.2e18 ? Duration::max() : Duration(static_cast<int64_t>(ns));
  }

 private:
  explicit constexpr Rate(uint64_t per_second) : per_second_(per_second) {}
  uint64_t per_second_ = 0;
};

constexpr Rate operator""_Mbit(unsigned long long n) { return Rate::bits_per_second(n * 1'000'000); }
constexpr Rate operator""_Gbit(unsigned long long n) { return Rate::bits_per_second(n * 1'000'000'000); }

}  // namespace tideway
