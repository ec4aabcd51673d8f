// SPDX-License-Identifier: Apache-2.0
#include "session/signing.h"

namespace tideway::session {

Error unsigned_tree(const std::string& what) {
  return {Fault::kManifestMismatch, what, "ask the operator of the source which key signs, and from when on"};
}

Result<Signing> Signing::open(const SigningConfig& config) {
  Signing signing;
  if (!config.key.empty()) {
    auto signer = crypto::RootSigner::open(config.key);
    if (!signer.ok()) return std::move(signer).error();
    signing.signer_.emplace(std::move(signer).value());
  }
  for (const SigningConfig::Signer& one : config.signers) {
    auto checker = crypto::RootChecker::open(one.key);
    if (!checker.ok()) return std::move(checker).error();
    signing.checkers_.emplace(one.site, std::move(checker).value());
  }
  return signing;
}

std::optional<RootSignature> Signing::sign(std::string_view site, const crypto::SignedTree& tree) const {
  if (!signer_) return std::nullopt;
  return signer_->sign(site, tree);
}

Status Signing::check(const std::string& site, const std::optional<RootSignature>& signature, const crypto::SignedTree& tree) const {
  const auto checker = checkers_.find(site);
  if (checker == checkers_.end()) return success();
  if (!signature) return unsigned_tree("the tree from site " + site + " is not signed, and a [[signer]] here says that it is to be");
  if (signature->site == site && checker->second.is_good(*signature, tree)) return success();
  return unsigned_tree("the signature of the tree from site " + site + " is not the one of its [[signer]]");
}

}  // namespace tideway::session
