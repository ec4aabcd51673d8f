// SPDX-License-Identifier: Apache-2.0
//
// The public C headers as C11 without extensions, with all warnings, in both orders of being included.
// Thread: none; it is compiled only.
#include <tideway/client.h>
#include <tideway/phase.h>

#include <tideway/client.h>

int headers_are_c(void);
int headers_are_c(void) {
  struct tideway_job job = {.size = sizeof job};
  struct tideway_phase phase;
  struct tideway_phase_details details = {.bytes = 1};
  if (tideway_phase_open(&phase, "board", "llm7", NULL) != 0) return 1;
  tideway_phase_begin(&phase, &details);
  tideway_phase_predict(&phase, 1);
  tideway_phase_end(&phase);
  tideway_phase_close(&phase);
  return tideway_submit(NULL, &job, NULL, NULL);
}
