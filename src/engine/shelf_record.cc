// SPDX-License-Identifier: Apache-2.0
#include "engine/shelf_record.h"

#include <algorithm>
#include <cstring>

namespace tideway::engine {
namespace {

std::optional<Hash128> read_hash(Reader& in) {
  const auto bytes = in.read_bytes(sizeof(Hash128));
  if (!bytes) return std::nullopt;
  Hash128 hash{};
  std::ranges::copy(*bytes, hash.begin());
  return hash;
}

}  // namespace

size_t shelved_size(const ShelvedObject& object) {
  size_t size = kShelvedHead;
  for (const ShelvedRun& run : object.runs) size += kShelvedRunHead + run.hashes.size() * sizeof(Hash128);
  return size;
}

void write_shelved(Writer& out, const ShelvedObject& object) {
  out.write_bytes(object.key);
  out.write_bytes(object.boot);
  out.write_u32(static_cast<uint32_t>(object.runs.size()));
  for (const ShelvedRun& run : object.runs) {
    out.write_u32(run.first);
    out.write_u32(static_cast<uint32_t>(run.hashes.size()));
    out.write_bytes(std::as_bytes(std::span(run.hashes)));
  }
}

std::optional<ShelvedObject> parse_shelved(std::span<const std::byte> body) {
  Reader in(body);
  const auto key = read_hash(in), boot = read_hash(in);
  const auto runs = in.read_u32();
  if (!key || !boot || !runs) return std::nullopt;
  ShelvedObject object{*key, *boot, {}};
  uint64_t end = 0;
  for (uint32_t i = 0; i < *runs; ++i) {
    const auto first = in.read_u32(), count = in.read_u32();
    const auto hashes = count ? in.read_bytes(uint64_t{*count} * sizeof(Hash128)) : std::nullopt;
    if (!hashes || *count == 0 || *first < end) return std::nullopt;
    end = uint64_t{*first} + *count;
    ShelvedRun& run = object.runs.emplace_back(ShelvedRun{*first, std::vector<Hash128>(*count)});
    std::memcpy(run.hashes.data(), hashes->data(), hashes->size());
  }
  return in.is_empty() ? std::optional(std::move(object)) : std::nullopt;
}

}  // namespace tideway::engine
