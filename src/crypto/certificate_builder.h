// SPDX-License-Identifier: Apache-2.0
//
// Makes keys and certificates (X.509 version 3, ECDSA on P-256). Every field is an option, because tests need wrong
// certificates as much as `tideway pki` needs right ones.
// Thread: any; no state.
#pragma once
#include "crypto/certificate.h"
#include "crypto/secret.h"

#include <tideway/result.h>

#include <string>
#include <vector>

namespace tideway::crypto {

enum class CertificateKind : uint8_t { kAuthority, kGateway };

struct CertificateSpec {
  CertificateKind kind = CertificateKind::kGateway;
  std::string common_name;         // for people who read the certificate; decides nothing
  std::vector<std::string> uris;   // subject alternative names
  std::vector<std::string> dns_names;
  UnixTime not_before, not_after;
  std::vector<std::string> extended_usage = {"clientAuth", "serverAuth"};  // OpenSSL's names; an authority needs none
  std::string key_usage;           // OpenSSL's names; empty: what `kind` needs
  uint32_t authorities_below = 1;  // of an authority: how many may stand between it and a gateway
};

struct CertifiedKey {
  std::string certificate;  // PEM
  SecretText key;           // PEM, PKCS #8
};

// Errors: config_invalid, with what OpenSSL refused.
Result<CertifiedKey> make_self_signed(const CertificateSpec& spec);
// Errors: config_invalid also when the issuer's text is no certificate, no key, or they do not belong together.
Result<CertifiedKey> make_signed(const CertificateSpec& spec, const CertifiedKey& issuer);

}  // namespace tideway::crypto
