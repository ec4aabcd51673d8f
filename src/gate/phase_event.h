// SPDX-License-Identifier: Apache-2.0
//
// One word of a trainer about its communication, whichever way it came.
// Pure.
#pragma once
#include <tideway/time.h>
#include <tideway/units.h>

#include <cstdint>
#include <string_view>

namespace tideway::gate {

enum class PhaseKind : uint8_t { kBegin = 1, kEnd = 2, kPredict = 3, kAlive = 4, kIteration = 5 };

inline constexpr Duration kAheadMax = std::chrono::hours(1);  // a prediction beyond that is none

// A zero is unknown.
struct PhaseDetails {
  Bytes bytes{};                 // that this site will send
  Duration duration{}, period{}, jitter{}, ttl{};  // jitter: one sigma
};

struct PhaseEvent {
  PhaseKind kind = PhaseKind::kBegin;
  uint64_t training = 0;         // training_id() of its name
  uint32_t destination = 0;      // site_id() of the site; 0: every link of that training
  uint16_t member = 0, members = 1;
  Duration ahead{};              // predict: how far the begin lies in the future
  PhaseDetails details;
};

// A begin that strays by more than a fifth of its period is not predicted; such a jitter is in another unit, or a mistake.
inline constexpr int kPeriodsPerJitter = 5;
constexpr bool is_credible(const PhaseEvent& event) {
  const PhaseDetails& details = event.details;
  return event.kind != PhaseKind::kPredict || details.period == Duration::zero() || details.jitter <= details.period / kPeriodsPerJitter;
}

// FNV-1a, as the fields of beacons and board slots are wide.
constexpr uint64_t training_id(std::string_view name) {
  uint64_t hash = 0xcbf2'9ce4'8422'2325;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100'0000'01b3;
  return hash;
}
constexpr uint32_t site_id(std::string_view name) {
  uint32_t hash = 0x811c'9dc5;
  for (const char c : name) hash = (hash ^ static_cast<uint8_t>(c)) * 0x0100'0193;
  return hash;
}

}  // namespace tideway::gate
