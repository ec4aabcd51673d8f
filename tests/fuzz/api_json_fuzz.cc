// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as each body that the HTTP interface takes, and as each answer that its clients read. What is taken is written and read
// again as the same; what is refused is the asker's mistake, and says so in words that a terminal can show.
#include "api/checkpoint_json.h"
#include "api/job_view.h"
#include "api/phase_json.h"
#include "api/problem.h"
#include "api/plan_json.h"
#include "api/schedule_json.h"
#include "api/service_json.h"
#include "api/spec_json.h"
#include "api/time_text.h"

#include <tideway/check.h>

#include <algorithm>

namespace {

using namespace tideway;

template <typename Value>
void check_refusal(const Result<Value>& refused) {
  const Error& why = refused.error();
  TIDEWAY_CHECK(!why.what.empty());
  TIDEWAY_CHECK(std::ranges::none_of(why.what, [](unsigned char c) { return c < 0x20 || c == 0x7F; }));
}

// Once written it is in one form, which reads as itself.
template <typename Parse>
void check_round(std::string_view text, const Parse& parse) {
  const auto first = parse(text);
  if (!first.ok()) return check_refusal(first);
  const std::string written = api::to_json(first.value());
  const auto second = parse(written);
  TIDEWAY_CHECK(second.ok());
  TIDEWAY_CHECK(api::to_json(second.value()) == written);
}

template <typename Parse>
void check_read(std::string_view text, const Parse& parse) {
  if (const auto read = parse(text); !read.ok()) check_refusal(read);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  check_round(text, api::parse_spec);
  check_round(text, api::parse_restore);
  check_round(text, api::parse_phase_word);
  check_round(text, api::parse_change);
  check_round(text, api::parse_view);
  check_round(text, api::parse_page);
  check_round(text, api::parse_peers);
  check_round(text, api::parse_roots);
  check_round(text, api::parse_rate_state);
  check_round(text, api::parse_feasibility);
  check_read(text, api::parse_checkpoint);
  check_read(text, api::kind_of);
  check_read(text, api::parse_accepted);
  check_read(text, api::parse_entries);
  check_read(text, api::parse_range);
  check_read(text, api::parse_complete);
  check_read(text, api::parse_schedule);
  TIDEWAY_CHECK(!api::parse_problem(text, 500).what.empty());
  static_cast<void>(api::parse_time(text));
  return 0;
}
