// SPDX-License-Identifier: Apache-2.0
//
// What a transfer has to wait for, beside the network: the side that reads, or the side that writes. Each side judges by what most
// of its last blocks met, and tells the other in `Progress`. A source knows whether it or the sink is late; of a sink that is
// late, only the sink knows whether it is its disk or its processor.
// Thread: control. Pure.
#pragma once
#include "engine/board.h"

#include <string_view>

namespace tideway::session {

enum class Stall : uint8_t {
  kNone,
  kSource,  // a source's: blocks leave as soon as they are read and packed
  kCredit,  // a source's: blocks wait until the sink has room
  kDisk,    // a sink's: blocks come while others wait to be written
  kCpu,     // a sink's: blocks wait to be unpacked and hashed
};
std::string_view name_of(Stall stall);         // in messages; kNone: empty
Stall stall_named(std::string_view name);      // kNone: a word that is not known here

class StallWatch {
 public:
  static constexpr uint64_t kBlocksMin = 4;    // fewer say nothing
  static constexpr double kShare = 0.5;        // of the blocks since the last verdict

  // The verdict changes with every few blocks.
  Stall look(const engine::TransferBoard& board);
  Stall verdict() const { return verdict_; }

 private:
  struct Counts { uint64_t all = 0, dry = 0, uncredited = 0, unwritten = 0, queued = 0; };
  Counts before_;
  Stall verdict_ = Stall::kNone;
};

// As both sides have it.
struct Stalls { Stall source = Stall::kNone, sink = Stall::kNone; };
enum class Bottleneck : uint8_t { kNone, kSource, kSinkDisk, kSinkCpu };
Bottleneck bottleneck_of(const Stalls& stalls);

}  // namespace tideway::session
