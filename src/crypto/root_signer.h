// SPDX-License-Identifier: Apache-2.0
//
// Signs the roots of trees, and checks what another site signed: Ed25519 (RFC 8032) over
//
//   "tideway manifest v1" ‖ u8 length of the site's name ‖ site ‖ root (32) ‖ u64 entries ‖ u64 bytes, numbers big-endian
//
// Leaves are XXH3, so this says from whom a tree came and what its names are; somebody who may write to the source can
// build other bytes with the same hash.
// Thread: one owner.
#pragma once
#include "crypto/secret.h"
#include <tideway/ids.h>
#include <tideway/result.h>
#include <tideway/root_signature.h>

#include <memory>
#include <string>
#include <string_view>

struct evp_pkey_st;

namespace tideway::crypto {

struct SignedTree {
  Hash256 root{};
  uint64_t entries = 0, bytes = 0;  // in its manifest; bytes of all files together
};

struct FreeKey { void operator()(evp_pkey_st* key) const; };

class RootSigner {
 public:
  // A private key in PEM (0600). Errors: config_invalid, naming the file.
  static Result<RootSigner> open(const std::string& path);
  // `site` is our own.
  RootSignature sign(std::string_view site, const SignedTree& tree) const;

 private:
  explicit RootSigner(std::unique_ptr<evp_pkey_st, FreeKey> key) : key_(std::move(key)) {}
  std::unique_ptr<evp_pkey_st, FreeKey> key_;
};

class RootChecker {
 public:
  // A public key in PEM. Errors: config_invalid, naming the file.
  static Result<RootChecker> open(const std::string& path);
  bool is_good(const RootSignature& signature, const SignedTree& tree) const;

 private:
  explicit RootChecker(std::unique_ptr<evp_pkey_st, FreeKey> key) : key_(std::move(key)) {}
  std::unique_ptr<evp_pkey_st, FreeKey> key_;
};

struct SigningKeyPair {
  SecretText secret;        // PEM
  std::string public_half;  // PEM
};
Result<SigningKeyPair> make_signing_key();

}  // namespace tideway::crypto
