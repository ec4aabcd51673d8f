// SPDX-License-Identifier: Apache-2.0
#include "base/trace.h"

#include <algorithm>

namespace tideway {
namespace {

constexpr const char* name_of(TraceEvent event) {
  constexpr const char* kNames[] = {"none", "packet_lost", "probe_timeout", "spurious_loss", "mtu_changed",
                                    "key_epoch_changed", "path_changed", "block_dropped", "credit_stall", "flow_dead"};
  return kNames[static_cast<size_t>(event)];
}

}  // namespace

std::string Trace::dump() const {
  std::string text;
  for (uint64_t i = next_ - std::min<uint64_t>(next_, kRecords); i < next_; ++i) {
    const TraceRecord& record = records_[i % kRecords];
    text += std::to_string(record.at.time_since_epoch().count()) + ' ' + name_of(record.event) +
            " flow=" + std::to_string(record.flow) + ' ' + std::to_string(record.first) + ' ' +
            std::to_string(record.second) + '\n';
  }
  return text;
}

}  // namespace tideway
