// SPDX-License-Identifier: Apache-2.0
//
// junk ADDRESS PORT PORTS RATE: sends datagrams of nonsense to PORTS ports from PORT on, RATE a second, until SIGTERM; then says how
// many left. PORTS 0: to a socket of its own that nobody reads, which costs the sender as much and nobody else anything.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { kBatch = 50, kSizes = 4, kBytesMax = 1408 };

static volatile sig_atomic_t is_over;
static void end(int number) { (void)number; is_over = 1; }

static uint64_t state = 88172645463325252u;
static uint64_t draw(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

int main(int count, char** words) {
  if (count != 5) return 2;
  static const size_t sizes[kSizes] = {40, 64, 600, kBytesMax};
  static uint64_t bytes[kBatch][kBytesMax / 8];
  const uint16_t port = (uint16_t)strtoul(words[2], NULL, 10), ports = (uint16_t)strtoul(words[3], NULL, 10);
  const double rate = strtod(words[4], NULL);
  struct sockaddr_in to[kBatch], own = {.sin_family = AF_INET};
  struct iovec parts[kBatch];
  struct mmsghdr messages[kBatch];
  memset(messages, 0, sizeof messages);
  inet_pton(AF_INET, words[1], &own.sin_addr);
  const int nobody = socket(AF_INET, SOCK_DGRAM, 0), from = socket(AF_INET, SOCK_DGRAM, 0);
  socklen_t length = sizeof own;
  if (bind(nobody, (struct sockaddr*)&own, length) != 0 || getsockname(nobody, (struct sockaddr*)&own, &length) != 0) return 1;
  for (int i = 0; i < kBatch; ++i) {
    to[i] = own;
    if (ports > 0) to[i].sin_port = htons((uint16_t)(port + i % ports));
    parts[i] = (struct iovec){bytes[i], sizes[i % kSizes]};
    messages[i].msg_hdr = (struct msghdr){.msg_name = &to[i], .msg_namelen = sizeof to[i], .msg_iov = &parts[i], .msg_iovlen = 1};
  }
  signal(SIGTERM, end);
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  unsigned long sent = 0;
  while (!is_over) {
    for (int i = 0; i < kBatch; ++i)
      for (size_t word = 0; word < 5; ++word) bytes[i][word] = draw();  // what a header would be
    const int left = sendmmsg(from, messages, kBatch, 0);
    if (left > 0) sent += (unsigned long)left;
    next.tv_nsec += (long)(kBatch / rate * 1e9);
    for (; next.tv_nsec >= 1000000000; next.tv_nsec -= 1000000000) ++next.tv_sec;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
  }
  printf("%lu\n", sent);
  return 0;
}
