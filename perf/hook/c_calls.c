// SPDX-License-Identifier: Apache-2.0
//
// What calls from C cost a trainer's thread: `c_calls save PATH TO COUNT` hands a checkpoint over so often, a millisecond of other work apart;
// `c_calls board PATH COUNT` announces bursts back to back. Prints nanoseconds, a line per call: that passed, and of the processor.
// Thread: one, beside that of the client.
#include <tideway/client.h>
#include <tideway/phase.h>

#include <stdio.h>
#include <stdlib.h>

#define OTHER_WORK 200000 /* steps of a generator of numbers, about a millisecond with its memory */
#define OTHER_MEMORY (1u << 17)

static uint64_t now(clockid_t clock) {
  struct timespec at;
  clock_gettime(clock, &at);
  return (uint64_t)at.tv_sec * 1000000000u + (uint64_t)at.tv_nsec;
}

static uint64_t memory[OTHER_MEMORY]; /* 1 MiB */
static void compute(void) {
  uint64_t number = 1;
  for (int i = 0; i < OTHER_WORK; ++i) {
    number = number * 6364136223846793005u + 1442695040888963407u;
    memory[number >> 47] += number;
  }
}

static int save(const char* path, const char* to, long count) {
  struct tideway_checkpoint checkpoint = {.size = sizeof checkpoint};
  struct tideway_client* client = tideway_client_open(NULL, NULL);
  checkpoint.path = path;
  checkpoint.to = &to;
  checkpoint.to_count = 1;
  int failed = tideway_replicate_checkpoint(client, &checkpoint, NULL, NULL); /* the first one starts the thread */
  for (long i = 0; i < count; ++i) {
    compute();
    const uint64_t cpu = now(CLOCK_THREAD_CPUTIME_ID), begun = now(CLOCK_MONOTONIC);
    failed |= tideway_replicate_checkpoint(client, &checkpoint, NULL, NULL);
    const uint64_t took = now(CLOCK_MONOTONIC) - begun;
    printf("%llu %llu\n", (unsigned long long)took, (unsigned long long)(now(CLOCK_THREAD_CPUTIME_ID) - cpu));
  }
  tideway_client_close(client, 30.0);
  return failed;
}

static int announce(const char* path, long count) {
  struct tideway_phase phase;
  if (tideway_phase_open(&phase, path, "llm7", NULL) != 0) return 1;
  for (long i = 0; i < count; ++i) {
    const uint64_t begun = now(CLOCK_MONOTONIC);
    tideway_phase_begin(&phase, NULL);
    const uint64_t middle = now(CLOCK_MONOTONIC);
    tideway_phase_end(&phase);
    printf("%llu %llu\n", (unsigned long long)(middle - begun), (unsigned long long)(now(CLOCK_MONOTONIC) - middle));
  }
  tideway_phase_close(&phase);
  return 0;
}

int main(int count, char** words) {
  if (count == 5 && strcmp(words[1], "save") == 0) return save(words[2], words[3], strtol(words[4], NULL, 10));
  if (count == 4 && strcmp(words[1], "board") == 0) return announce(words[2], strtol(words[3], NULL, 10));
  return 2;
}
