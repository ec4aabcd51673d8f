// SPDX-License-Identifier: Apache-2.0
//
// The binary interface between NCCL and a profiler plug-in, version 4 (NCCL 2.27 and later look for it): written anew from the public
// description of the interface, with the fields that we read and the room of those that we do not. NCCL loads libnccl-profiler-NAME.so, takes
// the symbol ncclProfiler_v4 from it, and calls its functions: init once per communicator, then start, record and stop of
// events, on whatever thread they happen.
// Thread: none; layout only.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Every call says success: what goes wrong in a profiler is not NCCL's trouble. */
enum { kNcclSuccess = 0 };

/* The kinds of events that we ask for; each has one bit. */
enum { kNcclProxyOp = 1 << 3, kNcclProxyStep = 1 << 4 };

/* What a step of the proxy does next, as recordEventState() tells it. */
enum {
  kNcclStepSendWait = 9,        /* its data has been handed to the network */
  kNcclStepRecvFlushWait = 11,  /* its data has come from the network */
  kNcclStepRecvGpuWait = 12     /* the same, where there is nothing to flush */
};

/* Levels and subjects of NCCL's log. */
enum { kNcclLogWarning = 2, kNcclLogInfo = 3, kNcclLogInit = 1 };
typedef void (*nccl_logger)(int level, unsigned long subjects, const char* file, int line, const char* format, ...);

struct nccl_event {
  uint8_t type;
  void* parent; /* the handle of the event that this one belongs to; of a step: its operation */
  int rank;
  union {
    struct {
      pid_t pid; /* of the process whose operation it is; with PXN another one */
      uint8_t channel;
      int peer;
      int steps;
      int chunk; /* bytes */
      int is_send;
    } proxy_op;
    struct {
      int step;
    } proxy_step;
    struct {
      uint64_t sequence;
      const char* function;
      const void* from;
      void* to;
      size_t count;
      int root;
      const char* datatype;
      uint8_t channels, warps;
      const char* algorithm;
      const char* protocol;
    } collective; /* the largest; its start says only that it was enqueued */
  } of;
};

#ifndef __cplusplus
#if UINTPTR_MAX == UINT64_MAX
_Static_assert(offsetof(struct nccl_event, parent) == 8 && offsetof(struct nccl_event, rank) == 16 && offsetof(struct nccl_event, of) == 24, "layout of an event");
_Static_assert(offsetof(struct nccl_event, of.proxy_op.is_send) == 44 && offsetof(struct nccl_event, of.collective.protocol) == 96, "layout of its details");
_Static_assert(sizeof(struct nccl_event) == 104, "size of an event");
#endif
#endif

struct nccl_profiler_v4 {
  const char* name;
  /* `events`: the kinds that the plug-in wants. NCCL keeps one mask for the whole process: the last communicator's. */
  int (*init)(void** context, int* events, const char* communicator, uint64_t hash, int nodes, int ranks, int rank, nccl_logger log);
  int (*startEvent)(void* context, void** handle, struct nccl_event* event);
  int (*stopEvent)(void* handle);
  int (*recordEventState)(void* handle, int state, void* details); /* details: a union of at most 8 bytes, or NULL */
  int (*finalize)(void* context);
};
