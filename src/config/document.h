// SPDX-License-Identifier: Apache-2.0
//
// A configuration text as a tree of plain values that each know their place. The TOML library is seen by the .cc
// only; everything above works on this tree.
// Thread: any. Pure.
#pragma once
#include <tideway/result.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tideway::config {

inline constexpr size_t kFileSizeMax = 256 * 1024;  // thousands of roots and grants; a larger file is not ours
inline constexpr size_t kLineMax = 1024;            // bounds how deep dotted keys nest, since each level is freed by recursion
inline constexpr size_t kNestingMax = 16;           // the deepest documented key has four levels

struct Entry;
struct Value;
using Table = std::vector<Entry>;  // in the order of the file; each key once
using Array = std::vector<Value>;
struct OtherValue {};  // floats, dates, times: no key of ours is one

struct Value {
  std::string at;  // "file:line:column", the front of an error
  std::variant<OtherValue, std::string, int64_t, bool, Array, Table> held;
};

struct Entry {
  std::string key;
  std::string at;  // of the key
  Value value;
};

inline Error invalid(std::string what, std::string next) { return {Fault::kConfigInvalid, std::move(what), std::move(next)}; }

const Entry* find(const Table& table, std::string_view key);

// The tree of one text. `file` is its name in errors. Errors: config_invalid with file, line and column, also for a
// key given twice.
Result<Table> parse_document(std::string_view text, std::string_view file);

// Adds the keys of another file: tables are joined, arrays of tables follow each other. Errors: config_invalid for a
// key that both have, with both places.
Status merge(Table& into, Table&& more);

}  // namespace tideway::config
