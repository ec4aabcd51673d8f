// SPDX-License-Identifier: Apache-2.0
//
// A fake NCCL: loads the plug-in as NCCL does, by dlopen and the symbol ncclProfiler_v4, and makes the calls of its proxy threads in the order
// found in NCCL's source. It shows what the plug-in does with them; that a real NCCL makes them so was never tried here, for want of a GPU.
//
//   fake_nccl_host PLUGIN FOLDER          the tests; the board is made in FOLDER. Time is virtual: the clock is this program's own
//   fake_nccl_host PLUGIN FOLDER --time   nanoseconds per event, the least of several runs
//
// Thread: main, and four that play proxies.
#define _GNU_SOURCE /* RTLD_NEXT */
#include "nccl/profiler_abi.h"

#include <tideway/phase.h>

#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define THREADS 4
#define OPS_PER_THREAD 10000
#define STEP_SEND_GPU_WAIT 8 /* the GPU has not got so far */
#define COLLECTIVE 2
#define GROUP 1

static const struct nccl_profiler_v4* nccl;
static const struct tideway_phase_slot* slots;
static char board[256];
static char said[256];
static uint64_t virtual_ns; /* 0: the real clock */
static int failures;
static void* stops_meanwhile; /* an operation that another thread stops while this one looks at the clock */
static int (*real_clock)(clockid_t clock, struct timespec* now);

/* Stands before the C library's, for the plug-in too. */
int clock_gettime(clockid_t clock, struct timespec* now) {
  if (stops_meanwhile != NULL) {
    void* op = stops_meanwhile;
    stops_meanwhile = NULL;
    nccl->stopEvent(op);
  }
  if (virtual_ns == 0) return real_clock(clock, now);
  now->tv_sec = (time_t)(virtual_ns / 1000000000u);
  now->tv_nsec = (long)(virtual_ns % 1000000000u);
  return 0;
}

static void expect(int holds, const char* claim, int line) {
  if (holds) return;
  ++failures;
  fprintf(stderr, "fake_host.c:%d: does not hold: %s\n", line, claim);
}
#define EXPECT(claim) expect((claim) != 0, #claim, __LINE__)

static void log_line(int level, unsigned long subjects, const char* file, int line, const char* format, ...) {
  va_list arguments;
  (void)level, (void)subjects, (void)file, (void)line;
  va_start(arguments, format);
  vsnprintf(said, sizeof said, format, arguments);
  va_end(arguments);
}

static void make_board(void) {
  static const char zeros[TIDEWAY_PHASE_SLOTS * sizeof(struct tideway_phase_slot)];
  FILE* file = fopen(board, "wb");
  if (file == NULL || fwrite(zeros, sizeof zeros, 1, file) != 1 || fclose(file) != 0) exit(2);
  const int fd = open(board, O_RDONLY);
  slots = mmap(NULL, sizeof zeros, PROT_READ, MAP_SHARED, fd, 0);
  if (fd < 0 || slots == MAP_FAILED) exit(2);
  close(fd);
}

static int bursts(void) { /* slots that say so */
  int found = 0;
  for (unsigned i = 0; i < TIDEWAY_PHASE_SLOTS; ++i) found += slots[i].training == tideway_phase_training("llm7") && slots[i].state == TIDEWAY_PHASE_BURST;
  return found;
}

static void* communicator(const char* name, int nodes) {
  void* context = NULL;
  int events = 0;
  said[0] = 0;
  EXPECT(nccl->init(&context, &events, name, 1, nodes, 2 * nodes, 0, log_line) == 0);
  EXPECT(context != NULL && events == (kNcclProxyOp | kNcclProxyStep));
  return context;
}

static void* start_op(void* context, int is_send) {
  struct nccl_event event = {.type = kNcclProxyOp, .of.proxy_op = {.pid = getpid(), .peer = 1, .steps = 4, .chunk = 1 << 19, .is_send = is_send}};
  void* handle = NULL;
  EXPECT(nccl->startEvent(context, &handle, &event) == 0);
  return handle;
}

static void* start_step(void* context, void* op) {
  struct nccl_event event = {.type = kNcclProxyStep, .parent = op};
  void* handle = NULL;
  EXPECT(nccl->startEvent(context, &handle, &event) == 0);
  return handle;
}

/* One step of an operation until its data is on the wire. */
static void send_step(void* context, void* op) {
  size_t details = 1 << 19;
  void* step = start_step(context, op);
  nccl->recordEventState(step, STEP_SEND_GPU_WAIT, &details);
  nccl->recordEventState(step, kNcclStepSendWait, &details);
  nccl->stopEvent(step);
}

static void a_burst_begins_with_the_first_data_and_ends_with_the_last_operation(void) {
  void* context = communicator("world", 2);
  void* sends = start_op(context, 1);
  void* receives = start_op(context, 0);
  void* step = start_step(context, sends);
  nccl->recordEventState(step, STEP_SEND_GPU_WAIT, NULL);
  EXPECT(bursts() == 0); /* scheduled, and waiting for the GPU */
  nccl->recordEventState(step, kNcclStepSendWait, NULL);
  EXPECT(bursts() == 1);
  nccl->stopEvent(step);
  step = start_step(context, receives);
  nccl->recordEventState(step, kNcclStepRecvFlushWait, NULL);
  nccl->stopEvent(step);
  nccl->stopEvent(sends);
  EXPECT(bursts() == 1);
  nccl->stopEvent(receives);
  EXPECT(bursts() == 0);
  EXPECT(strstr(said, "go to") != NULL);
  nccl->finalize(context);
}

static void an_operation_that_never_began_ends_nothing(void) {
  void* context = communicator("world", 2);
  void* first = start_op(context, 1);
  void* second = start_op(context, 1);
  send_step(context, first);
  nccl->stopEvent(second);
  EXPECT(bursts() == 1);
  nccl->stopEvent(first);
  EXPECT(bursts() == 0);
  nccl->finalize(context);
}

static void collectives_and_groups_are_only_enqueued(void) {
  void* context = communicator("world", 2);
  const int kinds[] = {COLLECTIVE, GROUP};
  for (int i = 0; i < 2; ++i) {
    struct nccl_event event = {.type = (uint8_t)kinds[i]};
    void* handle = &event;
    EXPECT(nccl->startEvent(context, &handle, &event) == 0 && handle == NULL);
  }
  EXPECT(bursts() == 0);
  nccl->finalize(context);
}

static void communicators_within_a_node_and_others_than_the_named_are_quiet(void) {
  setenv("TIDEWAY_NCCL_COMMS", "wan,outer", 1);
  void* local = communicator("outer", 1);
  void* other = communicator("oute", 2);
  void* unnamed = communicator(NULL, 2);
  void* named = communicator("outer", 2);
  EXPECT(start_op(local, 1) == NULL && start_op(other, 1) == NULL && start_op(unnamed, 1) == NULL);
  void* op = start_op(named, 1);
  send_step(named, op);
  EXPECT(bursts() == 1);
  nccl->finalize(local);
  nccl->finalize(other);
  nccl->finalize(unnamed);
  EXPECT(bursts() == 1);
  nccl->stopEvent(op);
  nccl->finalize(named);
  unsetenv("TIDEWAY_NCCL_COMMS");
}

static void an_end_that_meets_the_telling_of_its_begin_is_told_too(void) {
  void* context = communicator("world", 2);
  void* op = start_op(context, 1);
  void* step = start_step(context, op);
  stops_meanwhile = op;
  nccl->recordEventState(step, kNcclStepSendWait, NULL);
  EXPECT(stops_meanwhile == NULL && bursts() == 0);
  nccl->finalize(context);
}

static void* play_proxy(void* context) {
  for (int i = 0; i < OPS_PER_THREAD; ++i) {
    void* op = start_op(context, 1);
    if (op == NULL) continue;
    send_step(context, op);
    nccl->stopEvent(op);
  }
  return NULL;
}

static void many_proxies_at_once_leave_the_board_idle_and_whole(void) {
  pthread_t threads[THREADS];
  void* context = communicator("world", 2);
  for (int i = 0; i < THREADS; ++i) pthread_create(&threads[i], NULL, play_proxy, context);
  for (int i = 0; i < THREADS; ++i) pthread_join(threads[i], NULL);
  EXPECT(bursts() == 0 && slots[0].seq % 2 == 0 && slots[0].seq > 4);
  nccl->finalize(context);
  EXPECT(slots[0].training == 0);
}

static void a_long_burst_is_told_again_before_it_counts_as_over(void) {
  virtual_ns = 1000000000u;
  void* context = communicator("world", 2);
  void* op = start_op(context, 1);
  send_step(context, op);
  const uint64_t told = slots[0].begin_ns;
  virtual_ns += 400000000u;
  send_step(context, op);
  EXPECT(slots[0].begin_ns == told);
  virtual_ns += 200000000u;
  send_step(context, op);
  EXPECT(slots[0].begin_ns == virtual_ns && bursts() == 1);
  nccl->stopEvent(op);
  nccl->finalize(context);
  virtual_ns = 0;
}

static void without_a_gateway_nothing_fails_and_the_board_is_looked_for_each_minute(void) {
  virtual_ns = 1000000000u;
  remove(board);
  void* context = communicator("world", 2);
  EXPECT(strstr(said, "nowhere") != NULL);
  void* op = start_op(context, 1);
  send_step(context, op);
  nccl->stopEvent(op);
  make_board();
  op = start_op(context, 1);
  send_step(context, op);
  EXPECT(bursts() == 0);
  nccl->stopEvent(op);
  virtual_ns += 61000000000u;
  op = start_op(context, 1);
  send_step(context, op);
  EXPECT(bursts() == 1);
  nccl->stopEvent(op);
  EXPECT(bursts() == 0);
  nccl->finalize(context);
  virtual_ns = 0;
}

static void more_operations_than_there_is_room_for_are_left_out(void) {
  static void* ops[5000];
  int taken = 0;
  void* context = communicator("world", 2);
  for (int i = 0; i < 5000; ++i) {
    ops[i] = start_op(context, 1);
    if (ops[i] == NULL) continue;
    ++taken;
    send_step(context, ops[i]);
  }
  EXPECT(taken == 4096 && bursts() == 1);
  for (int i = 0; i < 5000; ++i)
    if (ops[i] != NULL) nccl->stopEvent(ops[i]); /* as NCCL, which calls none without a handle */
  EXPECT(bursts() == 0);
  nccl->finalize(context);
}

static double seconds_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* `steps` of one operation: 1 writes the board twice for its 6 events, many the more usual case. */
static double ns_per_event(void* context, int steps) {
  double least = 1e9;
  for (int run = 0; run < 50; ++run) {
    const int ops = 20000 / steps;
    const double begun = seconds_now();
    for (int i = 0; i < ops; ++i) {
      void* op = start_op(context, 1);
      for (int step = 0; step < steps; ++step) send_step(context, op);
      nccl->stopEvent(op);
    }
    const double took = (seconds_now() - begun) * 1e9 / (ops * (2 + 4 * steps));
    if (took < least) least = took;
  }
  return least;
}

int main(int count, char** words) {
  void* library;
  *(void**)&real_clock = dlsym(RTLD_NEXT, "clock_gettime");
  if (count < 3 || (library = dlopen(words[1], RTLD_NOW | RTLD_LOCAL)) == NULL) return fprintf(stderr, "no plug-in: %s\n", dlerror()), 2;
  nccl = dlsym(library, "ncclProfiler_v4");
  if (nccl == NULL || strcmp(nccl->name, "tideway") != 0) return fprintf(stderr, "it has no ncclProfiler_v4\n"), 2;
  snprintf(board, sizeof board, "%s/nccl-%d.board", words[2], (int)getpid());
  setenv("TIDEWAY_BOARD", board, 1);
  setenv("TIDEWAY_TRAINING", "llm7", 1);
  make_board();
  if (count > 3) {
    void* context = communicator("world", 2);
    printf("{\"one_step_ns\": %.1f, \"many_steps_ns\": %.1f}\n", ns_per_event(context, 1), ns_per_event(context, 100));
    nccl->finalize(context);
  } else {
    a_burst_begins_with_the_first_data_and_ends_with_the_last_operation();
    an_operation_that_never_began_ends_nothing();
    collectives_and_groups_are_only_enqueued();
    communicators_within_a_node_and_others_than_the_named_are_quiet();
    an_end_that_meets_the_telling_of_its_begin_is_told_too();
    many_proxies_at_once_leave_the_board_idle_and_whole();
    a_long_burst_is_told_again_before_it_counts_as_over();
    without_a_gateway_nothing_fails_and_the_board_is_looked_for_each_minute();
    more_operations_than_there_is_room_for_are_left_out();
  }
  remove(board);
  dlclose(library);
  return failures != 0;
}
