// SPDX-License-Identifier: Apache-2.0
#include "crypto/random_bytes.h"

#include <tideway/check.h>

#include <openssl/rand.h>

#include <limits>

namespace tideway::crypto {

void random_bytes(std::span<std::byte> out) {
  TIDEWAY_CHECK(out.size() <= static_cast<size_t>(std::numeric_limits<int>::max()));
  TIDEWAY_CHECK(RAND_bytes(reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(out.size())) == 1);
}

}  // namespace tideway::crypto
