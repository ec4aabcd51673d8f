// SPDX-License-Identifier: Apache-2.0
//
// libtideway: a training's checkpoints and copies, handed to the Tideway gateway of this machine from C or C++ (C11, C++20).
// docs/c.md tells the whole; this is the contract.
//
// Training never waits and never fails because of us: tideway_submit(), tideway_replicate_checkpoint(), tideway_stream_*() and
// tideway_report_iteration() check their arguments, put one item into a queue and return. A thread of the client does the rest: it
// pins, asks the gateway, leaves the request in the inbox of the root while there is none, and tries again. The calls with a
// timeout, and tideway_ticket_cancel(), may block.
//
// Returns: 0, or the exit code that the command line has for the trouble, from 1 to 12; its name and a text for people go into `error`
// where it is not NULL. Texts are copied; nothing of the caller's is kept. A NULL text or list means the default.
// Structures begin with their size, so that they may grow: struct tideway_job job = {.size = sizeof job}; in C,
// tideway_job job{}; job.size = sizeof job; in C++, and then the fields.
// Paths of this machine lie below a root of the gateway, or are written root:path; places of a peer are peer:root/path.
// Times are in seconds; a negative timeout is no limit.
// Thread: any, several at once; only close, free, and the end of a stream are the last call with their object. No callback, no signal, no global state.
// A client belongs to the process that opened it: a forked child opens its own, and is refused otherwise.
#ifndef TIDEWAY_CLIENT_H
#define TIDEWAY_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#define TIDEWAY_API __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

struct tideway_error {
  int exit_code;  /* as returned; 0: no trouble */
  char code[40];  /* stable, such as "daemon_unreachable": docs/jobs.md; "" without trouble */
  char text[600]; /* what happened, and what a person can do */
};

struct tideway_client; /* a gateway and the queue to it */
struct tideway_ticket; /* where a request has got to */
struct tideway_stream; /* a checkpoint that is being written */

struct tideway_settings {
  size_t size;
  const char* api;   /* the gateway's socket; else TIDEWAY_API, else /run/tideway/api.sock */
  const char* inbox; /* for requests while it is away; else TIDEWAY_INBOX, else .tideway/inbox of the root above the checkpoint */
};

/* No gateway is needed for it. `settings` may be NULL. NULL: `error` says why; every call takes a NULL client and refuses. With
 * TIDEWAY_DISABLE=1 in the environment the calls do nothing, and tickets are TIDEWAY_DISABLED. */
TIDEWAY_API struct tideway_client* tideway_client_open(const struct tideway_settings* settings, struct tideway_error* error);
/* Waits as tideway_client_flush(), then what is left goes to the inbox. Takes 2 s longer than `seconds` at most. */
TIDEWAY_API void tideway_client_close(struct tideway_client* client, double seconds);
/* Until nothing is left in memory: it is with the gateway, or in an inbox on stable storage. `deadline` (11): something is. For a stream
 * that is open it does not wait. */
TIDEWAY_API int tideway_client_flush(struct tideway_client* client, double seconds, struct tideway_error* error);

struct tideway_counts {
  size_t size;
  uint64_t waiting;    /* now in the queue */
  uint64_t accepted;   /* by the gateway, and so on, since the client was opened */
  uint64_t stored;     /* left in an inbox */
  uint64_t refused;    /* by the gateway */
  uint64_t dropped;    /* the queue was full, or the end came */
  uint64_t unanswered; /* times that a gateway was asked in vain */
  uint64_t unpinned;   /* checkpoints that are read where they lie */
};
/* For the metrics of the training. `latest`, which may be NULL: the latest trouble that the thread met. */
TIDEWAY_API int tideway_client_counts(struct tideway_client* client, struct tideway_counts* counts, struct tideway_error* latest);

struct tideway_job {
  size_t size;
  const char* const* sources;
  size_t source_count;
  const char* destination;
  const char* job_class;     /* restore, checkpoint, staging, best-effort */
  const char* compress;      /* auto, on, off */
  const char* verify;
  const char* deadline;      /* RFC 3339, as 2026-11-26T18:00:00Z */
  const char* submission_id; /* twice the same one is one job */
};
/* Background. `ticket` may be NULL; otherwise free it. */
TIDEWAY_API int tideway_submit(struct tideway_client* client, const struct tideway_job* job, struct tideway_ticket** ticket, struct tideway_error* error);
/* Blocks until it is published. After `deadline` (11) the job goes on. */
TIDEWAY_API int tideway_copy(struct tideway_client* client, const struct tideway_job* job, double timeout, struct tideway_error* error);

enum tideway_pin { TIDEWAY_PIN_AUTO = 0, TIDEWAY_PIN_OFF = 1 };
struct tideway_checkpoint {
  size_t size;
  const char* path;
  const char* const* to; /* peer:root/path */
  size_t to_count;
  const char* series;    /* which run; else the path of its directory below the root */
  const uint64_t* step;  /* NULL: the number in its name */
  uint32_t keep;         /* newest ones at the target; 0: all */
  uint32_t world;        /* processes that save; 0: not known */
  const char* deadline;
  const char* format;    /* auto, dcp, torch, safetensors, hf, lightning, deepspeed, megatron, orbax */
  const char* rpo;       /* such as 30m */
  const char* publish;   /* rename, marker */
  const char* supersede; /* latest, all */
  const char* const* pointers; /* files beside it, such as latest */
  size_t pointer_count;
  enum tideway_pin pin;
};
/* Background. Of a checkpoint that every process has finished writing; the gateway still asks the rule of its format. It is pinned first, so
 * the trainer may delete it as soon as the ticket is TIDEWAY_PINNED or further. Where it cannot be pinned (`unpinned` of the counts, and a note) the ticket is
 * never that, and the checkpoint has to stay until it is TIDEWAY_PUBLISHED. */
TIDEWAY_API int tideway_replicate_checkpoint(struct tideway_client* client, const struct tideway_checkpoint* checkpoint, struct tideway_ticket** ticket,
                                             struct tideway_error* error);


/* Background. As tideway_replicate_checkpoint(), for one that is still to be written: it is sent meanwhile, and appears at the target when it is
 * complete. Where the gateway is away, or is an older one, it goes as a whole then. After an error `stream` is NULL, which the calls below refuse. */
TIDEWAY_API int tideway_stream_open(struct tideway_client* client, const struct tideway_checkpoint* checkpoint, struct tideway_stream** stream, struct tideway_error* error);

struct tideway_range {
  size_t size;
  const char* file; /* its path, or that from the checkpoint on; NULL: the checkpoint is a file itself */
  uint64_t offset;  /* in bytes, as the length, which is at least 1 */
  uint64_t length;
};
/* Background. These bytes will not change any more. A file of which nothing is declared counts as one that only grows. Nothing breaks when that is wrong:
 * what differs in the end is sent again. */
TIDEWAY_API int tideway_stream_declare(struct tideway_stream* stream, const struct tideway_range* range, struct tideway_error* error);
/* Background. Every process has finished writing. The last call with `stream`, as the next one; `ticket` may be NULL. */
TIDEWAY_API int tideway_stream_complete(struct tideway_stream* stream, struct tideway_ticket** ticket, struct tideway_error* error);
/* Background. It will never be complete: nothing of it appears. */
TIDEWAY_API void tideway_stream_abort(struct tideway_stream* stream);

struct tideway_restore_job {
  size_t size;
  const char* series;      /* one that this gateway has sent; or peer:root/run; or any:root/run */
  const char* destination; /* below a root of the gateway */
  const uint64_t* step;    /* NULL: the newest */
  const char* const* include; /* patterns from its top on, such as "model/layer-*"; none: all */
  size_t include_count;
  int fallback;            /* not 0: the next older one when this cannot be verified */
};
/* Blocks until the checkpoint is there. */
TIDEWAY_API int tideway_restore(struct tideway_client* client, const struct tideway_restore_job* job, double timeout, struct tideway_error* error);

/* Background: how long one iteration of a [[training]] took, from begin to begin. Phases are tideway/phase.h's. */
TIDEWAY_API int tideway_report_iteration(struct tideway_client* client, const char* training, double seconds, struct tideway_error* error);

enum tideway_state {
  TIDEWAY_QUEUED = 0,
  TIDEWAY_PINNED = 1,
  TIDEWAY_STORED = 2, /* in an inbox; stands for ACCEPTED while there is no gateway */
  TIDEWAY_ACCEPTED = 3,
  TIDEWAY_PUBLISHED = 4,
  TIDEWAY_FAILED = 5,
  TIDEWAY_SUPERSEDED = 6, /* a newer one of its series goes instead */
  TIDEWAY_DISABLED = 7
};
/* As of the last that this process heard; waiting asks for more. */
TIDEWAY_API enum tideway_state tideway_ticket_state(const struct tideway_ticket* ticket);
/* The submission_id; it lives as long as the ticket. */
TIDEWAY_API const char* tideway_ticket_id(const struct tideway_ticket* ticket);
/* Until it has got to `state` or further. `deadline` (11): time is up; `cancelled` (1): also when it was superseded; else what it failed with. */
TIDEWAY_API int tideway_ticket_wait(struct tideway_ticket* ticket, enum tideway_state state, double timeout, struct tideway_error* error);
/* Out of the queue, or the inbox, or its jobs at the gateway. */
TIDEWAY_API int tideway_ticket_cancel(struct tideway_ticket* ticket, struct tideway_error* error);
TIDEWAY_API void tideway_ticket_free(struct tideway_ticket* ticket);

#ifdef __cplusplus
}
#endif
#endif
