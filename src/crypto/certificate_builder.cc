// SPDX-License-Identifier: Apache-2.0
#include "crypto/certificate_builder.h"

#include "crypto/openssl_owned.h"
#include "crypto/random_bytes.h"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>

namespace tideway::crypto {
namespace {

constexpr size_t kSerialSize = 16;  // random; the CA/Browser rules ask for 8 at least

Error builder_error(std::string_view what) {
  char reason[256] = "";
  ERR_error_string_n(ERR_get_error(), reason, sizeof reason);
  ERR_clear_error();
  return {Fault::kConfigInvalid, "make a certificate: " + std::string(what) + ": " + reason, ""};
}

bool set_serial(X509* certificate) {
  std::array<std::byte, kSerialSize> bytes;
  random_bytes(bytes);
  bytes[0] &= std::byte{0x7F};  // positive, as RFC 5280 wants
  bytes[0] |= std::byte{0x40};  // and never zero
  const Owned<BIGNUM> number(
      BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()), nullptr));
  return number != nullptr && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_dates(X509* certificate, const CertificateSpec& spec) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate), spec.not_before.time_since_epoch().count()) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate), spec.not_after.time_since_epoch().count()) != nullptr;
}

bool set_subject(X509* certificate, const std::string& common_name) {
  X509_NAME* const name = X509_get_subject_name(certificate);
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(common_name.data()),
                                    static_cast<int>(common_name.size()), -1, 0) == 1;
}

bool add_extension(X509* certificate, X509V3_CTX& context, int nid, const std::string& value) {
  const Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

std::string joined(const std::vector<std::string>& parts, std::string_view prefix) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ",") + std::string(prefix) + part;
  return text;
}

bool add_extensions(X509* certificate, X509* issuer, const CertificateSpec& spec) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const bool is_authority = spec.kind == CertificateKind::kAuthority;
  std::string names = joined(spec.uris, "URI:");
  const std::string dns = joined(spec.dns_names, "DNS:");
  if (!dns.empty()) names += (names.empty() ? "" : ",") + dns;
  const std::string usage = joined(spec.extended_usage, "");
  const std::string key_usage =
      !spec.key_usage.empty() ? spec.key_usage : is_authority ? "keyCertSign,cRLSign" : "digitalSignature";
  return add_extension(certificate, context, NID_basic_constraints,
                       is_authority ? "critical,CA:TRUE,pathlen:" + std::to_string(spec.authorities_below) : "critical,CA:FALSE") &&
         add_extension(certificate, context, NID_key_usage,
                       "critical," + key_usage) &&
         add_extension(certificate, context, NID_subject_key_identifier, "hash") &&
         add_extension(certificate, context, NID_authority_key_identifier, "keyid:always") &&
         (usage.empty() || add_extension(certificate, context, NID_ext_key_usage, usage)) &&
         (names.empty() || add_extension(certificate, context, NID_subject_alt_name, names));
}

struct Issuer {
  X509* certificate;  // nullptr: the new certificate signs itself
  EVP_PKEY* key;
};

Result<CertifiedKey> make(const CertificateSpec& spec, const Issuer& issuer) {
  const Owned<EVP_PKEY> key(EVP_EC_gen("P-256"));
  if (key == nullptr) return builder_error("key");
  const Owned<X509> certificate(X509_new());
  X509* const signer = issuer.certificate != nullptr ? issuer.certificate : certificate.get();
  const bool filled = certificate != nullptr && X509_set_version(certificate.get(), X509_VERSION_3) == 1 &&
                      set_serial(certificate.get()) && set_dates(certificate.get(), spec) &&
                      set_subject(certificate.get(), spec.common_name) &&
                      X509_set_issuer_name(certificate.get(), X509_get_subject_name(signer)) == 1 &&
                      X509_set_pubkey(certificate.get(), key.get()) == 1;
  if (!filled) return builder_error("fields");
  if (!add_extensions(certificate.get(), signer, spec)) return builder_error("extensions");
  EVP_PKEY* const signing_key = issuer.key != nullptr ? issuer.key : key.get();
  if (X509_sign(certificate.get(), signing_key, EVP_sha256()) == 0) return builder_error("signature");

  const Owned<BIO> certificate_text(BIO_new(BIO_s_mem())), key_text(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_X509(certificate_text.get(), certificate.get()) != 1 ||
      PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return builder_error("PEM");
  return CertifiedKey{text_of(certificate_text.get()), SecretText(text_of(key_text.get()))};
}

}  // namespace

Result<CertifiedKey> make_self_signed(const CertificateSpec& spec) {
  ERR_clear_error();
  return make(spec, {nullptr, nullptr});
}

Result<CertifiedKey> make_signed(const CertificateSpec& spec, const CertifiedKey& issuer) {
  ERR_clear_error();
  const Owned<BIO> certificate_text = reading(issuer.certificate), key_text = reading(issuer.key.text());
  const Owned<X509> certificate(PEM_read_bio_X509(certificate_text.get(), nullptr, nullptr, nullptr));
  if (certificate == nullptr) return builder_error("the authority's certificate cannot be read");
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(key_text.get(), nullptr, refuse_pass_phrase, nullptr));
  if (key == nullptr) return builder_error("the authority's key cannot be read");
  if (X509_check_private_key(certificate.get(), key.get()) != 1)
    return builder_error("the authority's key is not that of its certificate");
  return make(spec, {certificate.get(), key.get()});
}

}  // namespace tideway::crypto
