// SPDX-License-Identifier: Apache-2.0
//
// Bytes nobody can guess, for keys, ids and the randoms of Hello. Choices that a test must be able to repeat come from
// base/random.h instead.
// Thread: any.
#pragma once
#include <cstddef>
#include <span>

namespace tideway::crypto {

// Fills all of `out`. A machine that cannot give random bytes is a failed check: going on would mean guessable keys.
void random_bytes(std::span<std::byte> out);

}  // namespace tideway::crypto
