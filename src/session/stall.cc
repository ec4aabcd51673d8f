// SPDX-License-Identifier: Apache-2.0
#include "session/stall.h"

#include <algorithm>
#include <array>

namespace tideway::session {
namespace {

constexpr std::array<std::string_view, 5> kStallNames = {"", "source", "credit", "disk", "cpu"};

}  // namespace

std::string_view name_of(Stall stall) { return kStallNames[static_cast<size_t>(stall)]; }

Stall stall_named(std::string_view name) {
  const auto found = std::ranges::find(kStallNames, name);
  return found == kStallNames.end() ? Stall::kNone : static_cast<Stall>(found - kStallNames.begin());
}

Stall StallWatch::look(const engine::TransferBoard& board) {
  const Counts now{board.blocks.get(), board.blocks_dry.get(), board.blocks_uncredited.get(), board.blocks_unwritten.get(), board.blocks_queued.get()};
  const uint64_t all = now.all - before_.all;
  if (all < kBlocksMin) return verdict_;
  const auto is_usual = [all](uint64_t count) { return static_cast<double>(count) >= kShare * static_cast<double>(all); };
  // Where the disk is late the processor may wait for the same thread; and a source whose sink is late is not.
  verdict_ = is_usual(now.uncredited - before_.uncredited) ? Stall::kCredit
             : is_usual(now.dry - before_.dry)             ? Stall::kSource
             : is_usual(now.unwritten - before_.unwritten) ? Stall::kDisk
             : is_usual(now.queued - before_.queued)       ? Stall::kCpu
                                                           : Stall::kNone;
  before_ = now;
  return verdict_;
}

Bottleneck bottleneck_of(const Stalls& stalls) {
  if (stalls.source == Stall::kSource) return Bottleneck::kSource;
  if (stalls.source != Stall::kCredit) return Bottleneck::kNone;
  return stalls.sink == Stall::kDisk ? Bottleneck::kSinkDisk : stalls.sink == Stall::kCpu ? Bottleneck::kSinkCpu : Bottleneck::kNone;
}

}  // namespace tideway::session
