// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as the file of what trainings left of each link: as it is, and behind a sum that is right, which damage alone never has. What is taken
// is written and read again as the same.
#include "daemon/leftover_file.h"

#include <tideway/check.h>

#include <string>

namespace {

using namespace tideway;
using namespace tideway::daemon;

// As the file has it: FNV-1a.
std::string with_sum(const std::string& links) {
  const std::string text = "tideway leftover 1\n" + links;
  uint64_t sum = 0xcbf29ce484222325;
  for (const char c : text) sum = (sum ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return text + "end " + std::to_string(sum) + '\n';
}

void check_histories(std::string_view text) {
  const auto histories = parse_histories(text);
  if (!histories) return;
  TIDEWAY_CHECK(histories->size() <= LeftoverFile::kLinksMax);
  const std::string written = to_text(*histories);
  const auto again = parse_histories(written);
  TIDEWAY_CHECK(again && to_text(*again) == written);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check_histories(text);
  check_histories(with_sum(text));
  return 0;
}
