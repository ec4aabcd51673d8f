// SPDX-License-Identifier: Apache-2.0
#include "daemon/checkpoint_look.h"

#include "checkpoint/index_json.h"
#include "checkpoint/safetensors_header.h"
#include "checkpoint/tracker.h"
#include "checkpoint/zip_directory.h"
#include "storage/pin.h"
#include "storage/scan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

namespace tideway::daemon {
namespace {

using checkpoint::Part;

class Walk {
 public:
  explicit Walk(checkpoint::Listing& into) : into_(into) {}

  Status add_all(const storage::RootedDir& dir, const std::string& above) {  // NOLINT(misc-no-recursion): bounded by kPinDepthMax
    if (++depth_ > storage::kPinDepthMax) return too_large("deeper than " + std::to_string(storage::kPinDepthMax) + " directories");
    std::vector<std::string> names;
    if (Status status = dir.for_each_name([&](std::string_view name) { names.emplace_back(name); }); !status.ok()) return status;
    for (const std::string& name : names) {
      if (depth_ == 1 && storage::is_reserved_at_top(name)) continue;
      if (Status status = add(dir, name, above); !status.ok()) return status;
    }
    --depth_;
    return success();
  }

 private:
  Status add(const storage::RootedDir& dir, const std::string& name, const std::string& above) {  // NOLINT(misc-no-recursion)
    const auto stat = dir.stat_if_exists(storage::single_name(name));
    if (!stat.ok()) return stat.error();
    if (!stat.value()) return success();  // taken away since
    if (stat.value()->kind == storage::FileKind::kDirectory) {
      auto inner = dir.open_dir(storage::single_name(name));
      return inner.ok() ? add_all(inner.value(), above + name + '/') : Status(std::move(inner).error());
    }
    if (stat.value()->kind != storage::FileKind::kFile) return success();
    if (into_.files.size() == checkpoint::kFilesMax) return too_large("more than " + std::to_string(checkpoint::kFilesMax) + " files");
    into_.files.push_back({above + name, stat.value()->size, stat.value()->mtime_ns});
    return success();
  }
  Error too_large(const std::string& what) const {
    return {Fault::kUnsupported, "the checkpoint " + to_display(into_.name) + " has " + what, "copy it as a tree, with tideway submit"};
  }

  checkpoint::Listing& into_;
  size_t depth_ = 0;
};

// Where a piece is, below the root.
Result<ObjectName> place_of(const Spot& spot, const checkpoint::PieceName& piece) {
  constexpr std::string_view kBeside = "../";
  if (piece.path.starts_with(kBeside)) return spot.original.parent().child(std::string_view(piece.path).substr(kBeside.size()));
  std::vector<std::string> components(spot.at.components().begin(), spot.at.components().end());
  const auto below = ObjectName::from_text(piece.path);
  if (!below.ok()) return below.error();
  components.insert(components.end(), below.value().components().begin(), below.value().components().end());
  return ObjectName::from_components(std::move(components));
}

std::optional<std::string> read_range(int fd, uint64_t offset, uint64_t size) {
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t count = ::pread(fd, bytes.data() + done, size - done, static_cast<off_t>(offset + done));
    if (count <= 0) return std::nullopt;
    done += static_cast<size_t>(count);
  }
  return bytes;
}

std::optional<std::string> read_piece(const Spot& spot, const checkpoint::PieceName& piece, Bytes most) {
  const auto place = place_of(spot, piece);
  if (!place.ok()) return std::nullopt;
  auto file = spot.root.open_file(place.value(), storage::Access::kRead);
  if (!file.ok()) return std::nullopt;
  const int fd = file.value().get();
  const auto [stat, error] = storage::stat_of(fd);
  if (error != 0) return std::nullopt;
  const uint64_t size = stat.size.count();
  switch (piece.part) {
    case Part::kTail: return read_range(fd, size - std::min(size, checkpoint::kZipTail.count()), std::min(size, checkpoint::kZipTail.count()));
    case Part::kHead: {
      const auto front = read_range(fd, 0, std::min(size, checkpoint::kSafetensorsLength.count()));
      const auto head = front ? checkpoint::safetensors_head_size(*front) : std::nullopt;
      if (!head || *head > stat.size || *head > most) return std::nullopt;
      return read_range(fd, 0, head->count());
    }
    case Part::kWhole:
    case Part::kAgain: break;
  }
  const uint64_t limit = piece.path.starts_with("../") ? checkpoint::kTrackerBytesMax : checkpoint::kJsonBytesMax;
  if (size > limit || size > most.count()) return std::nullopt;
  return read_range(fd, 0, size);
}

}  // namespace

Result<checkpoint::Listing> list_checkpoint(const Spot& spot) {
  checkpoint::Listing listing;
  listing.name = spot.original.is_root() ? "" : spot.original.last();
  const auto stat = spot.root.stat(spot.at);
  if (!stat.ok()) return stat.error();
  if (stat.value().kind == storage::FileKind::kFile) {
    listing.files.push_back({"", stat.value().size, stat.value().mtime_ns});
    return listing;
  }
  auto dir = spot.root.open_dir(spot.at);
  if (!dir.ok()) return std::move(dir).error();
  if (Status status = Walk(listing).add_all(dir.value(), ""); !status.ok()) return std::move(status).error();
  std::ranges::sort(listing.files, {}, &checkpoint::File::path);
  return listing;
}

checkpoint::Pieces read_pieces(const Spot& spot, const checkpoint::Listing& listing) {
  checkpoint::Pieces pieces;
  Bytes left = kPiecesMax;
  for (const checkpoint::PieceName& name : checkpoint::wanted_pieces(listing)) {
    auto bytes = read_piece(spot, name, left);
    if (!bytes) continue;
    left = saturating_sub(left, Bytes(bytes->size()));
    pieces.emplace(name, std::move(*bytes));
  }
  return pieces;
}

// A lease is given back at once. Whoever opens the file in between waits for that, and the signal it costs is ignored (daemon.cc).
static bool is_closed(const Spot& spot, const checkpoint::File& file) {
  const auto place = place_of(spot, {file.path, Part::kWhole});
  if (!place.ok()) return false;
  auto opened = spot.root.open_file(place.value(), storage::Access::kRead);
  if (!opened.ok() || ::fcntl(opened.value().get(), F_SETLEASE, F_RDLCK) != 0) return false;
  return ::fcntl(opened.value().get(), F_SETLEASE, F_UNLCK) == 0;
}

Result<checkpoint::Assessment> assess_there(const Spot& spot, const checkpoint::Listing& listing, const Waiting& waiting) {
  const checkpoint::Pieces pieces = read_pieces(spot, listing);
  using Source = checkpoint::Quiet::Source;
  auto assessed = checkpoint::assess({listing, pieces, waiting.came}, waiting.format, {Source::kLooking, waiting.unchanged, waiting.settle});
  const auto* why = assessed.ok() ? std::get_if<checkpoint::Incomplete>(&assessed.value()) : nullptr;
  if (why == nullptr || why->reason != kChanging) return assessed;
  auto closed = checkpoint::assess({listing, pieces, waiting.came}, waiting.format, {Source::kClosed, waiting.unchanged, waiting.settle});
  const bool would_do = closed.ok() && std::holds_alternative<checkpoint::Complete>(closed.value());
  return would_do && std::ranges::all_of(listing.files, [&](const checkpoint::File& file) { return is_closed(spot, file); }) ? closed : assessed;
}

// Both are in byte order of their paths.
static std::vector<uint32_t> came_since(const checkpoint::Listing& before, const std::vector<uint32_t>& came, const checkpoint::Listing& listing, uint32_t look) {
  std::vector<uint32_t> now;
  auto old = before.files.begin();
  for (const checkpoint::File& file : listing.files) {
    while (old != before.files.end() && old->path < file.path) ++old;
    const bool is_as_before = old != before.files.end() && *old == file;
    now.push_back(is_as_before ? came[static_cast<size_t>(old - before.files.begin())] : look);
  }
  return now;
}

QuietTimes::Record QuietTimes::take(const std::string& key, const checkpoint::Listing& listing, const Listed& listed, Arrival arrival) {
  const auto [place, is_new] = seen_.try_emplace(key);
  Seen& seen = place->second;
  if (is_new) {
    seen.look = arrival == Arrival::kSeen ? 1 : 0;
    seen.came.assign(listing.files.size(), seen.look);
  } else if (seen.listing != listing) {
    seen.came = came_since(seen.listing, seen.came, listing, ++seen.look);
  }
  if (is_new || seen.listing != listing) {
    seen.listing = listing;
    seen.since = listed.ended;
  }
  return {std::max(listed.begun - seen.since, Duration()), seen.came};
}

}  // namespace tideway::daemon
