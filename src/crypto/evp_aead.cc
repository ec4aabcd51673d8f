// SPDX-License-Identifier: Apache-2.0
//
// What is slow in EVP is everything but the encryption: fetching the cipher (a lock), setting the key, making a
// context. So the cipher is fetched once per process, the key is set once per object, and a packet only brings its IV.
// Thread: net worker.
#include "crypto/evp_aead.h"

#include "crypto/aead_nonce.h"

#include <tideway/check.h>

#include <openssl/evp.h>

#include <algorithm>

namespace tideway::crypto {
namespace {

const EVP_CIPHER* cipher() {
  static const EVP_CIPHER* const fetched = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  TIDEWAY_CHECK(fetched != nullptr);
  return fetched;
}

unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }
const unsigned char* raw(const std::byte* bytes) { return reinterpret_cast<const unsigned char*>(bytes); }

class EvpAead final : public Aead {
 public:
  EvpAead(std::span<const std::byte, kAeadKeySize> key, std::span<const std::byte, kAeadIvSize> iv)
      : seal_(EVP_CIPHER_CTX_new()), open_(EVP_CIPHER_CTX_new()) {
    std::copy(iv.begin(), iv.end(), iv_.begin());
    TIDEWAY_CHECK(seal_ != nullptr && open_ != nullptr);
    TIDEWAY_CHECK(EVP_EncryptInit_ex2(seal_.get(), cipher(), raw(key.data()), nullptr, nullptr) == 1);
    TIDEWAY_CHECK(EVP_DecryptInit_ex2(open_.get(), cipher(), raw(key.data()), nullptr, nullptr) == 1);
  }

  void seal(std::span<const SealJob> burst) override {
    for (const SealJob& job : burst) seal_one(job);
  }

  size_t open(std::span<OpenJob> burst) override {
    size_t authentic = 0;
    for (OpenJob& job : burst) {
      job.authentic = open_one(job);
      authentic += job.authentic;
    }
    return authentic;
  }

 private:
  struct Free { void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); } };
  using Context = std::unique_ptr<EVP_CIPHER_CTX, Free>;

  void seal_one(const SealJob& job) {
    TIDEWAY_DCHECK(job.out.size() == job.plain.size() + kAeadTagSize);
    const AeadIv nonce = nonce_of(iv_, job.packet_number);
    EVP_CIPHER_CTX* const context = seal_.get();
    int size = 0;
    bool done = EVP_EncryptInit_ex2(context, nullptr, nullptr, raw(nonce.data()), nullptr) == 1 &&
                EVP_EncryptUpdate(context, nullptr, &size, raw(job.header.data()),
                                  static_cast<int>(job.header.size())) == 1;
    if (!job.plain.empty())
      done = done && EVP_EncryptUpdate(context, raw(job.out.data()), &size, raw(job.plain.data()),
                                       static_cast<int>(job.plain.size())) == 1;
    std::byte* const tag = job.out.data() + job.plain.size();
    done = done && EVP_EncryptFinal_ex(context, raw(tag), &size) == 1 &&
           EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kAeadTagSize, tag) == 1;
    TIDEWAY_CHECK(done);
  }

  bool open_one(const OpenJob& job) {
    if (job.sealed.size() < kAeadTagSize) return false;
    const size_t size_plain = job.sealed.size() - kAeadTagSize;
    TIDEWAY_DCHECK(job.out.size() == size_plain);
    const AeadIv nonce = nonce_of(iv_, job.packet_number);
    std::array<unsigned char, kAeadTagSize> tag;  // SET_TAG takes a writable pointer
    std::copy_n(raw(job.sealed.data()) + size_plain, kAeadTagSize, tag.begin());
    EVP_CIPHER_CTX* const context = open_.get();
    int size = 0;
    if (EVP_DecryptInit_ex2(context, nullptr, nullptr, raw(nonce.data()), nullptr) != 1 ||
        EVP_DecryptUpdate(context, nullptr, &size, raw(job.header.data()),
                          static_cast<int>(job.header.size())) != 1)
      return false;
    if (size_plain != 0 && EVP_DecryptUpdate(context, raw(job.out.data()), &size, raw(job.sealed.data()),
                                             static_cast<int>(size_plain)) != 1)
      return false;
    unsigned char nothing[kAeadTagSize];
    return EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kAeadTagSize, tag.data()) == 1 &&
           EVP_DecryptFinal_ex(context, nothing, &size) == 1;
  }

  Context seal_, open_;
  AeadIv iv_;
};

}  // namespace

std::unique_ptr<Aead> make_evp_aead(std::span<const std::byte, kAeadKeySize> key,
                                    std::span<const std::byte, kAeadIvSize> iv) {
  return std::make_unique<EvpAead>(key, iv);
}

}  // namespace tideway::crypto
