// SPDX-License-Identifier: Apache-2.0
#include "statistics.h"

#include "base/amounts.h"

#include <array>
#include <cstdarg>
#include <cstdio>

namespace tideway::wan {
namespace {

double seconds(Duration time) { return static_cast<double>(time.count()) / 1e9; }

[[gnu::format(printf, 2, 3)]] void append(std::string& text, const char* format, ...) {
  std::array<char, 512> line;
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(line.data(), line.size(), format, arguments);
  va_end(arguments);
  text.append(line.data(), std::min(static_cast<size_t>(std::max(length, 0)), line.size() - 1));
}

unsigned long long number(uint64_t value) { return value; }
unsigned long long number(Bytes value) { return value.count(); }

void append_text(std::string& text, Direction& direction, Duration age) {
  const LinkCounters& c = direction.counters();
  append(text, "%s -> %s\n", direction.from().interface().c_str(), direction.to().interface().c_str());
  append(text, "  in         %llu frames, %s\n", number(c.frames_in), to_string(c.bytes_in).c_str());
  append(text, "  delivered  %llu frames, %s, %s on average\n", number(c.frames_delivered),
         to_string(c.bytes_delivered).c_str(), to_string(Rate::of(c.bytes_delivered, age)).c_str());
  append(text, "  dropped   ");
  for (size_t i = 0; i < kDropCauses; ++i) append(text, " %s %llu", name_of(static_cast<DropCause>(i)), number(c.dropped[i]));
  append(text, "\n  changed    duplicated %llu corrupted %llu reordered %llu ce-marked %llu\n", number(c.frames_duplicated),
         number(c.frames_corrupted), number(c.frames_reordered), number(c.frames_ce_marked));
  const Bytes limit = direction.queue_limit();
  append(text, "  queue      peak %s of %s\n", to_string(c.queue_peak).c_str(),
         limit == Bytes::max() ? "no limit" : to_string(limit).c_str());
  append(text, "  late       mean %s, max %s\n", to_string(direction.lateness().mean()).c_str(),
         to_string(direction.lateness().max).c_str());
  const Mistakes& m = direction.mistakes();
  if (!m.any()) return;
  append(text, "  MISTAKES   superframes %llu, checksums missing %llu, ring drops %llu, store full %llu, sends refused %llu\n",
         number(m.superframes), number(m.checksums_missing), number(m.ring_drops), number(m.store_full),
         number(m.sends_refused));
  if (m.superframes + m.checksums_missing > 0)
    append(text, "             switch off offloads at the far end of %s: ethtool -K IF tx off tso off gso off gro off\n",
           direction.from().interface().c_str());
}

void append_json(std::string& text, const char* name, Direction& direction) {
  const LinkCounters& c = direction.counters();
  append(text, ",\"%s\":{\"frames_in\":%llu,\"bytes_in\":%llu,\"frames_delivered\":%llu,\"bytes_delivered\":%llu", name,
         number(c.frames_in), number(c.bytes_in), number(c.frames_delivered), number(c.bytes_delivered));
  for (size_t i = 0; i < kDropCauses; ++i)
    append(text, ",\"dropped_%s\":%llu", name_of(static_cast<DropCause>(i)), number(c.dropped[i]));
  append(text, ",\"duplicated\":%llu,\"corrupted\":%llu,\"reordered\":%llu,\"ce_marked\":%llu,\"queue_peak_bytes\":%llu",
         number(c.frames_duplicated), number(c.frames_corrupted), number(c.frames_reordered), number(c.frames_ce_marked),
         number(c.queue_peak));
  const Mistakes& m = direction.mistakes();
  append(text, ",\"late_mean_s\":%.6f,\"late_max_s\":%.6f", seconds(direction.lateness().mean()),
         seconds(direction.lateness().max));
  append(text, ",\"mistakes\":{\"superframes\":%llu,\"checksums_missing\":%llu,\"ring_drops\":%llu,\"store_full\":%llu,\"sends_refused\":%llu}}",
         number(m.superframes), number(m.checksums_missing), number(m.ring_drops), number(m.store_full),
         number(m.sends_refused));
}

}  // namespace

std::string to_text(const Snapshot& snapshot) {
  std::string text;
  append(text, "after %.1f s, own CPU time %.2f s (%.1f %% of a core)\n", seconds(snapshot.age), seconds(snapshot.cpu),
         snapshot.age.count() == 0 ? 0.0 : 100 * seconds(snapshot.cpu) / seconds(snapshot.age));
  append_text(text, snapshot.ab, snapshot.age);
  append_text(text, snapshot.ba, snapshot.age);
  return text;
}

std::string to_json(const Snapshot& snapshot, const char* type) {
  std::string text;
  append(text, "{\"v\":1,\"type\":\"%s\",\"seconds\":%.3f,\"cpu_seconds\":%.3f", type, seconds(snapshot.age),
         seconds(snapshot.cpu));
  append_json(text, "ab", snapshot.ab);
  append_json(text, "ba", snapshot.ba);
  text += "}\n";
  return text;
}

}  // namespace tideway::wan
