// SPDX-License-Identifier: Apache-2.0
//
// Announces a training's communication to the Tideway gateway on the same host, through a page of shared memory. C, header
// only, for Linux; also from C++. A call is two reads of the clock's page and a few writes: well under a microsecond, no
// system call, no lock. Whether a gateway runs makes no difference to a trainer that opened the board. Where it could not be
// opened, the other calls do nothing and return at once, so a trainer needs no checks.
//
//     struct tideway_phase phase;
//     int failed = tideway_phase_open(&phase, "/run/tideway/phase.board", "llm7", NULL);   0, or an errno
//     for (;;) { compute(); tideway_phase_begin(&phase, NULL); all_reduce(); tideway_phase_end(&phase); }
//     tideway_phase_close(&phase);
//
// The board is a file of 64 slots of 64 bytes, native byte order, one writer per slot. A writer owns a slot by an
// open-file-description lock on its bytes, so that a process that dies gives it back; the gateway clears what nobody locks.
// Thread: one per struct tideway_phase; several may be open in one process.
#ifndef TIDEWAY_PHASE_H
#define TIDEWAY_PHASE_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TIDEWAY_PHASE_SLOTS 64u
#define TIDEWAY_PHASE_IDLE 0u
#define TIDEWAY_PHASE_BURST 1u
#define TIDEWAY_PHASE_SETLK 37 /* F_OFD_SETLK, which some headers show only with _GNU_SOURCE */

struct tideway_phase_slot {
  uint32_t seq;      /* even: stable */
  uint32_t state;    /* alone decides the gate, so a torn read costs one look */
  uint64_t training; /* FNV-1a 64 of its name; 0: nobody's */
  uint64_t begin_ns; /* CLOCK_MONOTONIC; ahead of now in an idle slot: a prediction */
  uint64_t end_ns;   /* ahead of now in a burst: the begin that is expected after it */
  uint64_t bytes;    /* this and the next: 0 is unknown */
  uint32_t duration_us, period_us, ttl_us;
  uint32_t dst;      /* FNV-1a 32 of the far site's name; 0: every link of the training */
  uint32_t pid;
  uint32_t jitter_us;
};

struct tideway_phase_details {
  uint64_t bytes;                                     /* that this site will send */
  uint32_t duration_us, period_us, jitter_us, ttl_us; /* jitter: one sigma */
};

struct tideway_phase {
  int fd;
  void *board;
  struct tideway_phase_slot *slot;
};

#ifndef CLOCK_MONOTONIC
#error "tideway/phase.h needs POSIX: compile with -std=gnu11 or -D_POSIX_C_SOURCE=200809L"
#endif

/* libtideway has the same calls as functions, for other languages. */
#ifndef TIDEWAY_PHASE_FUNCTION
#define TIDEWAY_PHASE_FUNCTION static inline
#endif

#ifdef __cplusplus
#define TIDEWAY_PHASE_AS(type, value) static_cast<type>(value)
extern "C" {
#else
#define TIDEWAY_PHASE_AS(type, value) ((type)(value))
#endif

static inline uint64_t tideway_phase_now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return TIDEWAY_PHASE_AS(uint64_t, now.tv_sec) * 1000000000u + TIDEWAY_PHASE_AS(uint64_t, now.tv_nsec);
}

static inline uint64_t tideway_phase_training(const char *name) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (; *name != 0; ++name) hash = (hash ^ TIDEWAY_PHASE_AS(unsigned char, *name)) * 0x100000001b3u;
  return hash;
}

static inline uint32_t tideway_phase_site(const char *name) {
  uint32_t hash = 0x811c9dc5u;
  for (; *name != 0; ++name) hash = (hash ^ TIDEWAY_PHASE_AS(unsigned char, *name)) * 0x01000193u;
  return hash;
}

/* Nobody but the owner of the slot writes it. */
static inline void tideway_phase_edit(struct tideway_phase_slot *slot) {
  __atomic_store_n(&slot->seq, slot->seq + 1, __ATOMIC_RELAXED);
  __atomic_thread_fence(__ATOMIC_RELEASE);
}
static inline void tideway_phase_done(struct tideway_phase_slot *slot) {
  __atomic_store_n(&slot->seq, slot->seq + 1, __ATOMIC_RELEASE);
}

/* Takes a free slot of the board. `site` NULL: every link of the training. 0, or an errno: ENOENT when no gateway has made
 * the board, EACCES when we are not of its group, EPROTO when the file is no board, EUSERS when all slots are taken. */
TIDEWAY_PHASE_FUNCTION int tideway_phase_open(struct tideway_phase *phase, const char *board, const char *training, const char *site) {
  struct stat status;
  unsigned i;
  phase->board = NULL;
  phase->slot = NULL;
  phase->fd = open(board, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (phase->fd < 0) return errno;
  if (fstat(phase->fd, &status) != 0 || TIDEWAY_PHASE_AS(uint64_t, status.st_size) < sizeof(struct tideway_phase_slot) * TIDEWAY_PHASE_SLOTS) {
    close(phase->fd);
    return EPROTO;
  }
  phase->board = mmap(NULL, sizeof(struct tideway_phase_slot) * TIDEWAY_PHASE_SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED, phase->fd, 0);
  if (phase->board == MAP_FAILED) {
    const int failed = errno;
    phase->board = NULL;
    close(phase->fd);
    return failed;
  }
  for (i = 0; i < TIDEWAY_PHASE_SLOTS; ++i) {
    struct flock lock;
    memset(&lock, 0, sizeof lock);
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    lock.l_start = TIDEWAY_PHASE_AS(off_t, i * sizeof(struct tideway_phase_slot));
    lock.l_len = TIDEWAY_PHASE_AS(off_t, sizeof(struct tideway_phase_slot));
    if (fcntl(phase->fd, TIDEWAY_PHASE_SETLK, &lock) != 0) continue;
    phase->slot = TIDEWAY_PHASE_AS(struct tideway_phase_slot *, phase->board) + i;
    __atomic_store_n(&phase->slot->state, TIDEWAY_PHASE_IDLE, __ATOMIC_RELEASE);
    __atomic_store_n(&phase->slot->seq, phase->slot->seq & ~1u, __ATOMIC_RELEASE); /* one who died in between left it odd */
    tideway_phase_edit(phase->slot);
    phase->slot->begin_ns = phase->slot->end_ns = phase->slot->bytes = 0;
    phase->slot->duration_us = phase->slot->period_us = phase->slot->jitter_us = 0;
    __atomic_store_n(&phase->slot->ttl_us, 0u, __ATOMIC_RELAXED);
    phase->slot->dst = site == NULL ? 0 : tideway_phase_site(site);
    phase->slot->pid = TIDEWAY_PHASE_AS(uint32_t, getpid());
    __atomic_store_n(&phase->slot->training, tideway_phase_training(training), __ATOMIC_RELAXED);
    tideway_phase_done(phase->slot);
    return 0;
  }
  munmap(phase->board, sizeof(struct tideway_phase_slot) * TIDEWAY_PHASE_SLOTS);
  phase->board = NULL;
  close(phase->fd);
  return EUSERS;
}

/* Communication begins now. Of a burst that lasts longer than its time to live, call it again: that is `ttl_us`, else
 * `duration_us` and three times `jitter_us`, and the gateway's 2 s at least. `details` NULL: as said before through this slot, if at all. */
TIDEWAY_PHASE_FUNCTION void tideway_phase_begin(struct tideway_phase *phase, const struct tideway_phase_details *details) {
  struct tideway_phase_slot *slot = phase->slot;
  if (slot == NULL) return;
  tideway_phase_edit(slot);
  __atomic_store_n(&slot->begin_ns, tideway_phase_now(), __ATOMIC_RELAXED);
  if (details != NULL) {
    slot->bytes = details->bytes;
    __atomic_store_n(&slot->duration_us, details->duration_us, __ATOMIC_RELAXED);
    slot->period_us = details->period_us;
    __atomic_store_n(&slot->jitter_us, details->jitter_us, __ATOMIC_RELAXED);
    __atomic_store_n(&slot->ttl_us, details->ttl_us, __ATOMIC_RELAXED);
  }
  __atomic_store_n(&slot->state, TIDEWAY_PHASE_BURST, __ATOMIC_RELEASE);
  tideway_phase_done(slot);
}

/* Communication is over: every byte of it has arrived. */
TIDEWAY_PHASE_FUNCTION void tideway_phase_end(struct tideway_phase *phase) {
  struct tideway_phase_slot *slot = phase->slot;
  uint64_t now, expected;
  if (slot == NULL) return;
  now = tideway_phase_now();
  expected = slot->state == TIDEWAY_PHASE_BURST ? slot->end_ns : 0;
  tideway_phase_edit(slot);
  __atomic_store_n(&slot->end_ns, now, __ATOMIC_RELAXED);
  __atomic_store_n(&slot->state, TIDEWAY_PHASE_IDLE, __ATOMIC_RELEASE);
  if (expected > now) __atomic_store_n(&slot->begin_ns, expected, __ATOMIC_RELEASE); /* of an idle slot, and never of the burst */
  tideway_phase_done(slot);
}

/* The next communication is expected to begin in so many nanoseconds. Said while one is under way, it counts from its end on:
 * the begin of that one says until when it holds bulk. */
TIDEWAY_PHASE_FUNCTION void tideway_phase_predict(struct tideway_phase *phase, uint64_t ahead_ns) {
  struct tideway_phase_slot *slot = phase->slot;
  if (slot == NULL) return;
  tideway_phase_edit(slot);
  __atomic_store_n(slot->state == TIDEWAY_PHASE_BURST ? &slot->end_ns : &slot->begin_ns, tideway_phase_now() + ahead_ns, __ATOMIC_RELAXED);
  tideway_phase_done(slot);
}

/* Gives the slot back; a burst that is under way ends. */
TIDEWAY_PHASE_FUNCTION void tideway_phase_close(struct tideway_phase *phase) {
  if (phase->slot == NULL) return;
  __atomic_store_n(&phase->slot->state, TIDEWAY_PHASE_IDLE, __ATOMIC_RELEASE);
  __atomic_store_n(&phase->slot->training, 0u, __ATOMIC_RELEASE);
  phase->slot = NULL;
  munmap(phase->board, sizeof(struct tideway_phase_slot) * TIDEWAY_PHASE_SLOTS);
  close(phase->fd); /* and its lock */
}

#ifdef __cplusplus
}
#endif
#endif
