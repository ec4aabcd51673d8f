// SPDX-License-Identifier: Apache-2.0
//
// A profiler plug-in of NCCL that announces a training's communication on the phase board, with no change to the trainer:
//
//   NCCL_PROFILER_PLUGIN=tideway TIDEWAY_TRAINING=llm7 torchrun ...
//
// The start of a collective says only that it was enqueued, and its stop that this is done; on the wire it is what the proxy threads
// do. So a burst begins when the first step of an operation has been handed to the network, or has come from it, and ends
// when the last operation that has begun is through. Operations that wait for the GPU do not count, and none is counted of a communicator
// within one node, or of one that TIDEWAY_NCCL_COMMS leaves out.
//
// An event costs a few atomic operations and now and then a look at the clock; no lock, no allocation, no system call, but for one try each
// minute to open a board that was not there. With GPU-initiated networking there are no proxies, and nothing is announced.
// It is tested with a fake host that loads it and calls the interface; it has never run in a real NCCL here, for want of a GPU.
// Thread: any of NCCL's, many at once.
#include "nccl/profiler_abi.h"

#include <tideway/phase.h>

#include <stdbool.h>
#include <stdlib.h>

#define OPS_MAX 4096u            /* operations in flight; more are not counted */
#define PROBES_MAX 64u           /* places looked at for a free one */
#define REFRESH_NS 500000000u    /* a burst is told again, well within the gateway's 2 s */
#define RETRY_NS 60000000000u    /* until a board that was not there is looked for again */
#define NAME_MAX_SIZE 256
#define STEP_TAG 1u              /* a step's handle is its operation's, with this bit */

#define LOAD(what) __atomic_load_n(&(what), __ATOMIC_ACQUIRE)
#define STORE(what, value) __atomic_store_n(&(what), (value), __ATOMIC_RELEASE)
#define ADD(what, value) __atomic_add_fetch(&(what), (value), __ATOMIC_ACQ_REL)
#define SWAP(what, value) __atomic_exchange_n(&(what), (value), __ATOMIC_ACQ_REL)

struct op {
  uint32_t is_taken;
  uint32_t has_begun; /* is on the wire, and counted */
};

/* NCCL loads the plug-in once per process; all communicators share one slot of the board. */
static struct {
  struct op ops[OPS_MAX];
  uint32_t next_op;
  int32_t on_wire;           /* operations */
  uint32_t is_announcing;    /* a flag, taken by whoever writes the board; nobody waits for it */
  uint32_t is_told;          /* under the flag, as the two below: what the board says */
  uint64_t told_ns;
  uint64_t retry_ns;
  struct tideway_phase phase;
  int32_t communicators;
  char training[NAME_MAX_SIZE], board[NAME_MAX_SIZE];
} all;
static char quiet; /* the context of communicators that are not announced */

static bool open_board(void) {
  all.retry_ns = tideway_phase_now() + RETRY_NS;
  return all.training[0] != 0 && tideway_phase_open(&all.phase, all.board, all.training, NULL) == 0;
}

/* Makes the board say what is so. Whoever finds another thread at it leaves the rest to that one. */
static void announce(void) {
  while (SWAP(all.is_announcing, 1u) == 0) {
    const bool wants = LOAD(all.on_wire) > 0;
    const uint64_t now = tideway_phase_now();
    if (wants && all.phase.slot == NULL && now >= all.retry_ns) open_board();
    if (wants && (all.is_told == 0 || now - all.told_ns >= REFRESH_NS)) {
      tideway_phase_begin(&all.phase, NULL);
      __atomic_store_n(&all.told_ns, now, __ATOMIC_RELAXED);
    } else if (!wants && all.is_told != 0) {
      tideway_phase_end(&all.phase);
    }
    __atomic_store_n(&all.is_told, wants ? 1u : 0u, __ATOMIC_RELEASE);
    STORE(all.is_announcing, 0u);
    if ((LOAD(all.on_wire) > 0) == wants) return; /* else it changed meanwhile, and that thread went away */
  }
}

static struct op* take_op(void) {
  for (uint32_t tries = 0; tries < PROBES_MAX; ++tries) {
    struct op* op = &all.ops[ADD(all.next_op, 1u) % OPS_MAX];
    if (SWAP(op->is_taken, 1u) == 0) {
      op->has_begun = 0;
      return op;
    }
  }
  return NULL;
}

static struct op* op_of(void* handle) { return (struct op*)((uintptr_t)handle & ~(uintptr_t)STEP_TAG); }
static bool is_step(void* handle) { return ((uintptr_t)handle & STEP_TAG) != 0; }

/* Whether `names`, with commas between, has the name; no names: all are meant. */
static bool is_named(const char* names, const char* name) {
  const size_t size = name == NULL ? 0 : strlen(name);
  if (names == NULL || *names == 0) return true;
  for (const char* at = names; size > 0 && at != NULL && *at != 0; at = strchr(at, ','), at = at == NULL ? NULL : at + 1)
    if (strncmp(at, name, size) == 0 && (at[size] == 0 || at[size] == ',')) return true;
  return false;
}

static void copy_setting(char* into, const char* variable, const char* otherwise) {
  const char* found = getenv(variable);
  if (found == NULL || *found == 0 || strlen(found) >= NAME_MAX_SIZE) found = otherwise;
  memcpy(into, found, strlen(found) + 1);
}

static int init(void** context, int* events, const char* communicator, uint64_t hash, int nodes, int ranks, int rank, nccl_logger log) {
  const char* disabled = getenv("TIDEWAY_DISABLE");
  (void)hash, (void)ranks;
  *context = &quiet;
  *events = kNcclProxyOp | kNcclProxyStep; /* the mask is the whole process', so a quiet communicator must not take it from others */
  if (nodes < 2 || (disabled != NULL && *disabled != 0 && strcmp(disabled, "0") != 0) || !is_named(getenv("TIDEWAY_NCCL_COMMS"), communicator)) return kNcclSuccess;
  *context = &all;
  if (ADD(all.communicators, 1) == 1 && SWAP(all.is_announcing, 1u) == 0) {
    copy_setting(all.training, "TIDEWAY_TRAINING", "");
    copy_setting(all.board, "TIDEWAY_BOARD", "/run/tideway/phase.board");
    const bool is_open = open_board();
    STORE(all.is_announcing, 0u);
    if (log != NULL && rank == 0 && is_open) log(kNcclLogInfo, kNcclLogInit, __FILE__, __LINE__, "tideway: phases of %s go to %s", all.training, all.board);
    if (log != NULL && rank == 0 && !is_open)
      log(kNcclLogWarning, kNcclLogInit, __FILE__, __LINE__, "tideway: phases go nowhere: %s", all.training[0] == 0 ? "TIDEWAY_TRAINING names no training" : all.board);
  }
  return kNcclSuccess;
}

static int start_event(void* context, void** handle, struct nccl_event* event) {
  *handle = NULL;
  if (context != &all) return kNcclSuccess;
  if (event->type == kNcclProxyOp) *handle = take_op();
  if (event->type == kNcclProxyStep && event->parent != NULL) *handle = (void*)((uintptr_t)event->parent | STEP_TAG);
  return kNcclSuccess;
}

static int record_event_state(void* handle, int state, void* details) {
  (void)details;
  if (!is_step(handle) || (state != kNcclStepSendWait && state != kNcclStepRecvFlushWait && state != kNcclStepRecvGpuWait)) return kNcclSuccess;
  struct op* op = op_of(handle);
  if (op->has_begun == 0) { /* the steps of an operation belong to one thread */
    op->has_begun = 1;
    if (ADD(all.on_wire, 1) == 1 || LOAD(all.is_told) == 0) announce();
  } else if (tideway_phase_now() - __atomic_load_n(&all.told_ns, __ATOMIC_RELAXED) >= REFRESH_NS) {
    announce();
  }
  return kNcclSuccess;
}

static int stop_event(void* handle) {
  if (handle == NULL || is_step(handle)) return kNcclSuccess;
  struct op* op = op_of(handle);
  const bool was_on_wire = op->has_begun != 0;
  STORE(op->is_taken, 0u);
  if (was_on_wire && ADD(all.on_wire, -1) == 0) announce();
  return kNcclSuccess;
}

static int finalize(void* context) {
  /* The last communicator is gone, and with it the threads that could call. */
  if (context == &all && ADD(all.communicators, -1) == 0) {
    tideway_phase_close(&all.phase);
    all.on_wire = 0;
    all.is_told = 0;
  }
  return kNcclSuccess;
}

__attribute__((visibility("default"))) const struct nccl_profiler_v4 ncclProfiler_v4 = {"tideway", init, start_event, stop_event, record_event_state, finalize};
