// SPDX-License-Identifier: Apache-2.0
//
// libtideway as a program in C meets it: reads one call a line, makes it, and answers with one line: what it returned, the name of the
// error or -, and its text. tests/client/driven.py writes the lines. Its lookup of a directory to follow stands before the C library's:
// below a name that says so it never ends, as in a file system that stands still.
// Thread: its own process.
#include <tideway/client.h>

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX 32

static struct tideway_client* client;
static struct tideway_ticket* ticket; /* of the latest request */
static struct tideway_stream* stream; /* the one that is open */

static atomic_int standing; /* lookups that will never end */

int inotify_add_watch(int fd, const char* path, uint32_t mask) {
  if (strstr(path, "/stands-still") != NULL) {
    atomic_fetch_add(&standing, 1);
    while (1) pause();
  }
  return (int)syscall(SYS_inotify_add_watch, fd, path, mask);
}

static int word_is(const char* word, const char* name, const char** value) {
  const size_t size = strlen(name);
  if (strncmp(word, name, size) != 0 || word[size] != '=') return 0;
  *value = word + size + 1;
  return 1;
}

static void renew_ticket(void) {
  tideway_ticket_free(ticket);
  ticket = NULL;
}

static int do_replicate(char** words, int count, struct tideway_error* error) {
  struct tideway_checkpoint checkpoint = {.size = sizeof checkpoint};
  const char* targets[1];
  const char* pointers[1];
  const char* value;
  uint64_t step;
  int i;
  targets[0] = words[2];
  checkpoint.path = words[1];
  checkpoint.to = targets;
  checkpoint.to_count = 1;
  for (i = 3; i < count; ++i) {
    if (word_is(words[i], "step", &value)) step = strtoull(value, NULL, 10), checkpoint.step = &step;
    else if (word_is(words[i], "keep", &value)) checkpoint.keep = (uint32_t)strtoul(value, NULL, 10);
    else if (word_is(words[i], "world", &value)) checkpoint.world = (uint32_t)strtoul(value, NULL, 10);
    else if (word_is(words[i], "pointer", &value)) pointers[0] = value, checkpoint.pointers = pointers, checkpoint.pointer_count = 1;
    else if (word_is(words[i], "pin", &value)) checkpoint.pin = TIDEWAY_PIN_OFF;
    else if (!word_is(words[i], "series", &checkpoint.series) && !word_is(words[i], "deadline", &checkpoint.deadline) &&
             !word_is(words[i], "format", &checkpoint.format) && !word_is(words[i], "rpo", &checkpoint.rpo)) return 99;
  }
  renew_ticket();
  return tideway_replicate_checkpoint(client, &checkpoint, &ticket, error);
}

static int do_stream(char** words, int count, struct tideway_error* error) {
  struct tideway_checkpoint checkpoint = {.size = sizeof checkpoint};
  const char* targets[1];
  if (strcmp(words[0], "declare") == 0) {
    struct tideway_range range = {.size = sizeof range};
    range.file = count > 3 ? words[3] : NULL;
    range.offset = strtoull(words[1], NULL, 10);
    range.length = strtoull(words[2], NULL, 10);
    return tideway_stream_declare(stream, &range, error);
  }
  if (strcmp(words[0], "complete") == 0) {
    renew_ticket();
    count = tideway_stream_complete(stream, &ticket, error);
    stream = NULL;
    return count;
  }
  if (strcmp(words[0], "abort") == 0) return tideway_stream_abort(stream), stream = NULL, 0;
  targets[0] = words[2];
  checkpoint.path = words[1];
  checkpoint.to = targets;
  checkpoint.to_count = 1;
  return tideway_stream_open(client, &checkpoint, &stream, error);
}

static int do_job(char** words, int count, struct tideway_error* error) {
  struct tideway_job job = {.size = sizeof job};
  const char* sources[1];
  sources[0] = words[1];
  job.sources = sources;
  job.source_count = 1;
  job.destination = words[2];
  job.job_class = "staging";
  if (strcmp(words[0], "copy") == 0) return tideway_copy(client, &job, strtod(words[3], NULL), error);
  if (count > 3) job.submission_id = words[3];
  renew_ticket();
  return tideway_submit(client, &job, &ticket, error);
}

/* A client of an earlier version knows only the beginning of a structure. */
static int do_short(char** words, struct tideway_error* error) {
  struct tideway_job job = {.size = offsetof(struct tideway_job, job_class)};
  const char* sources[1];
  sources[0] = words[1];
  job.sources = sources;
  job.source_count = 1;
  job.destination = words[2];
  job.job_class = (const char*)1; /* not to be read */
  renew_ticket();
  return tideway_submit(client, &job, &ticket, error);
}

static int do_restore(char** words, int count, struct tideway_error* error) {
  struct tideway_restore_job job = {.size = sizeof job};
  const char* include[1] = {"model.safetensors"};
  uint64_t step;
  job.series = words[1];
  job.destination = words[2];
  if (count > 4) {
    step = strtoull(words[4], NULL, 10);
    job.step = &step;
    job.include = include;
    job.include_count = 1;
    job.fallback = 1;
  }
  return tideway_restore(client, &job, strtod(words[3], NULL), error);
}

static int do_fork(struct tideway_error* error) {
  int status = 0;
  const pid_t child = fork();
  if (child == 0) _exit(tideway_report_iteration(client, "llm7", 1.0, error));
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 99;
}

/* So many checkpoints: the longest time of the processor that a call took, in microseconds. */
static int do_many(char** words, struct tideway_error* error) {
  struct tideway_checkpoint checkpoint = {.size = sizeof checkpoint};
  struct timespec before, after;
  const char* targets[1];
  const int count = (int)strtol(words[3], NULL, 10);
  long took, longest = 0;
  int i, failed = 0;
  targets[0] = words[2];
  checkpoint.path = words[1];
  checkpoint.to = targets;
  checkpoint.to_count = 1;
  for (i = 0; i < count; ++i) {
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
    failed |= tideway_replicate_checkpoint(client, &checkpoint, NULL, NULL);
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
    took = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
    if (took > longest) longest = took;
  }
  snprintf(error->text, sizeof error->text, "%ld", longest);
  return failed;
}

static int do_counts(struct tideway_error* error) {
  struct tideway_counts counts = {.size = sizeof counts};
  struct tideway_error latest;
  const int failed = tideway_client_counts(client, &counts, &latest);
  snprintf(error->text, sizeof error->text, "waiting=%lu accepted=%lu stored=%lu refused=%lu dropped=%lu unanswered=%lu unpinned=%lu latest=%s", (unsigned long)counts.waiting,
           (unsigned long)counts.accepted, (unsigned long)counts.stored, (unsigned long)counts.refused, (unsigned long)counts.dropped,
           (unsigned long)counts.unanswered, (unsigned long)counts.unpinned, latest.code);
  return failed;
}

static int call(char** words, int count, struct tideway_error* error) {
  if (strcmp(words[0], "open") == 0) return (client = tideway_client_open(NULL, error)) == NULL;
  if (strcmp(words[0], "replicate") == 0) return do_replicate(words, count, error);
  if (strcmp(words[0], "stream") == 0 || strcmp(words[0], "declare") == 0 || strcmp(words[0], "complete") == 0 || strcmp(words[0], "abort") == 0)
    return do_stream(words, count, error);
  if (strcmp(words[0], "submit") == 0 || strcmp(words[0], "copy") == 0) return do_job(words, count, error);
  if (strcmp(words[0], "short") == 0) return do_short(words, error);
  if (strcmp(words[0], "restore") == 0) return do_restore(words, count, error);
  if (strcmp(words[0], "iteration") == 0) return tideway_report_iteration(client, words[1], strtod(words[2], NULL), error);
  if (strcmp(words[0], "state") == 0) return (int)tideway_ticket_state(ticket);
  if (strcmp(words[0], "wait") == 0) return tideway_ticket_wait(ticket, (enum tideway_state)strtol(words[1], NULL, 10), strtod(words[2], NULL), error);
  if (strcmp(words[0], "cancel") == 0) return tideway_ticket_cancel(ticket, error);
  if (strcmp(words[0], "flush") == 0) return tideway_client_flush(client, strtod(words[1], NULL), error);
  if (strcmp(words[0], "counts") == 0) return do_counts(error);
  if (strcmp(words[0], "fork") == 0) return do_fork(error);
  if (strcmp(words[0], "standing") == 0) return atomic_load(&standing);
  if (strcmp(words[0], "many") == 0) return do_many(words, error);
  if (strcmp(words[0], "id") == 0) return snprintf(error->text, sizeof error->text, "%s", tideway_ticket_id(ticket)) < 0;
  if (strcmp(words[0], "close") == 0) return tideway_client_close(client, strtod(words[1], NULL)), client = NULL, 0;
  return 99;
}

int main(void) {
  char line[4096];
  while (fgets(line, sizeof line, stdin) != NULL) {
    struct tideway_error error = {0};
    char* words[WORDS_MAX];
    int count = 0;
    char* word;
    int returned;
    for (word = strtok(line, " \n"); word != NULL && count < WORDS_MAX; word = strtok(NULL, " \n")) words[count++] = word;
    if (count == 0) continue;
    returned = call(words, count, &error);
    printf("%d %s %s\n", returned, error.code[0] != 0 ? error.code : "-", error.text);
    fflush(stdout);
  }
  renew_ticket();
  tideway_stream_abort(stream);
  return 0;
}
