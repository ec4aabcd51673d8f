// SPDX-License-Identifier: Apache-2.0
//
// Why a frame was dropped: the names under which a port counts, and a parser's answer that is a value or such a reason.
// Pure.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace tideway::ip {

enum class Drop : uint8_t {
  kTruncated,         // shorter than its headers say
  kOwnEcho,           // our own frame, handed back by the device
  kForeignMac,        // to another host, or to a group we are not in
  kVlanMissing,       // no tag where one is configured
  kVlanWrong,         // another tag, or one where none is configured
  kEtherType,         // neither IPv4, IPv6 nor ARP; a second tag, too
  kIpMalformed,       // version or header length
  kIpChecksum,        // of the IPv4 header
  kFragment,          // we send none and take none
  kExtensionHeader,   // of IPv6
  kProtocol,          // neither UDP nor ICMP
  kBadSource,         // an address no host can send from, or our own
  kForeignAddress,    // not one of ours
  kUdpMalformed,      // length, or a port of zero
  kArpMalformed,
  kArpForeign,        // a question or an answer for another host
  kNdpMalformed,      // also a hop limit that shows a router between
  kNdpForeign,
  kIcmpMalformed,     // length or checksum
  kIcmpOther,         // a type we have no use for: errors, redirects, router advertisements
  kEchoOff,           // icmp_echo = false
  kEchoTooLong,       // longer than an outbox frame
  kReplyLimit,        // we have answered as often as we do in a second
  kOutboxFull,        // answers wait faster than they are fetched
  kAddressConflict,   // somebody else says that an own address is theirs
};
inline constexpr size_t kDrops = 25;

// As metrics have them.
inline constexpr std::array<std::string_view, kDrops> kDropNames = {
    "dropped_truncated", "dropped_own_echo", "dropped_foreign_mac", "dropped_vlan_missing", "dropped_vlan_wrong",
    "dropped_ether_type", "dropped_ip_malformed", "dropped_ip_checksum", "dropped_fragment",
    "dropped_extension_header", "dropped_protocol", "dropped_bad_source", "dropped_foreign_address",
    "dropped_udp_malformed", "dropped_arp_malformed", "dropped_arp_foreign", "dropped_ndp_malformed",
    "dropped_ndp_foreign", "dropped_icmp_malformed", "dropped_icmp_other", "dropped_echo_off",
    "dropped_echo_too_long", "dropped_reply_limit", "dropped_outbox_full", "dropped_address_conflict"};
constexpr std::string_view name_of(Drop drop) { return kDropNames[static_cast<size_t>(drop)]; }
static_assert(static_cast<size_t>(Drop::kAddressConflict) + 1 == kDrops);

// What a parser found, or why it refuses.
template <typename T>
class [[nodiscard]] Parsed {
 public:
  Parsed(T value) : value_(std::move(value)), is_good_(true) {}
  Parsed(Drop why) : why_(why) {}

  explicit operator bool() const { return is_good_; }
  const T& operator*() const { return value_; }
  const T* operator->() const { return &value_; }
  Drop why() const { return why_; }

 private:
  T value_{};
  Drop why_{};
  bool is_good_ = false;
};

}  // namespace tideway::ip
