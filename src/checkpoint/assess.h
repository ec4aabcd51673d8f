// SPDX-License-Identifier: Apache-2.0
//
// Whether a checkpoint is really complete. Each framework has its own sign for that and its own race, so each format has its own
// rule; on top of it nothing may have changed for a while, unless a hook said so behind the framework's own barrier. Nothing is
// ever unpickled: the rules look at names, sizes, times, ends of zip files, headers, small JSON and text.
// Thread: any. Pure.
#pragma once
#include "checkpoint/listing.h"
#include <tideway/result.h>
#include <tideway/time.h>

#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace tideway::checkpoint {

// In the order in which `auto` tries them.
enum class Kind : uint8_t { kMegatron, kDeepspeed, kHf, kOrbax, kLightning, kDcp, kSafetensors, kTorch };
std::string_view to_string(Kind kind);

struct Format {
  std::optional<Kind> kind;  // none: auto
  uint32_t world = 0;        // processes that save; 0: not known
};
// The kind in a word of the configuration, or "auto". Nothing: there is no such format.
std::optional<Format> format_named(std::string_view name);

inline constexpr Duration kSettleDefault = std::chrono::seconds(2);
// Of hosts that write one checkpoint: what is further apart was written in another save.
inline constexpr Duration kClocksApartMax = std::chrono::seconds(60);

// What is known of the time, by whoever looks.
struct Quiet {
  // kClosed: nobody has any of its files open to write. kHook: the framework said that it is through.
  enum class Source : uint8_t { kLooking, kClosed, kHook } source = Source::kLooking;
  Duration unchanged{};                                                      // since when the listing is what it is
  Duration settle = kSettleDefault;
};

inline constexpr size_t kDetailMax = 1000;  // bytes, of names that may be longer
struct Incomplete {
  std::string reason;  // one word, stable: changing (it only has to stay as it is), empty, no_format, no_marker, old_marker, writing, cut, missing, world_unknown,
                       // tracker_behind, tracker_changing, not_committed
  std::string detail;  // for people, as to_display() has it
  bool operator==(const Incomplete&) const = default;
};

struct Complete {
  Kind kind = Kind::kTorch;
  std::vector<std::string> files;     // to be sent
  std::vector<std::string> markers;   // of these, those to be published last, in the order in which they were written
  std::vector<std::string> pointers;  // names of files beside the checkpoint that point to the newest one
  bool operator==(const Complete&) const = default;
};
using Assessment = std::variant<Incomplete, Complete>;

// What assess() must be given of these files. It may be wanted and not be there.
std::vector<PieceName> wanted_pieces(const Listing& listing);

// Errors: usage: with `auto`, two formats fit, both named.
struct Seen {
  const Listing& listing;
  const Pieces& pieces;
  std::span<const uint32_t> came = {};  // of each file, the look at which it was first as it is now; 0: the first one, or earlier. Empty: there was none before
};
Result<Assessment> assess(const Seen& seen, const Format& format, const Quiet& quiet);

}  // namespace tideway::checkpoint
