// SPDX-License-Identifier: Apache-2.0
//
// GCM of NIST SP 800-38D. GHASH is worked out on byte-reflected blocks, sixteen at a time against as many powers of
// the hash key, with one reduction for all (Gueron and Kounavis, "Intel Carry-Less Multiplication Instruction
// and its Usage for Computing the GCM Mode", 2010; the reduction in two folds is Gueron's). While one run of sixteen
// blocks is encrypted, the run before it is hashed, round by round: neither waits for the other, and the CPU does both at
// once. On Zen 3 two units take a round for two blocks each cycle, and one of them a product every second: 82 cycles a run.
//
// No branch and no address depends on a key or on the text; lengths are public.
// Thread: net worker.
#include "crypto/vaes_aead.h"

#include "base/prefetch.h"
#include "crypto/aead_nonce.h"
#include "crypto/secret.h"

#include <tideway/check.h>

#include <cpuid.h>
#include <immintrin.h>

#include <algorithm>
#include <cstring>

// Each function below names its instructions itself, so that nothing of another header is compiled with them.
#define TIDEWAY_VAES __attribute__((target("avx2,aes,pclmul,vaes,vpclmulqdq,prfchw")))
#define TIDEWAY_VAES_INLINE __attribute__((target("avx2,aes,pclmul,vaes,vpclmulqdq,prfchw"), always_inline)) inline

// The runs of registers below must stay in registers; at -O2 GCC keeps short loops, and with them an array.
#ifdef __clang__
#define TIDEWAY_UNROLL _Pragma("unroll")
#else
#define TIDEWAY_UNROLL _Pragma("GCC unroll 16")
#endif

namespace tideway::crypto {
namespace {

constexpr size_t kBlock = 16;
constexpr size_t kPair = 2 * kBlock;  // what a register holds
constexpr size_t kRun = 16;           // blocks encrypted side by side, and hashed with one reduction
constexpr size_t kRunBytes = kRun * kBlock;
constexpr size_t kRounds = 14;
constexpr uint32_t kFirstCounter = 2;  // 1 makes the mask of the tag

// The hash key's powers from the highest down to H^1, and a zero for the block that a pair lacks. Two neighbours are loaded
// at once, from any place.
constexpr size_t kHighest = kRun + 2;  // a run's rest, the lengths, and one more makes it even
struct Powers { __m128i at[kHighest + 1]; };

struct Keys {
  __m256i round[kRounds + 1];  // each round key twice, once per half of a register
  Powers power;
  Powers power_folded;         // the two quadwords of each power xored, for Karatsuba's middle product
};

// A product before its reduction: low, middle (without low and high taken off) and high parts.
struct Product { __m256i low, middle, high; };

TIDEWAY_VAES_INLINE __m256i twice(__m128i half) { return _mm256_broadcastsi128_si256(half); }
TIDEWAY_VAES_INLINE __m256i reflect(__m256i blocks) {
  return _mm256_shuffle_epi8(blocks, twice(_mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)));
}
TIDEWAY_VAES_INLINE __m128i reflect(__m128i block) {
  return _mm_shuffle_epi8(block, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}
TIDEWAY_VAES_INLINE __m256i load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
TIDEWAY_VAES_INLINE void store(void* to, __m256i blocks) { _mm256_storeu_si256(static_cast<__m256i*>(to), blocks); }
TIDEWAY_VAES_INLINE __m256i swap_quadwords(__m256i v) { return _mm256_shuffle_epi32(v, 0x4e); }

// ---- GHASH ----------------------------------------------------------------------------------------------------------

// Adds two blocks times H^exponent and H^(exponent - 1).
TIDEWAY_VAES_INLINE void multiply_add(Product& sum, __m256i blocks, const Keys& keys, size_t exponent) {
  const __m256i power = load(&keys.power.at[kHighest - exponent]);
  const __m256i folded = _mm256_xor_si256(blocks, swap_quadwords(blocks));
  sum.low = _mm256_xor_si256(sum.low, _mm256_clmulepi64_epi128(blocks, power, 0x00));
  sum.high = _mm256_xor_si256(sum.high, _mm256_clmulepi64_epi128(blocks, power, 0x11));
  sum.middle = _mm256_xor_si256(
      sum.middle, _mm256_clmulepi64_epi128(folded, load(&keys.power_folded.at[kHighest - exponent]), 0x00));
}

// The products of both halves, added and taken modulo x^128 + x^127 + x^126 + x^121 + 1 (the reflected polynomial).
TIDEWAY_VAES_INLINE __m128i reduce(const Product& sum) {
  const __m256i polynomial = twice(_mm_set_epi64x(static_cast<long long>(0xc200000000000000), 1));
  __m256i middle = _mm256_xor_si256(sum.middle, _mm256_xor_si256(sum.low, sum.high));
  middle = _mm256_xor_si256(middle, swap_quadwords(sum.low));
  middle = _mm256_xor_si256(middle, _mm256_clmulepi64_epi128(sum.low, polynomial, 0x10));
  __m256i high = _mm256_xor_si256(sum.high, swap_quadwords(middle));
  high = _mm256_xor_si256(high, _mm256_clmulepi64_epi128(middle, polynomial, 0x10));
  return _mm_xor_si128(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
}

// Adds `count` blocks, up to kHighest, to the hash; `bytes` has zeros up to a whole pair.
TIDEWAY_VAES_INLINE __m128i hash_blocks(const Keys& keys, __m128i hash, const std::byte* bytes, size_t count) {
  Product sum{};
  multiply_add(sum, _mm256_xor_si256(reflect(load(bytes)), _mm256_zextsi128_si256(hash)), keys, count);
  for (size_t block = 2; block < count; block += 2) multiply_add(sum, reflect(load(bytes + block * kBlock)), keys, count - block);
  return reduce(sum);
}

// ---- AES ------------------------------------------------------------------------------------------------------------

// The next 2 * kPairs counter blocks, encrypted. `counter` holds the next two, byte-reflected, and moves on. Between the
// rounds it adds the whole run at `hashed`, if there is one, to the hash: a round waits for the one before it, and the
// products fill that time.
template <size_t kPairs>
TIDEWAY_VAES_INLINE __m128i key_stream(const Keys& keys, __m256i& counter, __m256i stream[kPairs], __m128i hash,
                                       const std::byte* hashed) {
  constexpr size_t kLastProduct = kRun / 2;  // each of the rounds up to here has one
  const __m256i two = twice(_mm_set_epi32(0, 0, 0, 2));
  TIDEWAY_UNROLL
  for (size_t i = 0; i < kPairs; ++i) {
    stream[i] = _mm256_xor_si256(reflect(counter), keys.round[0]);
    counter = _mm256_add_epi32(counter, two);
  }
  Product sum{};
  TIDEWAY_UNROLL
  for (size_t round = 1; round < kRounds; ++round) {
    TIDEWAY_UNROLL
    for (size_t i = 0; i < kPairs; ++i) stream[i] = _mm256_aesenc_epi128(stream[i], keys.round[round]);
    if (hashed == nullptr) continue;
    if (round <= kLastProduct) {
      __m256i blocks = reflect(load(hashed + (round - 1) * kPair));
      if (round == 1) blocks = _mm256_xor_si256(blocks, _mm256_zextsi128_si256(hash));
      multiply_add(sum, blocks, keys, kRun - 2 * (round - 1));
      // Adds up here and now: the compiler would add late, and keep every product on the stack till then.
      asm("" : "+x"(sum.low), "+x"(sum.middle), "+x"(sum.high));
    }
    if (round == kLastProduct + 1) hash = reduce(sum);
  }
  TIDEWAY_UNROLL
  for (size_t i = 0; i < kPairs; ++i) stream[i] = _mm256_aesenclast_epi128(stream[i], keys.round[kRounds]);
  return hash;
}

TIDEWAY_VAES_INLINE __m128i encrypt_block(const Keys& keys, __m128i block) {
  block = _mm_xor_si128(block, _mm256_castsi256_si128(keys.round[0]));
  TIDEWAY_UNROLL
  for (size_t round = 1; round < kRounds; ++round)
    block = _mm_aesenc_si128(block, _mm256_castsi256_si128(keys.round[round]));
  return _mm_aesenclast_si128(block, _mm256_castsi256_si128(keys.round[kRounds]));
}

// One step of the key expansion (FIPS 197, section 5.2) in the form of Intel's white paper on AES-NI: `from` is the key
// two before, `helper` the word made of the key before.
TIDEWAY_VAES_INLINE __m128i expand(__m128i from, __m128i helper) {
  for (int i = 0; i < 3; ++i) from = _mm_xor_si128(from, _mm_slli_si128(from, 4));
  return _mm_xor_si128(from, helper);
}

template <int kConstant>
TIDEWAY_VAES_INLINE void expand_pair(__m128i key[kRounds + 1], size_t at) {
  key[at] = expand(key[at - 2], _mm_shuffle_epi32(_mm_aeskeygenassist_si128(key[at - 1], kConstant), 0xff));
  if (at < kRounds)
    key[at + 1] = expand(key[at - 1], _mm_shuffle_epi32(_mm_aeskeygenassist_si128(key[at], 0), 0xaa));
}

TIDEWAY_VAES void expand_key(Keys& keys, const std::byte* key) {
  __m128i round[kRounds + 1];
  round[0] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key));
  round[1] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key + kBlock));
  expand_pair<0x01>(round, 2);
  expand_pair<0x02>(round, 4);
  expand_pair<0x04>(round, 6);
  expand_pair<0x08>(round, 8);
  expand_pair<0x10>(round, 10);
  expand_pair<0x20>(round, 12);
  expand_pair<0x40>(round, 14);
  for (size_t i = 0; i <= kRounds; ++i) keys.round[i] = twice(round[i]);
  cleanse(std::as_writable_bytes(std::span(round)));
}

// H is the encryption of zero. Its reflected form is kept multiplied by x, which makes up for the one bit by which the
// product of two reflected numbers is shifted.
TIDEWAY_VAES void expand_hash_key(Keys& keys) {
  const __m128i hash_key = reflect(encrypt_block(keys, _mm_setzero_si128()));
  const __m128i carry = _mm_srai_epi32(_mm_shuffle_epi32(hash_key, 0xff), 31);  // all ones when the top bit was set
  __m128i power = _mm_or_si128(_mm_slli_epi64(hash_key, 1), _mm_srli_epi64(_mm_slli_si128(hash_key, 8), 63));
  power = _mm_xor_si128(
      power, _mm_and_si128(carry, _mm_set_epi64x(static_cast<long long>(0xc200000000000000), 1)));
  __m128i* const last = &keys.power.at[kHighest - 1];  // H^1
  keys.power.at[kHighest] = _mm_setzero_si128();
  keys.power_folded.at[kHighest] = _mm_setzero_si128();
  *last = power;
  for (__m128i* at = last;; --at) {
    keys.power_folded.at[at - keys.power.at] = _mm_xor_si128(*at, _mm_shuffle_epi32(*at, 0x4e));
    if (at == keys.power.at) break;
    Product sum{};
    multiply_add(sum, _mm256_zextsi128_si256(*at), keys, 1);
    at[-1] = reduce(sum);
  }
}

// ---- One packet -----------------------------------------------------------------------------------------------------

enum class Direction : uint8_t { kSeal, kOpen };

struct Packet {
  __m128i nonce;  // byte-reflected, the counter zero
  std::span<const std::byte> header;
  const std::byte* in;
  std::byte* out;
  size_t size;            // of the text
  const std::byte* next;  // sealed side of the packet behind it in the burst
};

// Rooms of packets lie apart, and another core or a device used them last: the CPU's own prefetching starts anew with each,
// too late for one that is sealed in half a microsecond. So the sealed side is asked for this far ahead, at its end in the
// next packet.
constexpr size_t kAhead = 1024;

template <Direction direction>
TIDEWAY_VAES_INLINE void ask_ahead(const Packet& packet, const std::byte* sealed, size_t left) {
  const std::span<const std::byte> run(kAhead < left ? sealed + kAhead : packet.next + (kAhead - left), kRunBytes);
  if constexpr (direction == Direction::kSeal) ask_to_write(run);
  else ask_to_read(run);
}

TIDEWAY_VAES_INLINE __m128i hash_header(const Keys& keys, std::span<const std::byte> header) {
  __m128i hash = _mm_setzero_si128();
  while (!header.empty()) {
    alignas(32) std::byte blocks[4 * kBlock] = {};
    const size_t now = std::min(header.size(), sizeof blocks);
    std::memcpy(blocks, header.data(), now);
    hash = hash_blocks(keys, hash, blocks, (now + kBlock - 1) / kBlock);
    header = header.subspan(now);
  }
  return hash;
}

// The text behind the last whole run, in pairs and with zeros to the end of a block, and the lengths, which are hashed last.
template <Direction direction>
TIDEWAY_VAES_INLINE __m128i crypt_rest(const Keys& keys, const Packet& packet, __m128i hash, const __m256i* stream, size_t done) {
  alignas(32) std::byte sealed[kRunBytes + kPair];
  const std::byte* in = packet.in + done;
  std::byte* out = packet.out + done;
  const size_t size = packet.size - done;
  size_t at = 0;
  for (; at + kPair <= size; at += kPair) {
    const __m256i from = load(in + at), to = _mm256_xor_si256(from, load(stream + at / kPair));
    store(out + at, to);
    store(sealed + at, direction == Direction::kSeal ? to : from);
  }
  store(sealed + at, _mm256_setzero_si256());
  store(sealed + at + kPair, _mm256_setzero_si256());
  if (at < size) {
    alignas(32) std::byte text[kPair] = {};
    std::memcpy(text, in + at, size - at);
    if (direction == Direction::kOpen) std::memcpy(sealed + at, text, size - at);
    store(text, _mm256_xor_si256(load(text), load(stream + at / kPair)));
    std::memcpy(out + at, text, size - at);
    if (direction == Direction::kSeal) std::memcpy(sealed + at, text, size - at);
  }
  const size_t blocks = (size + kBlock - 1) / kBlock;
  const __m128i bits = _mm_set_epi64x(static_cast<long long>(packet.header.size() * 8), static_cast<long long>(packet.size * 8));
  _mm_store_si128(reinterpret_cast<__m128i*>(sealed + blocks * kBlock), reflect(bits));
  return hash_blocks(keys, hash, sealed, blocks + 1);
}

// Encrypts or decrypts, and returns the tag.
template <Direction direction>
TIDEWAY_VAES __m128i crypt(const Keys& keys, const Packet& packet) {
  const __m128i mask = encrypt_block(keys, reflect(_mm_or_si128(packet.nonce, _mm_set_epi32(0, 0, 0, 1))));
  __m256i counter =
      _mm256_add_epi32(twice(packet.nonce), _mm256_set_epi32(0, 0, 0, kFirstCounter + 1, 0, 0, 0, kFirstCounter));
  __m128i hash = hash_header(keys, packet.header);
  const std::byte* const sealed = direction == Direction::kSeal ? packet.out : packet.in;
  const std::byte* hashed = nullptr;  // the run before this one
  __m256i stream[kRun / 2];
  size_t done = 0;
  for (; packet.size - done >= kRunBytes; done += kRunBytes) {
    ask_ahead<direction>(packet, sealed + done, packet.size - done);
    hash = key_stream<kRun / 2>(keys, counter, stream, hash, hashed);
    TIDEWAY_UNROLL
    for (size_t i = 0; i < kRun / 2; ++i)
      store(packet.out + done + i * kPair, _mm256_xor_si256(load(packet.in + done + i * kPair), stream[i]));
    hashed = sealed + done;
  }
  if (packet.size - done > kRunBytes / 2) hash = key_stream<kRun / 2>(keys, counter, stream, hash, hashed);
  else hash = key_stream<kRun / 4>(keys, counter, stream, hash, hashed);
  hash = crypt_rest<direction>(keys, packet, hash, stream, done);
  return _mm_xor_si128(reflect(hash), mask);
}

TIDEWAY_VAES void seal_packet(const Keys& keys, __m128i nonce, const SealJob& job, const SealJob& next) {
  const __m128i tag = crypt<Direction::kSeal>(
      keys, {nonce, job.header, job.plain.data(), job.out.data(), job.plain.size(), next.out.data()});
  _mm_storeu_si128(reinterpret_cast<__m128i*>(job.out.data() + job.plain.size()), tag);
}

TIDEWAY_VAES bool open_packet(const Keys& keys, __m128i nonce, const OpenJob& job, const OpenJob& next) {
  const size_t size = job.sealed.size() - kAeadTagSize;
  const __m128i tag = crypt<Direction::kOpen>(
      keys, {nonce, job.header, job.sealed.data(), job.out.data(), size, next.sealed.data()});
  const __m128i theirs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(job.sealed.data() + size));
  const __m128i difference = _mm_xor_si128(tag, theirs);
  return _mm_testz_si128(difference, difference) != 0;
}

TIDEWAY_VAES __m128i reflect_block(const std::byte* block) {
  return reflect(_mm_load_si128(reinterpret_cast<const __m128i*>(block)));
}

// The job behind `at`; the last has itself behind it.
template <typename Job>
const Job& behind(std::span<Job> burst, size_t at) {
  return burst[std::min(at + 1, burst.size() - 1)];
}

class VaesAead final : public Aead {
 public:
  VaesAead(std::span<const std::byte, kAeadKeySize> key, std::span<const std::byte, kAeadIvSize> iv) {
    alignas(kBlock) std::byte block[kBlock] = {};
    std::copy(iv.begin(), iv.end(), block);
    iv_ = reflect_block(block);
    expand_key(keys_, key.data());
    expand_hash_key(keys_);
  }
  VaesAead(const VaesAead&) = delete;
  VaesAead& operator=(const VaesAead&) = delete;
  ~VaesAead() override { cleanse(std::as_writable_bytes(std::span(&keys_, 1))); }

  void seal(std::span<const SealJob> burst) override {
    for (size_t i = 0; i < burst.size(); ++i) {
      const SealJob& job = burst[i];
      TIDEWAY_DCHECK(job.out.size() == job.plain.size() + kAeadTagSize);
      seal_packet(keys_, nonce_of(job.packet_number), job, behind(burst, i));
    }
  }

  size_t open(std::span<OpenJob> burst) override {
    size_t authentic = 0;
    for (size_t i = 0; i < burst.size(); ++i) {
      OpenJob& job = burst[i];
      TIDEWAY_DCHECK(job.sealed.size() < kAeadTagSize || job.out.size() == job.sealed.size() - kAeadTagSize);
      job.authentic =
          job.sealed.size() >= kAeadTagSize && open_packet(keys_, nonce_of(job.packet_number), job, behind(burst, i));
      authentic += job.authentic;
    }
    return authentic;
  }

 private:
  // The packet number goes into the last eight bytes of the IV, which lie before the counter (aead_nonce.h).
  TIDEWAY_VAES __m128i nonce_of(uint64_t packet_number) const {
    return _mm_xor_si128(iv_, _mm_slli_si128(_mm_cvtsi64_si128(static_cast<long long>(packet_number)), 4));
  }

  Keys keys_;
  __m128i iv_;  // byte-reflected
};

}  // namespace

std::unique_ptr<Aead> make_vaes_aead(std::span<const std::byte, kAeadKeySize> key,
                                     std::span<const std::byte, kAeadIvSize> iv) {
  return std::make_unique<VaesAead>(key, iv);
}

bool has_vaes() {
  // Asked of the CPU itself, because Clang 14 has no name for it. AVX2 includes that the kernel keeps the registers.
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  const bool has_extended_features = __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0;
  return has_extended_features && (ecx & bit_VAES) != 0 && (ecx & bit_VPCLMULQDQ) != 0 &&
         __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("aes") != 0;
}

}  // namespace tideway::crypto
