// SPDX-License-Identifier: Apache-2.0
//
// A trainer in C, as small as can be: it computes, announces its communication, saves every few steps and hands each checkpoint over; the
// last one is sent while it is written, as large ones may be.
//
//   cc trainer.c $(pkg-config --cflags --libs tideway) -o trainer
//   ./trainer /data/ckpt/runs/c wisconsin:ckpt/runs/c        saves below the first, which lies below a root of the gateway
//
// The gateway may be away: then it only takes longer until the checkpoints are there.
// Thread: one.
#include <tideway/client.h>
#include <tideway/phase.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define STEPS 6
#define SAVE_EVERY 2
#define WEIGHTS 4096

/* As a safetensors file: the length of its header, the header, the data. */
static int save(const char* folder, const float* weights) {
  char path[512], header[128];
  const int size = snprintf(header, sizeof header, "{\"w\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[0,%d]}}", WEIGHTS, (int)(WEIGHTS * sizeof *weights));
  unsigned char length[8] = {0};
  FILE* file;
  int is_written;
  length[0] = (unsigned char)size;
  if (mkdir(folder, 0755) != 0) return -1;
  snprintf(path, sizeof path, "%s/model.safetensors", folder);
  if ((file = fopen(path, "wb")) == NULL) return -1;
  is_written = fwrite(length, sizeof length, 1, file) == 1 && fwrite(header, (size_t)size, 1, file) == 1 && fwrite(weights, sizeof *weights, WEIGHTS, file) == WEIGHTS;
  return fclose(file) == 0 && is_written ? 0 : -1;
}

/* Written, then handed over; or sent from the first byte on. Training goes on at once, whatever the gateway does. */
static int save_and_send(struct tideway_client* client, const struct tideway_checkpoint* checkpoint, const float* weights, struct tideway_ticket** ticket) {
  struct tideway_error error;
  if (save(checkpoint->path, weights) != 0) return perror(checkpoint->path), 1;
  if (tideway_replicate_checkpoint(client, checkpoint, ticket, &error) != 0) fprintf(stderr, "%s: %s (%s)\n", checkpoint->path, error.text, error.code);
  return 0;
}

static int save_while_sent(struct tideway_client* client, const struct tideway_checkpoint* checkpoint, const float* weights, struct tideway_ticket** ticket) {
  struct tideway_error error;
  struct tideway_stream* stream;
  if (tideway_stream_open(client, checkpoint, &stream, &error) != 0) return save_and_send(client, checkpoint, weights, ticket);
  if (save(checkpoint->path, weights) != 0) return tideway_stream_abort(stream), perror(checkpoint->path), 1;
  if (tideway_stream_complete(stream, ticket, &error) != 0) fprintf(stderr, "%s: %s (%s)\n", checkpoint->path, error.text, error.code);
  return 0;
}

int main(int count, char** words) {
  static float weights[WEIGHTS];
  const char* board = getenv("TIDEWAY_BOARD");
  struct tideway_error error;
  struct tideway_phase phase;
  struct tideway_client* client;
  struct tideway_ticket* latest = NULL;
  int step, i, failed = 0;
  if (count != 3) return fprintf(stderr, "usage: %s FOLDER PEER:ROOT/PATH\n", words[0]), 2;
  tideway_phase_open(&phase, board != NULL ? board : "/run/tideway/phase.board", "llm7", NULL); /* where there is none, phases go nowhere */
  client = tideway_client_open(NULL, &error);
  mkdir(words[1], 0755);
  for (step = 1; step <= STEPS; ++step) {
    for (i = 0; i < WEIGHTS; ++i) weights[i] += (float)step / (float)(i + 1);
    tideway_phase_begin(&phase, NULL);
    /* all-reduce */
    tideway_phase_end(&phase);
    tideway_report_iteration(client, "llm7", 0.01, NULL);
    if (step % SAVE_EVERY == 0) {
      struct tideway_checkpoint checkpoint = {.size = sizeof checkpoint};
      const char* to[1];
      char folder[400];
      snprintf(folder, sizeof folder, "%s/step-%d", words[1], step);
      to[0] = words[2];
      checkpoint.path = folder;
      checkpoint.to = to;
      checkpoint.to_count = 1;
      checkpoint.format = "safetensors";
      checkpoint.rpo = "30m";
      tideway_ticket_free(latest);
      latest = NULL;
      if ((step < STEPS ? save_and_send : save_while_sent)(client, &checkpoint, weights, &latest) != 0) return 1;
    }
  }
  /* Training is over, so waiting hurts nobody. */
  failed = tideway_ticket_wait(latest, TIDEWAY_PUBLISHED, 10.0, &error);
  if (failed != 0) fprintf(stderr, "the last one is not there yet: %s (%s)\n", error.text, error.code);
  else printf("step %d is published as %s\n", STEPS, tideway_ticket_id(latest));
  tideway_ticket_free(latest);
  tideway_client_close(client, 5.0);
  tideway_phase_close(&phase);
  return failed;
}
