// SPDX-License-Identifier: Apache-2.0
//
// Which entries of a tree a user wants: patterns of --include and --exclude, of which the first that matches decides,
// and the names of --files-from. What no pattern matches is wanted. A directory that is left out is not entered, so
// what lies in it is never asked about.
//
//   *      any bytes but "/"            ?      one byte but "/"          [a-z] [!a-z]   one byte of a set, or not of it
//   **     any bytes, "/" included      /x     x at the top only         x/             directories only
//   a/b    at any depth, by whole components; "/**/" also matches "/"    \*             the byte itself
//
// Pure.
#pragma once
#include <tideway/object_name.h>
#include <tideway/object_store.h>

#include <string>
#include <string_view>
#include <vector>

namespace tideway::storage {

enum class Verdict : uint8_t { kInclude, kExclude };

class Filter {
 public:
  static constexpr size_t kPatternBytesMax = 1024;  // matching is quadratic at worst
  static constexpr size_t kPatternsMax = 1024;

  // Errors: usage for an empty or too long pattern, or an open "[".
  Status add(Verdict verdict, std::string_view pattern);
  // `below_top` is the name below entry 0, never entry 0 itself.
  bool admits(const ObjectName& below_top, EntryType type) const;
  bool is_empty() const { return rules_.empty(); }

 private:
  struct Rule {
    Verdict verdict;
    std::string pattern;  // without the leading and trailing "/"
    bool is_anchored, directories_only;
  };
  std::vector<Rule> rules_;
};

// Whether `text` as a whole matches; both are bytes.
bool glob_matches(std::string_view pattern, std::string_view text);

// The names of --files-from. A name stands for itself and all below it; the directories above it are implied.
class NameList {
 public:
  enum class Relation : uint8_t { kOutside, kAbove, kListed };
  void add(ObjectName name);
  // Notes which listed names were met.
  Relation relation(const ObjectName& below_top);
  std::vector<ObjectName> never_met() const;

 private:
  struct Line {
    ObjectName name;
    bool is_met = false;
  };
  void sort();
  std::vector<Line> lines_;
  bool is_sorted_ = true;
};

}  // namespace tideway::storage
