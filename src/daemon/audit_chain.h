// SPDX-License-Identifier: Apache-2.0
//
// The lines of an audit log, each of which carries the hash of the line before:
//
//   {"v":1,"seq":7,"time":"2026-11-26T02:50:00.123Z","event":"published", ... ,"prev":"<SHA-256 of line 6, in hex>"}
//
// Who changes, removes or moves a line breaks the chain behind it. Whoever may write the file can make all of the rest
// anew, or cut its end: that shows only beside a hash that was noted elsewhere. The first line of all has a prev of zeros;
// a file that follows a rotated one goes on with its hash.
// Thread: any. Pure.
#pragma once
#include <tideway/ids.h>
#include <tideway/result.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tideway::daemon {

inline constexpr size_t kAuditLineMax = 64 * 1024;  // a dozen fields of at most 4 KiB

// Where a chain stands.
struct ChainEnd {
  uint64_t sequence = 0;  // of the last line; 0: there is none yet
  Hash256 hash{};         // of the last line
  bool operator==(const ChainEnd&) const = default;
};

// The line after `end`, without the newline, and moves `end` to it. `members` are JSON members: "event":"published".
std::string next_line(ChainEnd& end, std::string_view time, std::string_view members);

// What a line says of its place.
struct ChainLink {
  uint64_t sequence = 0;
  Hash256 previous{};
};
std::optional<ChainLink> parse_link(std::string_view line);
// Where the chain stands after this line. Nothing: it is none of ours.
std::optional<ChainEnd> end_at(std::string_view line);
std::string to_fields(const ChainEnd& end);  // for a log: "seq=7 hash=sha256:..."

// Goes through one file after the other, line by line.
class ChainCheck {
 public:
  // Errors: hash_mismatch, with what is wrong in which line of `file`.
  Status take(std::string_view file, std::string_view line);
  void begin_file() { line_ = 0; }

  uint64_t lines() const { return lines_; }
  uint64_t first() const { return first_; }   // sequence number of the first line
  const ChainEnd& end() const { return end_; }

 private:
  uint64_t lines_ = 0, line_ = 0, first_ = 0;
  ChainEnd end_;
};

}  // namespace tideway::daemon
