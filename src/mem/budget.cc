// SPDX-License-Identifier: Apache-2.0
#include "mem/budget.h"

namespace tideway {
namespace {

std::string mebibytes(Bytes bytes) { return std::to_string((bytes.count() + (1 << 20) - 1) >> 20) + " MiB"; }

}  // namespace

Status Budget::add(std::string_view holder, Bytes most) {
  lines_.push_back({std::string(holder), most});
  if (most > left())
    return Error{Fault::kConfigInvalid,
                 "[engine] memory is " + mebibytes(limit_) + ", which is " + mebibytes(most - left()) +
                     " too little for: " + table(),
                 "raise [engine] memory"};
  used_ += most;
  return success();
}

std::string Budget::table() const {
  std::string text;
  for (const Line& line : lines_) text += (text.empty() ? "" : ", ") + line.holder + ' ' + mebibytes(line.most);
  return text;
}

}  // namespace tideway
