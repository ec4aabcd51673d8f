// SPDX-License-Identifier: Apache-2.0
#include "daemon/audit_chain.h"

#include "crypto/sha256.h"

#include <tideway/object_name.h>

#include <charconv>
#include <span>

namespace tideway::daemon {
namespace {

constexpr std::string_view kFront = "{\"v\":1,\"seq\":";
constexpr std::string_view kTime = ",\"time\":\"";
constexpr std::string_view kPrevious = ",\"prev\":\"";
constexpr std::string_view kBack = "\"}";
constexpr size_t kHexSize = 2 * sizeof(Hash256);

Hash256 hash_of(std::string_view line) { return crypto::sha256(std::as_bytes(std::span(line))); }

}  // namespace

std::string next_line(ChainEnd& end, std::string_view time, std::string_view members) {
  std::string line(kFront);
  line.append(std::to_string(end.sequence + 1)).append(kTime).append(time).append("\",").append(members);
  line.append(kPrevious).append(crypto::to_hex(end.hash)).append(kBack);
  end = {end.sequence + 1, hash_of(line)};
  return line;
}

std::optional<ChainLink> parse_link(std::string_view line) {
  const size_t tail = kPrevious.size() + kHexSize + kBack.size();
  if (!line.starts_with(kFront) || !line.ends_with(kBack) || line.size() < kFront.size() + tail || line.size() > kAuditLineMax) return std::nullopt;
  ChainLink link;
  const char* const last = line.data() + line.size() - tail;
  const auto [end, failure] = std::from_chars(line.data() + kFront.size(), last, link.sequence);
  if (failure != std::errc() || link.sequence == 0 || !std::string_view(end, last).starts_with(kTime)) return std::nullopt;
  const std::string_view previous(last, tail);
  if (!previous.starts_with(kPrevious)) return std::nullopt;
  const auto hash = crypto::hash_from_hex(previous.substr(kPrevious.size(), kHexSize));
  if (!hash) return std::nullopt;
  link.previous = *hash;
  return link;
}

std::optional<ChainEnd> end_at(std::string_view line) {
  const auto link = parse_link(line);
  if (!link) return std::nullopt;
  return ChainEnd{link->sequence, hash_of(line)};
}

std::string to_fields(const ChainEnd& end) { return "seq=" + std::to_string(end.sequence) + " hash=" + crypto::to_sha256_text(end.hash); }

Status ChainCheck::take(std::string_view file, std::string_view line) {
  ++line_;
  const std::string where = to_display(file) + ':' + std::to_string(line_) + ": ";
  const auto broken = [&](const std::string& what) { return Error{Fault::kHashMismatch, where + what, "compare with a copy that was kept elsewhere"}; };
  const auto link = parse_link(line);
  if (!link) return broken("this is no line of an audit log, or it was changed");
  const uint64_t expected = end_.sequence + 1;
  if (lines_ == 0) {
    first_ = link->sequence;
    if (first_ == 1 && link->previous != Hash256{}) return broken("the first line of all was changed");
  } else if (link->sequence > expected) {
    return broken(std::to_string(link->sequence - expected) + " lines before this one are missing, from seq " + std::to_string(expected) + " on");
  } else if (link->sequence < expected) {
    return broken("seq " + std::to_string(link->sequence) + " stands behind seq " + std::to_string(end_.sequence) + ": lines were moved, repeated or put in");
  } else if (link->previous != end_.hash) {
    return broken("the line before it (seq " + std::to_string(end_.sequence) + ") was changed after this one was written");
  }
  ++lines_;
  end_ = {link->sequence, hash_of(line)};
  return success();
}

}  // namespace tideway::daemon
