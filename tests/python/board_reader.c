// SPDX-License-Identifier: Apache-2.0
//
// Looks at a phase board through the C header: `board_reader BOARD` prints each slot in use as a line of JSON, and then which
// slot it gets itself, -1 when none; `board_reader --hash TRAINING SITE` prints both hashes; `board_reader --unopened BOARD` makes all calls
// on what could not be opened, and prints why it could not.
// Thread: its own process.
#include <tideway/phase.h>

#include <inttypes.h>
#include <stdio.h>

int main(int count, char** words) {
  struct tideway_phase phase;
  const struct tideway_phase_slot* slots;
  int failed, fd, i;
  if (count == 4 && strcmp(words[1], "--hash") == 0) {
    printf("%" PRIu64 " %" PRIu32 "\n", tideway_phase_training(words[2]), tideway_phase_site(words[3]));
    return 0;
  }
  if (count == 3 && strcmp(words[1], "--unopened") == 0) {
    const struct tideway_phase_details details = {.bytes = 1};
    memset(&phase, 0xFF, sizeof phase);
    failed = tideway_phase_open(&phase, words[2], "llm7", NULL);
    tideway_phase_begin(&phase, &details);
    tideway_phase_predict(&phase, 1000);
    tideway_phase_end(&phase);
    tideway_phase_close(&phase);
    tideway_phase_begin(&phase, NULL);
    printf("%d\n", failed);
    return 0;
  }
  if (count != 2 || (fd = open(words[1], O_RDONLY)) < 0) return 2;
  slots = mmap(NULL, sizeof *slots * TIDEWAY_PHASE_SLOTS, PROT_READ, MAP_SHARED, fd, 0);
  if (slots == MAP_FAILED) return 2;
  for (i = 0; i < (int)TIDEWAY_PHASE_SLOTS; ++i) {
    const struct tideway_phase_slot* slot = &slots[i];
    if (slot->training == 0) continue;
    printf("{\"slot\": %d, \"seq\": %" PRIu32 ", \"state\": %" PRIu32 ", \"training\": %" PRIu64 ", \"begin_ns\": %" PRIu64 ", \"end_ns\": %" PRIu64 ", ", i,
           slot->seq, slot->state, slot->training, slot->begin_ns, slot->end_ns);
    printf("\"bytes\": %" PRIu64 ", \"duration_us\": %" PRIu32 ", \"period_us\": %" PRIu32 ", \"ttl_us\": %" PRIu32 ", ", slot->bytes, slot->duration_us,
           slot->period_us, slot->ttl_us);
    printf("\"dst\": %" PRIu32 ", \"pid\": %" PRIu32 ", \"jitter_us\": %" PRIu32 "}\n", slot->dst, slot->pid, slot->jitter_us);
  }
  failed = tideway_phase_open(&phase, words[1], "another", NULL);
  printf("%d\n", failed == 0 ? (int)(phase.slot - slots - ((char*)phase.board - (char*)slots) / (long)sizeof *slots) : -1);
  if (failed == 0) tideway_phase_close(&phase);
  return 0;
}
