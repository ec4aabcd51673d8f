// SPDX-License-Identifier: Apache-2.0
#include "crypto/certificate.h"

#include "base/descriptor.h"
#include "base/operator_file.h"
#include "crypto/openssl_owned.h"

#include <tideway/object_name.h>

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <vector>

namespace tideway::crypto {
namespace {

constexpr size_t kDescriptionMax = 256;

// All URI names, as the raw bytes they are: a NUL inside must not end the comparison.
std::vector<std::string> uri_names(const X509* certificate) {
  std::vector<std::string> uris;
  ERR_clear_error();
  const Owned<GENERAL_NAMES> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  ERR_clear_error();
  if (names == nullptr) return uris;
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* const name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* const text = name->d.uniformResourceIdentifier;
    uris.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                      static_cast<size_t>(ASN1_STRING_length(text)));
  }
  return uris;
}

Result<UnixTime> unix_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1)
    return certificate_error(CertificateFault::kUntrusted, "its dates cannot be read");
  using namespace std::chrono;
  const sys_days day = year(parts.tm_year + 1900) / month(static_cast<unsigned>(parts.tm_mon) + 1) /
                       std::chrono::day(static_cast<unsigned>(parts.tm_mday));
  return UnixTime(day + hours(parts.tm_hour) + minutes(parts.tm_min) + seconds(parts.tm_sec));
}

Owned<X509> first_certificate(std::string_view pem) {
  ERR_clear_error();
  const Owned<BIO> bio = reading(pem);
  Owned<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, refuse_pass_phrase, nullptr));
  ERR_clear_error();
  return certificate;
}

constexpr std::string_view kNextOfUnreadable = "see that the file is there, and that the user who runs this may read it";
constexpr std::string_view kNextOfNoPem = "name the PEM file that tideway pki, or your own authority, wrote";

Error file_error(const std::string& path, std::string_view why, std::string_view next) {
  return {Fault::kConfigInvalid, path + ": " + std::string(why), std::string(next)};
}

Result<std::string> read_all(int fd, const std::string& path) {
  std::string text;
  char piece[4096];
  for (;;) {
    const ssize_t got = ::read(fd, piece, sizeof piece);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return file_error(path, std::strerror(errno), kNextOfUnreadable);
    if (got == 0) return text;
    if (text.size() + static_cast<size_t>(got) > kPemFileMax) {
      cleanse(std::as_writable_bytes(std::span(text)));
      return file_error(path, "larger than 1 MiB; that is no certificate or key", kNextOfNoPem);
    }
    text.append(piece, static_cast<size_t>(got));
    cleanse(std::as_writable_bytes(std::span(piece)));
  }
}

}  // namespace

std::string_view to_string(CertificateFault fault) {
  static constexpr std::string_view kNames[] = {"cert_expired", "cert_not_yet_valid", "cert_untrusted",
                                                "cert_identity", "cert_usage", "cert_revoked"};
  return kNames[static_cast<size_t>(fault)];
}

Error certificate_error(CertificateFault fault, std::string_view detail) {
  static constexpr std::string_view kNext[] = {
      "issue a new certificate (tideway pki issue) and reload; where it should not have ended yet, check the clocks of both gateways",
      "check the clocks of both gateways, or wait until the certificate begins",
      "compare the ca.crt of both gateways; the certificate must come from that authority",
      "check the certificate's URI name and the peer's entry in the configuration",
      "issue the certificate again with the extended key usages client and server authentication",
      "issue a new certificate and find out why this one was revoked"};
  return {Fault::kAuthFailed, std::string(to_string(fault)) + ": " + std::string(detail),
          std::string(kNext[static_cast<size_t>(fault)])};
}

std::string describe(const x509_st* certificate) {
  std::string text;
  for (const std::string& uri : uri_names(certificate)) {
    text += (text.empty() ? "" : ", ") + to_display(uri.substr(0, kDescriptionMax));
    if (text.size() > kDescriptionMax) break;
  }
  return text.empty() ? "a certificate without URI name" : text.substr(0, kDescriptionMax);
}

Result<Certificate> read_certificate(const x509_st* certificate) {
  const std::vector<std::string> uris = uri_names(certificate);
  if (uris.size() != 1)
    return certificate_error(CertificateFault::kIdentity,
                             "the certificate has " + (uris.empty() ? "no" : std::to_string(uris.size())) +
                                 " URI names instead of exactly one");
  auto identity = Identity::parse(uris.front());
  if (!identity.ok()) return std::move(identity).error();
  auto not_before = unix_time(X509_get0_notBefore(certificate));
  if (!not_before.ok()) return std::move(not_before).error();
  auto not_after = unix_time(X509_get0_notAfter(certificate));
  if (!not_after.ok()) return std::move(not_after).error();
  Certificate facts{std::move(identity).value(), not_before.value(), not_after.value(), {}};
  unsigned size = 0;
  TIDEWAY_CHECK(X509_digest(certificate, EVP_sha256(), reinterpret_cast<unsigned char*>(facts.fingerprint.data()),
                            &size) == 1);
  return facts;
}

Result<Certificate> read_certificate_pem(std::string_view pem, std::string_view origin) {
  const auto certificate = first_certificate(pem);
  if (certificate == nullptr) return file_error(std::string(origin), "holds no certificate in PEM form", kNextOfNoPem);
  return read_certificate(certificate.get());
}

Result<AuthorityFacts> read_authority_pem(std::string_view pem, std::string_view origin) {
  const auto certificate = first_certificate(pem);
  if (certificate == nullptr) return file_error(std::string(origin), "holds no certificate in PEM form", kNextOfNoPem);
  if ((X509_get_extension_flags(certificate.get()) & EXFLAG_CA) == 0)
    return file_error(std::string(origin), "is not the certificate of an authority", "name the ca.crt of the authority, not the certificate of a gateway");
  const std::vector<std::string> uris = uri_names(certificate.get());
  if (uris.size() != 1) return file_error(std::string(origin), "does not have exactly one URI name", "make the authority with tideway pki init, which names its trust domain");
  auto not_after = unix_time(X509_get0_notAfter(certificate.get()));
  if (!not_after.ok()) return std::move(not_after).error();
  return AuthorityFacts{uris.front(), not_after.value()};
}

Result<std::string> read_public_file(const std::string& path) {
  const Descriptor file(open_operator_file(path, O_RDONLY | O_NOCTTY | O_NONBLOCK));
  if (file.get() < 0) return file_error(path, text_of_open_error(-file.get()), kNextOfUnreadable);
  return read_all(file.get(), path);
}

Result<SecretText> read_private_file(const std::string& path) {
  const Descriptor file(open_operator_file(path, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW));
  if (file.get() == -ELOOP)
    return file_error(path, "is a symbolic link, or reached by one of somebody else; a private key is not read through those", "name the file itself");
  if (file.get() < 0) return file_error(path, text_of_open_error(-file.get()), kNextOfUnreadable);
  struct stat facts;
  if (::fstat(file.get(), &facts) != 0) return file_error(path, std::strerror(errno), kNextOfUnreadable);
  if (!S_ISREG(facts.st_mode)) return file_error(path, "is not a regular file", "name the file itself");
  if (facts.st_uid != ::geteuid())
    return file_error(path, "belongs to user " + std::to_string(facts.st_uid) + ", not to the one that runs tideway (" +
                                std::to_string(::geteuid()) + ")",
                      "chown the file");
  if ((facts.st_mode & 077) != 0) {
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", static_cast<unsigned>(facts.st_mode & 07777));
    return file_error(path, "has mode " + std::string(mode) + "; others than its owner can reach the private key",
                      "chmod 600 " + path);
  }
  auto text = read_all(file.get(), path);
  if (!text.ok()) return std::move(text).error();
  SecretText secret(std::move(text).value());
  return secret;
}

}  // namespace tideway::crypto
