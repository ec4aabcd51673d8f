// SPDX-License-Identifier: Apache-2.0
//
// Whether a zip file has its end: the directory, and behind it the record that says where that begins. torch.save writes both
// last, without a comment, and as zip64.
// Thread: any. Pure.
#pragma once
#include <tideway/units.h>

#include <string_view>

namespace tideway::checkpoint {

inline constexpr Bytes kZipTail{98};  // both end records of zip64 and what points from one to the other

// `tail` is the last kZipTail bytes of the file, or all of a smaller one.
bool ends_as_zip(std::string_view tail, Bytes file_size);

}  // namespace tideway::checkpoint
