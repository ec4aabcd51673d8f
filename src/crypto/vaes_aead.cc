// SPDX-License-Identifier: Apache-2.0
//
// GCM of NIST SP 800-38D. GHASH is worked out on byte-reflected blocks, eight at a time against the first eight powers
// of the hash key, with one reduction for the eight (Gueron and Kounavis, "Intel Carry-Less Multiplication Instruction
// and its Usage for Computing the GCM Mode", 2010; the reduction in two folds is Gueron's). While one run of eight
// blocks is encrypted, the run before it is hashed: neither waits for the other, and the CPU does both at once.
//
// No branch and no address depends on a key or on the text; lengths are public.
// Thread: net worker.
#include "crypto/vaes_aead.h"

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

// The runs of four registers below must stay in registers; at -O2 GCC keeps short loops, and with them an array.
#ifdef __clang__
#define TIDEWAY_UNROLL _Pragma("unroll")
#else
#define TIDEWAY_UNROLL _Pragma("GCC unroll 16")
#endif

namespace tideway::crypto {
namespace {

constexpr size_t kBlock = 16;
constexpr size_t kRun = 8;  // blocks hashed with one reduction: as many as the AES units need in flight
constexpr size_t kRunBytes = kRun * kBlock;
constexpr size_t kRounds = 14;
constexpr uint32_t kFirstCounter = 2;  // 1 makes the mask of the tag

struct Keys {
  __m256i round[kRounds + 1];         // each round key twice, once per half of a register
  __m256i power[kRun / 2];            // H^8 H^7, H^6 H^5, H^4 H^3, H^2 H^1, the higher power in the low half
  __m256i power_folded[kRun / 2];     // the two quadwords of each power xored, for Karatsuba's middle product
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

TIDEWAY_VAES_INLINE void multiply_add(Product& sum, __m256i blocks, __m256i power, __m256i power_folded) {
  const __m256i folded = _mm256_xor_si256(blocks, swap_quadwords(blocks));
  sum.low = _mm256_xor_si256(sum.low, _mm256_clmulepi64_epi128(blocks, power, 0x00));
  sum.high = _mm256_xor_si256(sum.high, _mm256_clmulepi64_epi128(blocks, power, 0x11));
  sum.middle = _mm256_xor_si256(sum.middle, _mm256_clmulepi64_epi128(folded, power_folded, 0x00));
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

// Adds a whole run (as it is in memory) to the hash.
TIDEWAY_VAES_INLINE __m128i hash_run(const Keys& keys, __m128i hash, const __m256i run[kRun / 2]) {
  Product sum{};
  __m256i first = _mm256_xor_si256(reflect(run[0]), _mm256_zextsi128_si256(hash));
  multiply_add(sum, first, keys.power[0], keys.power_folded[0]);
  TIDEWAY_UNROLL
  for (size_t i = 1; i < kRun / 2; ++i) multiply_add(sum, reflect(run[i]), keys.power[i], keys.power_folded[i]);
  return reduce(sum);
}

// Adds up to kRun blocks; `bytes` has room for a whole run and zeros behind the last byte.
TIDEWAY_VAES_INLINE __m128i hash_blocks(const Keys& keys, __m128i hash, const std::byte* bytes, size_t count) {
  // A power's index counts down to H^1 at the last block: with an odd count the first block stands alone in its pair.
  Product sum{};
  size_t block = 0, pair = kRun / 2 - (count + 1) / 2;
  if (count % 2 != 0) {
    const __m128i only = _mm_xor_si128(reflect(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes))), hash);
    multiply_add(sum, _mm256_inserti128_si256(_mm256_setzero_si256(), only, 1), keys.power[pair],
                 keys.power_folded[pair]);
    hash = _mm_setzero_si128();
    block = 1, ++pair;
  }
  for (; block < count; block += 2, ++pair) {
    const __m256i two = _mm256_xor_si256(reflect(load(bytes + block * kBlock)), _mm256_zextsi128_si256(hash));
    hash = _mm_setzero_si128();
    multiply_add(sum, two, keys.power[pair], keys.power_folded[pair]);
  }
  return reduce(sum);
}

// ---- AES ------------------------------------------------------------------------------------------------------------

// The next eight counter blocks, encrypted. `counter` holds the next two, byte-reflected, and moves on.
TIDEWAY_VAES_INLINE void key_stream(const Keys& keys, __m256i& counter, __m256i stream[kRun / 2]) {
  const __m256i two = twice(_mm_set_epi32(0, 0, 0, 2));
  TIDEWAY_UNROLL
  for (size_t i = 0; i < kRun / 2; ++i) {
    stream[i] = _mm256_xor_si256(reflect(counter), keys.round[0]);
    counter = _mm256_add_epi32(counter, two);
  }
  TIDEWAY_UNROLL
  for (size_t round = 1; round < kRounds; ++round)
    TIDEWAY_UNROLL
    for (size_t i = 0; i < kRun / 2; ++i) stream[i] = _mm256_aesenc_epi128(stream[i], keys.round[round]);
  TIDEWAY_UNROLL
  for (size_t i = 0; i < kRun / 2; ++i) stream[i] = _mm256_aesenclast_epi128(stream[i], keys.round[kRounds]);
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
  const __m256i first = _mm256_zextsi128_si256(power);
  const __m256i first_folded = _mm256_xor_si256(first, swap_quadwords(first));
  __m128i powers[kRun];  // from the highest down
  powers[kRun - 1] = power;
  for (size_t i = kRun - 1; i > 0; --i) {
    Product sum{};
    multiply_add(sum, _mm256_zextsi128_si256(powers[i]), first, first_folded);
    powers[i - 1] = reduce(sum);
  }
  TIDEWAY_UNROLL
  for (size_t i = 0; i < kRun / 2; ++i) {
    keys.power[i] = _mm256_set_m128i(powers[2 * i + 1], powers[2 * i]);
    keys.power_folded[i] = _mm256_xor_si256(keys.power[i], swap_quadwords(keys.power[i]));
  }
  cleanse(std::as_writable_bytes(std::span(powers)));
}

// ---- One packet -----------------------------------------------------------------------------------------------------

enum class Direction : uint8_t { kSeal, kOpen };

struct Packet {
  const AeadIv& nonce;
  std::span<const std::byte> header;
  const std::byte* in;
  std::byte* out;
  size_t size;            // of the text
  const std::byte* next;  // sealed side of the packet behind it in the burst
};

// Rooms of packets lie apart, and another core or a device used them last: the CPU's own prefetching starts anew with each,
// too late for one that is sealed in half a microsecond. So the sealed side is asked for this far ahead, at its end in the
// next packet. A line too many is harmless: asking never faults.
constexpr size_t kAhead = 1024;
constexpr size_t kLine = 64;
constexpr int kForReading = 0, kForWriting = 1;

template <int kFor>
TIDEWAY_VAES_INLINE void ask_ahead(const Packet& packet, const std::byte* sealed, size_t left) {
  const std::byte* line = kAhead < left ? sealed + kAhead : packet.next + (kAhead - left);
  for (size_t i = 0; i < kRunBytes; i += kLine) __builtin_prefetch(line + i, kFor);
}

TIDEWAY_VAES_INLINE __m128i hash_header(const Keys& keys, std::span<const std::byte> header) {
  __m128i hash = _mm_setzero_si128();
  alignas(32) std::byte blocks[kRunBytes];
  while (!header.empty()) {
    const size_t now = std::min(header.size(), kRunBytes);
    std::memset(blocks, 0, sizeof blocks);
    std::memcpy(blocks, header.data(), now);
    hash = hash_blocks(keys, hash, blocks, (now + kBlock - 1) / kBlock);
    header = header.subspan(now);
  }
  return hash;
}

TIDEWAY_VAES_INLINE __m128i hash_lengths(const Keys& keys, __m128i hash, size_t header, size_t text) {
  const __m128i bits = _mm_set_epi64x(static_cast<long long>(header * 8), static_cast<long long>(text * 8));
  Product sum{};
  multiply_add(sum, _mm256_inserti128_si256(_mm256_setzero_si256(), _mm_xor_si128(hash, bits), 1),
               keys.power[kRun / 2 - 1], keys.power_folded[kRun / 2 - 1]);
  return reduce(sum);
}

// Text of less than a run, behind the last whole one.
template <Direction direction>
TIDEWAY_VAES_INLINE __m128i crypt_rest(const Keys& keys, __m128i hash, __m256i& counter, const std::byte* in,
                                       std::byte* out, size_t size) {
  alignas(32) std::byte text[kRunBytes] = {};
  std::memcpy(text, in, size);
  const size_t blocks = (size + kBlock - 1) / kBlock;
  if constexpr (direction == Direction::kOpen) hash = hash_blocks(keys, hash, text, blocks);
  __m256i stream[kRun / 2];
  key_stream(keys, counter, stream);
  TIDEWAY_UNROLL
  for (size_t i = 0; i < kRun / 2; ++i) store(text + 32 * i, _mm256_xor_si256(load(text + 32 * i), stream[i]));
  std::memcpy(out, text, size);
  if constexpr (direction == Direction::kSeal) {
    std::memset(text + size, 0, sizeof text - size);
    hash = hash_blocks(keys, hash, text, blocks);
  }
  return hash;
}

// Encrypts or decrypts, and returns the tag.
template <Direction direction>
TIDEWAY_VAES __m128i crypt(const Keys& keys, const Packet& packet) {
  alignas(16) std::byte first[kBlock] = {};
  std::memcpy(first, packet.nonce.data(), packet.nonce.size());
  const __m128i base = reflect(_mm_load_si128(reinterpret_cast<const __m128i*>(first)));
  const __m128i mask = encrypt_block(keys, reflect(_mm_or_si128(base, _mm_set_epi32(0, 0, 0, 1))));
  __m256i counter =
      _mm256_add_epi32(twice(base), _mm256_set_epi32(0, 0, 0, kFirstCounter + 1, 0, 0, 0, kFirstCounter));
  __m128i hash = hash_header(keys, packet.header);

  const std::byte* in = packet.in;
  std::byte* out = packet.out;
  size_t left = packet.size;
  __m256i before[kRun / 2];  // the run encrypted last, not yet hashed
  bool has_before = false;
  for (; left >= kRunBytes; left -= kRunBytes, in += kRunBytes, out += kRunBytes) {
    __m256i run[kRun / 2], stream[kRun / 2];
    if constexpr (direction == Direction::kSeal) ask_ahead<kForWriting>(packet, out, left);
    else ask_ahead<kForReading>(packet, in, left);
    key_stream(keys, counter, stream);
    TIDEWAY_UNROLL
    for (size_t i = 0; i < kRun / 2; ++i) run[i] = load(in + 32 * i);
    if constexpr (direction == Direction::kOpen) hash = hash_run(keys, hash, run);
    else if (has_before) hash = hash_run(keys, hash, before);
    TIDEWAY_UNROLL
    for (size_t i = 0; i < kRun / 2; ++i) {
      before[i] = _mm256_xor_si256(run[i], stream[i]);
      store(out + 32 * i, before[i]);
    }
    has_before = true;
  }
  if (direction == Direction::kSeal && has_before) hash = hash_run(keys, hash, before);
  if (left != 0) hash = crypt_rest<direction>(keys, hash, counter, in, out, left);
  hash = hash_lengths(keys, hash, packet.header.size(), packet.size);
  return _mm_xor_si128(reflect(hash), mask);
}

TIDEWAY_VAES void seal_packet(const Keys& keys, const AeadIv& nonce, const SealJob& job, const SealJob& next) {
  const __m128i tag = crypt<Direction::kSeal>(
      keys, {nonce, job.header, job.plain.data(), job.out.data(), job.plain.size(), next.out.data()});
  _mm_storeu_si128(reinterpret_cast<__m128i*>(job.out.data() + job.plain.size()), tag);
}

TIDEWAY_VAES bool open_packet(const Keys& keys, const AeadIv& nonce, const OpenJob& job, const OpenJob& next) {
  const size_t size = job.sealed.size() - kAeadTagSize;
  const __m128i tag = crypt<Direction::kOpen>(
      keys, {nonce, job.header, job.sealed.data(), job.out.data(), size, next.sealed.data()});
  const __m128i theirs = _mm_loadu_si128(reinterpret_cast<const __m128i*>(job.sealed.data() + size));
  const __m128i difference = _mm_xor_si128(tag, theirs);
  return _mm_testz_si128(difference, difference) != 0;
}

// The job behind `at`; the last has itself behind it.
template <typename Job>
const Job& behind(std::span<Job> burst, size_t at) {
  return burst[std::min(at + 1, burst.size() - 1)];
}

class VaesAead final : public Aead {
 public:
  VaesAead(std::span<const std::byte, kAeadKeySize> key, std::span<const std::byte, kAeadIvSize> iv) {
    std::copy(iv.begin(), iv.end(), iv_.begin());
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
      seal_packet(keys_, nonce_of(iv_, job.packet_number), job, behind(burst, i));
    }
  }

  size_t open(std::span<OpenJob> burst) override {
    size_t authentic = 0;
    for (size_t i = 0; i < burst.size(); ++i) {
      OpenJob& job = burst[i];
      TIDEWAY_DCHECK(job.sealed.size() < kAeadTagSize || job.out.size() == job.sealed.size() - kAeadTagSize);
      job.authentic =
          job.sealed.size() >= kAeadTagSize && open_packet(keys_, nonce_of(iv_, job.packet_number), job, behind(burst, i));
      authentic += job.authentic;
    }
    return authentic;
  }

 private:
  Keys keys_;
  AeadIv iv_;
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
