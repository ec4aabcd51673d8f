// SPDX-License-Identifier: Apache-2.0
#include "gate/beacon.h"

#include "base/cursor.h"
#include "crypto/hmac.h"

#include <algorithm>
#include <charconv>

namespace tideway::gate {
namespace {

constexpr uint32_t kMagic = 0x5444'5742;  // "TDWB"
constexpr uint8_t kVersion = 1;
constexpr uint8_t kBothDirections = 1;
constexpr size_t kSealedSize = kBeaconSize - kBeaconTagSize;

uint32_t microseconds(Duration time) {
  constexpr int64_t kMost = 0xFFFF'FFFF;
  return static_cast<uint32_t>(std::clamp<int64_t>(time / std::chrono::microseconds(1), 0, kMost));
}

// Of fields that were checked to be there.
Beacon read_fields(Reader in) {
  Beacon beacon;
  in.read_u32();
  in.read_u8();
  beacon.event.kind = static_cast<PhaseKind>(*in.read_u8());
  beacon.direction = (*in.read_u8() & kBothDirections) != 0 ? Beacon::Direction::kBoth : Beacon::Direction::kOutward;
  in.read_u8();
  beacon.source = *in.read_u64();
  beacon.sequence = *in.read_u64();
  beacon.event.training = *in.read_u64();
  beacon.event.destination = *in.read_u32();
  beacon.event.member = *in.read_u16();
  beacon.event.members = *in.read_u16();
  beacon.sent_ns = *in.read_u64();
  const uint64_t event_ns = *in.read_u64();
  // Only their difference counts, so clocks need no better than the seconds that sent_ns is checked for.
  if (beacon.event.kind == PhaseKind::kPredict && event_ns > beacon.sent_ns)
    beacon.event.ahead = Duration(static_cast<int64_t>(std::min<uint64_t>(event_ns - beacon.sent_ns, INT64_MAX)));
  PhaseDetails& details = beacon.event.details;
  details.bytes = Bytes(*in.read_u64());
  for (Duration* time : {&details.duration, &details.period, &details.jitter, &details.ttl})
    *time = std::chrono::microseconds(*in.read_u32());
  return beacon;
}

bool is_in_range(const Beacon& beacon) {
  const PhaseEvent& event = beacon.event;
  return event.kind >= PhaseKind::kBegin && event.kind <= PhaseKind::kIteration && event.members > 0 &&
         event.member < event.members && beacon.sequence > 0 && event.ahead <= kAheadMax && is_credible(event);
}

}  // namespace

std::string_view name_of(BeaconFate fate) {
  static constexpr std::string_view kNames[kBeaconFates] = {"taken", "length", "magic", "version", "key", "tag", "time", "repeat", "range"};
  return kNames[static_cast<size_t>(fate)];
}

std::array<std::byte, kBeaconSize> write_beacon(const Beacon& beacon, const BeaconKey& key) {
  std::array<std::byte, kBeaconSize> datagram;
  Writer out(datagram);
  const PhaseEvent& event = beacon.event;
  out.write_u32(kMagic);
  out.write_u8(kVersion);
  out.write_u8(static_cast<uint8_t>(event.kind));
  out.write_u8(beacon.direction == Beacon::Direction::kBoth ? kBothDirections : 0);
  out.write_u8(key.id);
  out.write_u64(beacon.source);
  out.write_u64(beacon.sequence);
  out.write_u64(event.training);
  out.write_u32(event.destination);
  out.write_u16(event.member);
  out.write_u16(event.members);
  out.write_u64(beacon.sent_ns);
  out.write_u64(beacon.sent_ns + static_cast<uint64_t>(event.ahead.count()));
  out.write_u64(event.details.bytes.count());
  for (const Duration time : {event.details.duration, event.details.period, event.details.jitter, event.details.ttl})
    out.write_u32(microseconds(time));
  const Hash256 tag = crypto::hmac_sha256(key.secret, out.written());
  out.write_bytes(std::span(tag).first(kBeaconTagSize));
  return datagram;
}

ReadBeacon read_beacon(std::span<const std::byte> datagram, std::span<const BeaconKey> keys) {
  if (datagram.size() != kBeaconSize) return {BeaconFate::kLength, {}};
  Reader in(datagram);
  if (*in.read_u32() != kMagic) return {BeaconFate::kMagic, {}};
  if (*in.read_u8() != kVersion) return {BeaconFate::kVersion, {}};
  const auto id = std::to_integer<uint8_t>(datagram[7]);
  const auto key = std::ranges::find(keys, id, &BeaconKey::id);
  if (key == keys.end()) return {BeaconFate::kKey, {}};
  const Hash256 tag = crypto::hmac_sha256(key->secret, datagram.first(kSealedSize));
  if (!crypto::is_same_tag(std::span(tag).first(kBeaconTagSize), datagram.subspan(kSealedSize))) return {BeaconFate::kTag, {}};
  const Beacon beacon = read_fields(Reader(datagram));
  return {is_in_range(beacon) ? BeaconFate::kTaken : BeaconFate::kRange, beacon};
}

// ---- keys ----------------------------------------------------------------------------------------------------------

namespace {

Error bad_key(size_t line) {
  return {Fault::kConfigInvalid, "line " + std::to_string(line) + " of the beacon keys is no key",
          "write 64 hex digits (openssl rand -hex 32), in front of them an id from 0 to 255 and a blank when it is not 1"};
}

std::optional<BeaconKey> parse_key(std::string_view line) {
  BeaconKey key;
  if (const size_t blank = line.find(' '); blank != line.npos) {
    const auto [end, failure] = std::from_chars(line.data(), line.data() + blank, key.id);
    if (failure != std::errc() || end != line.data() + blank) return std::nullopt;
    line.remove_prefix(blank + 1);
  }
  if (line.size() != 2 * key.secret.size()) return std::nullopt;
  for (size_t i = 0; i < key.secret.size(); ++i) {
    uint8_t byte = 0;
    const char* digits = line.data() + 2 * i;
    const auto [end, failure] = std::from_chars(digits, digits + 2, byte, 16);
    if (failure != std::errc() || end != digits + 2) return std::nullopt;
    key.secret[i] = std::byte{byte};
  }
  return key;
}

}  // namespace

Result<std::vector<BeaconKey>> parse_beacon_keys(std::string_view text) {
  std::vector<BeaconKey> keys;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    const auto key = parse_key(line);
    if (!key || std::ranges::count(keys, key->id, &BeaconKey::id) > 0 || keys.size() == kBeaconKeysMax) return bad_key(number);
    keys.push_back(*key);
  }
  if (keys.empty()) return bad_key(1);
  return keys;
}

}  // namespace tideway::gate
