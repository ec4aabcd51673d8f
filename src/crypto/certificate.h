// SPDX-License-Identifier: Apache-2.0
//
// What a certificate says, and the files it and its key lie in. A valid chain is not an identity: the identity is the
// certificate's one and only URI name; common name and DNS names are ignored.
// Thread: any; no state.
#pragma once
#include "crypto/identity.h"
#include "crypto/secret.h"

#include <tideway/ids.h>
#include <tideway/result.h>

#include <chrono>
#include <string>
#include <string_view>

struct x509_st;

namespace tideway::crypto {

using UnixTime = std::chrono::sys_seconds;  // certificates live on the calendar, not on the monotonic time line

inline constexpr size_t kPemFileMax = 1 << 20;  // a CA bundle with a long revocation list beside it; more is a mistake

struct Certificate {
  Identity identity;
  UnixTime not_before, not_after;
  Hash256 fingerprint;  // SHA-256 over the DER form
};

// Why a certificate does not pass; the stable words of the error catalogue.
enum class CertificateFault : uint8_t { kExpired, kNotYetValid, kUntrusted, kIdentity, kUsage, kRevoked };
std::string_view to_string(CertificateFault fault);  // "cert_expired" and so on
// auth_failed with the reason at the front of the text.
Error certificate_error(CertificateFault fault, std::string_view detail);

// Errors: auth_failed, cert_identity: no URI name, several, or one of another form.
Result<Certificate> read_certificate(const x509_st* certificate);
// The first certificate of PEM text. Errors: also config_invalid, naming `origin`.
Result<Certificate> read_certificate_pem(std::string_view pem, std::string_view origin);

// What the certificate of an authority says: its one URI name, as it stands there.
struct AuthorityFacts {
  std::string uri;
  UnixTime not_after;
};
// Errors: config_invalid, naming `origin`: no certificate, not of an authority, or not exactly one URI name.
Result<AuthorityFacts> read_authority_pem(std::string_view pem, std::string_view origin);

// What URI names a certificate has, for logs; never longer than a line.
std::string describe(const x509_st* certificate);

// A file of at most kPemFileMax bytes that may be public. Errors: config_invalid.
Result<std::string> read_public_file(const std::string& path);
// A private key: a regular file, not a link, of our own user, without rights for group and others. The checks are made
// on the descriptor that is read, so the file cannot be another one by then. Errors: config_invalid with file and mode.
Result<SecretText> read_private_file(const std::string& path);

}  // namespace tideway::crypto
