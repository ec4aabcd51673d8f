// SPDX-License-Identifier: Apache-2.0
//
// OpenSSL's objects with an owner each, and its memory BIOs, for the files of this module that read and write PEM.
// Thread: any; one owner.
#pragma once
#include <tideway/check.h>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>
#include <string_view>

namespace tideway::crypto {

struct Free {
  void operator()(BIO* p) const { BIO_free(p); }
  void operator()(BIGNUM* p) const { BN_free(p); }
  void operator()(EVP_MD_CTX* p) const { EVP_MD_CTX_free(p); }
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(GENERAL_NAMES* p) const { GENERAL_NAMES_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(X509_CRL* p) const { X509_CRL_free(p); }
  void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
};
template <typename T>
using Owned = std::unique_ptr<T, Free>;

// Reads from `text`, which must outlive it.
inline Owned<BIO> reading(std::string_view text) {
  Owned<BIO> bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  TIDEWAY_CHECK(bio != nullptr);
  return bio;
}

// What was written into a memory BIO.
inline std::string text_of(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

// A pass phrase callback. Without one, OpenSSL would ask at the terminal.
inline int refuse_pass_phrase(char*, int, int, void*) { return -1; }

}  // namespace tideway::crypto
