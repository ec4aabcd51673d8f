// SPDX-License-Identifier: Apache-2.0
//
// The front of a safetensors file: eight bytes of length, little-endian, then so much JSON, which says how long the data is.
// Thread: any. Pure.
#pragma once
#include <tideway/units.h>

#include <optional>
#include <string_view>

namespace tideway::checkpoint {

inline constexpr Bytes kSafetensorsLength{8};
inline constexpr Bytes kSafetensorsHeaderMax{100'000'000};  // of the format itself

// How much of the file the header takes, with its length; from the first eight bytes. Nothing: it is no such file.
std::optional<Bytes> safetensors_head_size(std::string_view front);

// How large the whole file must be; from all of that head. Nothing: the head is cut or wrong.
std::optional<Bytes> safetensors_file_size(std::string_view head);

}  // namespace tideway::checkpoint
