// SPDX-License-Identifier: Apache-2.0
//
// The codecs this build has. A new one gets a row in registry.cc and joins tests/unit/codec/registry_test.cc by that.
// Pure.
#pragma once
#include <tideway/codec.h>

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace tideway::codec {

struct CodecRow {
  CodecId id;
  std::string_view name;  // in configuration, logs and metrics
  std::unique_ptr<Codec> (*make)();
};

std::span<const CodecRow> codec_rows();
std::optional<CodecId> codec_from_number(uint8_t number);  // nothing: a codec this build does not have

// One codec of each kind, for one cpu worker.
class CodecSet {
 public:
  CodecSet();
  Codec& at(CodecId id);  // an id that exists: codec_from_number or our own

 private:
  std::vector<std::unique_ptr<Codec>> codecs_;
};

}  // namespace tideway::codec
