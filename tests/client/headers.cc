// SPDX-License-Identifier: Apache-2.0
//
// The public C headers as C++20 without extensions, with all warnings.
// Thread: none; it is compiled only.
#include <tideway/phase.h>
#include <tideway/client.h>

int headers_are_cpp();
int headers_are_cpp() {
  const char* sources[] = {"ckpt:a"};
  tideway_job job{};
  job.size = sizeof job;
  job.sources = sources;
  job.source_count = 1;
  job.destination = "wisconsin:ckpt/a";
  tideway_phase phase;
  const tideway_phase_details details{.bytes = 1, .duration_us = 2, .period_us = 3, .jitter_us = 4, .ttl_us = 5};
  if (tideway_phase_open(&phase, "board", "llm7", nullptr) != 0) return 1;
  tideway_phase_begin(&phase, &details);
  tideway_phase_end(&phase);
  tideway_phase_close(&phase);
  return tideway_submit(nullptr, &job, nullptr, nullptr);
}
