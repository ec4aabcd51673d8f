// SPDX-License-Identifier: Apache-2.0
//
// The codec that leaves bytes as they are, for what does not compress. block/pack sends a raw block from where it was
// read and does not come here; this is for places that hold a Codec and must not care which.
// Pure.
#pragma once
#include <tideway/codec.h>

#include <memory>

namespace tideway::codec {

std::unique_ptr<Codec> make_raw_codec();

}  // namespace tideway::codec
