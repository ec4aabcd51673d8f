// SPDX-License-Identifier: Apache-2.0
//
// One call per packet into libipsec-mb. A manager is a table of function pointers and scratch space that may not be
// shared by threads, so each thread has one of each kind, made at its first use. An expanded key is plain memory in a
// layout of that kind of manager: every manager of a kind is filled by the same function on the same CPU, so a key
// made on the control thread fits the net worker's.
// Thread: net worker.
#include "crypto/ipsec_mb_aead.h"

#include "base/prefetch.h"
#include "crypto/aead_nonce.h"
#include "crypto/secret.h"

#include <tideway/check.h>

#include <intel-ipsec-mb.h>

#include <algorithm>
#include <cstring>

namespace tideway::crypto {
namespace {

enum class Kind : uint8_t { kBest, kAvx2 };

struct FreeManager { void operator()(IMB_MGR* manager) const { free_mb_mgr(manager); } };
using Manager = std::unique_ptr<IMB_MGR, FreeManager>;

template <Kind kind>
Manager make_manager() {
  Manager manager(alloc_mb_mgr(0));
  TIDEWAY_CHECK(manager != nullptr);
  if constexpr (kind == Kind::kAvx2) init_mb_mgr_avx2(manager.get());
  else init_mb_mgr_auto(manager.get(), nullptr);
  TIDEWAY_CHECK(imb_get_errno(manager.get()) == 0);
  return manager;
}

template <Kind kind>
IMB_MGR* thread_manager() {
  thread_local const Manager manager = make_manager<kind>();
  return manager.get();
}

// Whether two tags are the same, in a time that does not tell where they differ.
bool equal_tags(const std::byte* a, const std::byte* b) {
  uint64_t x[2], y[2];
  static_assert(sizeof x == kAeadTagSize);
  std::memcpy(x, a, sizeof x);
  std::memcpy(y, b, sizeof y);
  return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

// The library works through one packet at a time, so the CPU's own prefetching starts anew with each: too late for one that
// takes a third of a microsecond, when another core or a device used its room last, and its block lies in no cache. So both sides
// of the next packet are asked for before this one is worked on. Of a large packet the front of the sealed side is enough: the rest
// is a run that the CPU follows.
constexpr size_t kAskedAhead = 1536;

template <typename Byte>
std::span<Byte> front_of(std::span<Byte> bytes) { return bytes.first(std::min(bytes.size(), kAskedAhead)); }

TIDEWAY_ASKS void ask_ahead(const SealJob& next) {
  ask_to_write(front_of(next.out));
  if (next.plain.size() <= kAskedAhead) ask_to_read(next.plain);
}

TIDEWAY_ASKS void ask_ahead(const OpenJob& next) {
  ask_to_read(front_of(next.sealed));
  if (next.out.size() <= kAskedAhead) ask_to_write(next.out);
}

template <Kind kind>
class IpsecMbAead final : public Aead {
 public:
  IpsecMbAead(std::span<const std::byte, kAeadKeySize> key, std::span<const std::byte, kAeadIvSize> iv) {
    std::copy(iv.begin(), iv.end(), iv_.begin());
    IMB_AES256_GCM_PRE(thread_manager<kind>(), key.data(), &key_);
  }
  IpsecMbAead(const IpsecMbAead&) = delete;
  IpsecMbAead& operator=(const IpsecMbAead&) = delete;
  ~IpsecMbAead() override { cleanse(std::as_writable_bytes(std::span(&key_, 1))); }

  void seal(std::span<const SealJob> burst) override {
    IMB_MGR* const manager = thread_manager<kind>();
    for (size_t i = 0; i < burst.size(); ++i) {
      const SealJob& job = burst[i];
      if (i + 1 < burst.size()) ask_ahead(burst[i + 1]);
      TIDEWAY_DCHECK(job.out.size() == job.plain.size() + kAeadTagSize);
      const AeadIv nonce = nonce_of(iv_, job.packet_number);
      alignas(64) gcm_context_data context;
      IMB_AES256_GCM_ENC(manager, &key_, &context, bytes(job.out.data()), bytes(job.plain.data()),
                         job.plain.size(), bytes(nonce.data()), bytes(job.header.data()), job.header.size(),
                         bytes(job.out.data() + job.plain.size()), kAeadTagSize);
    }
  }

  size_t open(std::span<OpenJob> burst) override {
    IMB_MGR* const manager = thread_manager<kind>();
    size_t authentic = 0;
    for (size_t i = 0; i < burst.size(); ++i) {
      OpenJob& job = burst[i];
      if (i + 1 < burst.size()) ask_ahead(burst[i + 1]);
      job.authentic = job.sealed.size() >= kAeadTagSize && open_one(manager, job);
      authentic += job.authentic;
    }
    return authentic;
  }

 private:
  static uint8_t* bytes(std::byte* p) { return reinterpret_cast<uint8_t*>(p); }
  static const uint8_t* bytes(const std::byte* p) { return reinterpret_cast<const uint8_t*>(p); }

  bool open_one(IMB_MGR* manager, const OpenJob& job) {
    const size_t size = job.sealed.size() - kAeadTagSize;
    TIDEWAY_DCHECK(job.out.size() == size);
    const AeadIv nonce = nonce_of(iv_, job.packet_number);
    alignas(64) gcm_context_data context;
    std::array<std::byte, kAeadTagSize> tag;
    IMB_AES256_GCM_DEC(manager, &key_, &context, bytes(job.out.data()), bytes(job.sealed.data()), size,
                       bytes(nonce.data()), bytes(job.header.data()), job.header.size(), bytes(tag.data()),
                       kAeadTagSize);
    return equal_tags(tag.data(), job.sealed.data() + size);
  }

  // Expanded. The library stores into it with aligned moves, and its type does not ask for the alignment.
  alignas(64) gcm_key_data key_;
  AeadIv iv_;
};

}  // namespace

std::unique_ptr<Aead> make_ipsec_mb_aead(std::span<const std::byte, kAeadKeySize> key,
                                         std::span<const std::byte, kAeadIvSize> iv) {
  return std::make_unique<IpsecMbAead<Kind::kBest>>(key, iv);
}

std::unique_ptr<Aead> make_ipsec_mb_avx2_aead(std::span<const std::byte, kAeadKeySize> key,
                                              std::span<const std::byte, kAeadIvSize> iv) {
  return std::make_unique<IpsecMbAead<Kind::kAvx2>>(key, iv);
}

bool has_ipsec_mb() { return __builtin_cpu_supports("aes") != 0 && __builtin_cpu_supports("pclmul") != 0; }
bool has_ipsec_mb_avx512() {
  return has_ipsec_mb() && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("vpclmulqdq") != 0;
}
bool has_ipsec_mb_avx2() { return has_ipsec_mb() && __builtin_cpu_supports("avx2") != 0; }

}  // namespace tideway::crypto
