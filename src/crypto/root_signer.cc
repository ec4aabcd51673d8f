// SPDX-License-Identifier: Apache-2.0
#include "crypto/root_signer.h"

#include "base/cursor.h"
#include "crypto/certificate.h"
#include "crypto/openssl_owned.h"
#include <tideway/check.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include <span>
#include <vector>

namespace tideway::crypto {
namespace {

constexpr std::string_view kPurpose = "tideway manifest v1";

std::vector<std::byte> signed_bytes(std::string_view site, const SignedTree& tree) {
  std::vector<std::byte> bytes(kPurpose.size() + 1 + site.size() + tree.root.size() + 2 * sizeof(uint64_t));
  Writer out(bytes);
  out.write_bytes(std::as_bytes(std::span(kPurpose)));
  out.write_u8(static_cast<uint8_t>(site.size()));
  out.write_bytes(std::as_bytes(std::span(site)));
  out.write_bytes(tree.root);
  out.write_u64(tree.entries);
  out.write_u64(tree.bytes);
  return bytes;
}

const unsigned char* data_of(std::span<const std::byte> bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

Error no_key(const std::string& path, std::string_view kind, std::string_view next) {
  ERR_clear_error();
  return {Fault::kConfigInvalid, path + ": is no " + std::string(kind) + " key of Ed25519 in PEM", std::string(next)};
}

bool is_ed25519(const EVP_PKEY* key) { return key != nullptr && EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519; }

}  // namespace

void FreeKey::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

Result<RootSigner> RootSigner::open(const std::string& path) {
  auto pem = read_private_file(path);
  if (!pem.ok()) return std::move(pem).error();
  const Owned<BIO> bio = reading(pem.value().text());
  std::unique_ptr<evp_pkey_st, FreeKey> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_pass_phrase, nullptr));
  if (!is_ed25519(key.get())) return no_key(path, "private", "make a pair with tideway pki signing-key, and name its signing.key");
  return RootSigner(std::move(key));
}

RootSignature RootSigner::sign(std::string_view site, const SignedTree& tree) const {
  RootSignature signature{std::string(site), {}};
  const auto bytes = signed_bytes(site, tree);
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  size_t size = signature.bytes.size();
  const bool is_signed = context != nullptr && EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
                         EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.bytes.data()), &size, data_of(bytes),
                                        bytes.size()) == 1;
  TIDEWAY_CHECK(is_signed && size == kSignatureSize);  // of a key that was checked, only for want of memory
  return signature;
}

Result<RootChecker> RootChecker::open(const std::string& path) {
  auto pem = read_public_file(path);
  if (!pem.ok()) return std::move(pem).error();
  const Owned<BIO> bio = reading(pem.value());
  std::unique_ptr<evp_pkey_st, FreeKey> key(PEM_read_bio_PUBKEY(bio.get(), nullptr, refuse_pass_phrase, nullptr));
  if (!is_ed25519(key.get())) return no_key(path, "public", "name the signing.pub that the site which signs has given away");
  return RootChecker(std::move(key));
}

bool RootChecker::is_good(const RootSignature& signature, const SignedTree& tree) const {
  const auto bytes = signed_bytes(signature.site, tree);
  const Owned<EVP_MD_CTX> context(EVP_MD_CTX_new());
  const bool is_good = context != nullptr && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
                       EVP_DigestVerify(context.get(), data_of(signature.bytes), signature.bytes.size(), data_of(bytes), bytes.size()) == 1;
  ERR_clear_error();
  return is_good;
}

Result<SigningKeyPair> make_signing_key() {
  const std::unique_ptr<evp_pkey_st, FreeKey> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  const Owned<BIO> secret(BIO_new(BIO_s_secmem())), open_half(BIO_new(BIO_s_mem()));
  const bool is_made = key != nullptr && PEM_write_bio_PrivateKey(secret.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1 &&
                       PEM_write_bio_PUBKEY(open_half.get(), key.get()) == 1;
  ERR_clear_error();
  if (!is_made) return Error{Fault::kUnsupported, "OpenSSL here makes no Ed25519 keys", "use OpenSSL 3 with its default provider"};
  return SigningKeyPair{SecretText(text_of(secret.get())), text_of(open_half.get())};
}

}  // namespace tideway::crypto
