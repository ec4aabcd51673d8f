// SPDX-License-Identifier: Apache-2.0
//
// Whether the sink says for each page what it needs, or said once that it needs everything because nothing is there.
// Pure.
#pragma once
#include <cstdint>

namespace tideway::transfer {

enum class Answers : uint8_t { kEverythingNeeded, kPerPage };

}  // namespace tideway::transfer
