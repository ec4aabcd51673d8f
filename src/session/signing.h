// SPDX-License-Identifier: Apache-2.0
//
// Who signs the trees that this site sends, and whose signatures it wants to see on those that come: the key of [signing],
// and the public keys of [[signer]].
// Thread: control.
#pragma once
#include "crypto/root_signer.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tideway::session {

struct SigningConfig {
  std::string key;  // file; empty: nothing is signed
  struct Signer {
    std::string site, key;  // file
  };
  std::vector<Signer> signers;
};

class Signing {
 public:
  // Errors: config_invalid.
  static Result<Signing> open(const SigningConfig& config);

  bool signs() const { return signer_.has_value(); }
  // Nothing, when there is no key.
  std::optional<RootSignature> sign(std::string_view site, const crypto::SignedTree& tree) const;
  // Errors: manifest_mismatch, when the site has a signer here and this is not its signature of the tree.
  Status check(const std::string& site, const std::optional<RootSignature>& signature, const crypto::SignedTree& tree) const;

 private:
  std::optional<crypto::RootSigner> signer_;
  std::map<std::string, crypto::RootChecker> checkers_;  // by site
};

Error unsigned_tree(const std::string& what);  // manifest_mismatch

}  // namespace tideway::session
