// SPDX-License-Identifier: Apache-2.0
//
// Tells a word that came before from a new one, by the numbers that each source gives its words: from 1, rising.
// Thread: one owner. Pure.
#pragma once
#include <tideway/time.h>

#include <cstddef>
#include <cstdint>
#include <unordered_map>

namespace tideway::gate {

class RepeatFilter {
 public:
  static constexpr uint64_t kWindow = 64;           // numbers of a source that are told apart
  static constexpr size_t kSourcesMax = 1024;       // of which the longest silent makes room
  static constexpr Duration kForgetAfter = std::chrono::seconds(10);  // a source that is silent for so long

  // Whether that number of that source came before, or lies too far behind to know. It is noted.
  bool is_repeat(Time now, uint64_t source, uint64_t number);
  size_t sources() const { return sources_.size(); }

 private:
  struct Source {
    uint64_t largest = 0, seen = 0;  // bit i: largest - i came
    Time last_at{};
  };
  Source& find(Time now, uint64_t source);

  std::unordered_map<uint64_t, Source> sources_;
};

}  // namespace tideway::gate
