// SPDX-License-Identifier: Apache-2.0
//
// SHA-256 (FIPS 180-4): fingerprints, session ids, tree roots.
// Thread: one owner.
#pragma once
#include <tideway/ids.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace tideway::crypto {

class Sha256 {
 public:
  Sha256();
  void update(std::span<const std::byte> bytes);
  // The hash of everything since the start or the last finish(); the next update() begins a new message.
  Hash256 finish();

 private:
  struct Free { void operator()(evp_md_ctx_st* context) const; };
  void start();
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

Hash256 sha256(std::span<const std::byte> bytes);
// Two lower-case digits per byte.
std::string to_hex(std::span<const std::byte> bytes);
// The other way; digits of either case. Nothing: it is not a hash in hex.
std::optional<Hash256> hash_from_hex(std::string_view hex);
// As people and files see a hash: "sha256:" and its hex.
std::string to_sha256_text(const Hash256& hash);
bool is_sha256_text(std::string_view text);  // as far as its first letters tell
std::optional<Hash256> parse_sha256_text(std::string_view text);

}  // namespace tideway::crypto
