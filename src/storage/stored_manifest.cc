// SPDX-License-Identifier: Apache-2.0
#include "storage/stored_manifest.h"

#include "base/cursor.h"
#include "storage/scan.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cinttypes>
#include <cstdio>

namespace tideway::storage {
namespace {

constexpr uint32_t kMagic = 0x54574D46;  // "TWMF"
constexpr uint16_t kVersion = 1;
constexpr size_t kPreludeSize = 8;
constexpr size_t kFixedSize = 32 + 1 + 3 * 8 + 2;
constexpr size_t kCopyPiece = 1 << 20;
constexpr uint32_t kModesAll = 0777;

Error damaged(std::string why) {
  return {Fault::kManifestMismatch, "the manifest beside the data is damaged: " + std::move(why), "copy the data again"};
}

std::vector<std::byte> encode(const StoredManifestHeader& header) {
  size_t size = kPreludeSize + kFixedSize;
  for (const std::string& component : header.destination.components()) size += 1 + component.size();
  const bool has_modes = header.modes != kModesAll || header.signature;
  if (has_modes) size += sizeof(header.modes);
  if (header.signature) size += 1 + header.signature->site.size() + kSignatureSize;
  std::vector<std::byte> bytes(size);
  Writer out(bytes);
  out.write_u32(kMagic);
  out.write_u16(kVersion);
  out.write_u16(static_cast<uint16_t>(size - kPreludeSize));  // 32 KiB of name and 256 lengths fit
  out.write_bytes(header.root);
  out.write_u8(static_cast<uint8_t>(header.algorithm));
  out.write_u64(header.entries);
  out.write_u64(header.page_bytes);
  out.write_u64(header.leaves);
  out.write_u16(static_cast<uint16_t>(header.destination.components().size()));
  for (const std::string& component : header.destination.components()) {
    out.write_u8(static_cast<uint8_t>(component.size()));
    out.write_bytes(std::as_bytes(std::span(component)));
  }
  if (has_modes) out.write_u32(header.modes);
  if (!header.signature) return bytes;
  out.write_u8(static_cast<uint8_t>(header.signature->site.size()));
  out.write_bytes(std::as_bytes(std::span(header.signature->site)));
  out.write_bytes(header.signature->bytes);
  return bytes;
}

std::optional<RootSignature> decode_signature(Reader& in) {
  const auto site = in.read_bytes(in.read_u8().value_or(0));
  const auto bytes = in.read_bytes(kSignatureSize);
  if (!site || site->empty() || site->size() > kSigningSiteMax || !bytes) return std::nullopt;
  RootSignature signature{std::string(reinterpret_cast<const char*>(site->data()), site->size()), {}};
  std::copy(bytes->begin(), bytes->end(), signature.bytes.begin());
  return signature;
}

Result<StoredManifestHeader> decode(std::span<const std::byte> bytes) {
  if (bytes.size() < kFixedSize) return damaged("its header is too short");
  Reader in(bytes);
  StoredManifestHeader header;
  const auto root = *in.read_bytes(header.root.size());
  std::copy(root.begin(), root.end(), header.root.begin());
  const uint8_t algorithm = *in.read_u8();
  if (algorithm != static_cast<uint8_t>(TreeAlgorithm::kXxh3Leaves))
    return Error{Fault::kUnsupported, "the manifest uses hash algorithm " + std::to_string(algorithm) +
                 ", which this version does not know", "use a newer tideway"};
  header.entries = *in.read_u64();
  header.page_bytes = *in.read_u64();
  header.leaves = *in.read_u64();
  std::vector<std::string> components;
  for (uint16_t left = *in.read_u16(); left > 0; --left) {
    const auto length = in.read_u8();
    const auto name = in.read_bytes(length.value_or(0));
    if (!length || !name) return damaged("its destination is cut off");
    components.emplace_back(reinterpret_cast<const char*>(name->data()), name->size());
  }
  if (!in.is_empty()) header.modes = in.read_u32().value_or(kModesAll);
  if (!in.is_empty()) {
    header.signature = decode_signature(in);
    if (!header.signature) return damaged("its signature is cut off");
  }
  auto destination = ObjectName::from_components(std::move(components));
  if (!destination.ok() || !in.is_empty()) return damaged("its destination is no name");
  header.destination = std::move(destination).value();
  return header;
}

// Appends `size` bytes of `from` to `to` at `at`, which moves on. What `from` lacks becomes zeros. 0 or an errno.
int append(int to, uint64_t& at, int from, uint64_t size) {
  std::vector<std::byte> piece(std::min<uint64_t>(size, kCopyPiece));
  for (uint64_t done = 0; done < size;) {
    const auto now = std::span(piece).first(std::min<uint64_t>(piece.size(), size - done));
    const ssize_t got = ::pread(from, now.data(), now.size(), static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno;
    const size_t used = got == 0 ? now.size() : static_cast<size_t>(got);
    if (got == 0) std::fill(now.begin(), now.end(), std::byte{0});
    if (const int error = write_all(to, at, now.first(used)); error != 0) return error;
    at += used;
    done += used;
  }
  return 0;
}

}  // namespace

Result<StoredManifest> StoredManifest::open(const RootedDir& dir, const ObjectName& name) {
  auto file = dir.open_file(name, Access::kRead);
  if (!file.ok()) return std::move(file).error();
  const int fd = file.value().get();
  std::array<std::byte, kPreludeSize> prelude{};
  if (!read_exactly(fd, 0, prelude)) return damaged("it is too short");
  Reader in(prelude);
  if (*in.read_u32() != kMagic) return damaged("it does not begin with TWMF");
  if (const uint16_t version = *in.read_u16(); version != kVersion)
    return Error{Fault::kUnsupported, "the manifest has version " + std::to_string(version) + ", known is 1",
                 "use a newer tideway"};
  std::vector<std::byte> rest(*in.read_u16());
  if (!read_exactly(fd, kPreludeSize, rest)) return damaged("its header is cut off");
  auto header = decode(rest);
  if (!header.ok()) return std::move(header).error();
  const uint64_t pages_at = kPreludeSize + rest.size();
  const uint64_t size = stat_of(fd).stat.size.count();
  const StoredManifestHeader& found = header.value();
  if (found.page_bytes > size - pages_at || found.leaves > size / sizeof(Hash128) ||
      pages_at + found.page_bytes + found.leaves * sizeof(Hash128) != size)
    return damaged("its length is not what its header says");
  return StoredManifest(std::move(file).value(), std::move(header).value(), pages_at);
}

ObjectName kept_manifest_name(const ObjectName& destination) {
  uint64_t hash = 0xCBF29CE484222325;  // FNV-1a, with a zero behind each component
  for (const std::string& component : destination.components())
    for (size_t i = 0; i <= component.size(); ++i) hash = (hash ^ static_cast<unsigned char>(component.c_str()[i])) * 0x100000001B3;
  std::array<char, 20> text{};
  std::snprintf(text.data(), text.size(), "%016" PRIx64, hash);
  return ObjectName::from_components({std::string(kStateDirName), "manifests", text.data()}).value();
}

bool StoredManifest::read_leaves(uint64_t first, std::span<Hash128> out) const {
  if (first > header_.leaves || out.size() > header_.leaves - first) return false;
  return read_exactly(file_.get(), pages_at_ + header_.page_bytes + first * sizeof(Hash128), std::as_writable_bytes(out));
}

Status write_stored_manifest(const Staging& staging, StoredManifestHeader header, const RootedDir& dir,
                             const ObjectName& name) {
  auto pages = staging.open_manifest();
  if (!pages.ok()) return std::move(pages).error();
  auto leaves = staging.open_leaves();
  if (!leaves.ok()) return std::move(leaves).error();
  header.page_bytes = stat_of(pages.value().get()).stat.size.count();
  auto signature = staging.read_signature();
  if (!signature.ok()) return std::move(signature).error();
  header.signature = std::move(signature).value();
  auto file = dir.create_file(name, 0644);
  if (!file.ok()) return std::move(file).error();
  const int fd = file.value().get();
  const std::vector<std::byte> head = encode(header);
  uint64_t at = head.size();
  int error = write_all(fd, 0, head);
  if (error == 0) error = append(fd, at, pages.value().get(), header.page_bytes);
  if (error == 0) error = append(fd, at, leaves.value().get(), header.leaves * sizeof(Hash128));
  if (error == 0 && ::fdatasync(fd) != 0) error = errno;
  if (error != 0) return errno_error(Side::kDestination, error, "write", dir.shown(name));
  return success();
}

}  // namespace tideway::storage
