// SPDX-License-Identifier: Apache-2.0
//
// Adds up who may hold how much against what the operator allows, once at start, one line per holder. A gateway whose
// parts would not fit together refuses to start and names the biggest.
// Pure.
#pragma once
#include <tideway/result.h>
#include <tideway/units.h>

#include <string>
#include <string_view>
#include <vector>

namespace tideway {

class Budget {
 public:
  explicit Budget(Bytes limit) : limit_(limit) {}
  // Errors: config_invalid when the sum passes the limit, with every line so far.
  Status add(std::string_view holder, Bytes most);
  Bytes left() const { return limit_ - used_; }
  std::string table() const;  // "<holder> <MiB>" lines, for logs and doctor

 private:
  struct Line { std::string holder; Bytes most; };
  Bytes limit_, used_;
  std::vector<Line> lines_;
};

}  // namespace tideway
