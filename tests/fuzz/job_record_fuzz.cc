// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a row of the job store: a job, or a reason why it is none. A job is written and read again as the same.
#include "api/job_record.h"

#include <tideway/check.h>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tideway;
  const auto job = api::parse_record({reinterpret_cast<const char*>(data), size});
  if (!job.ok()) {
    TIDEWAY_CHECK(!job.error().what.empty());
    return 0;
  }
  const std::string written = api::to_record(job.value());
  const auto again = api::parse_record(written);
  TIDEWAY_CHECK(again.ok());
  TIDEWAY_CHECK(api::to_record(again.value()) == written);
  TIDEWAY_CHECK(again.value().id == job.value().id && again.value().spec == job.value().spec);
  return 0;
}
