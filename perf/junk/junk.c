// SPDX-License-Identifier: Apache-2.0
//
// junk ADDRESS PORT PORTS RATE [known]: sends datagrams of nonsense to PORTS ports from PORT on, RATE a second, until SIGTERM; then says
// how many left. PORTS 0: to a socket of its own that nobody reads, which costs the sender as much and nobody else anything.
//
// known: waits on the loopback for packets to these ports, and sends what has their front: flow, key epoch and connection id are right, the
// packet number is new, and what follows is nonsense. Such a datagram is not dropped before its tag was computed. Needs CAP_NET_RAW.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netpacket/packet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { kBatch = 50, kSizes = 4, kBytesMax = 1408, kFlowsMax = 16, kFront = 12, kUdpHeader = 8, kSniffedMax = 200 };

static volatile sig_atomic_t is_over;
static void end(int number) { (void)number; is_over = 1; }

static uint64_t state = 88172645463325252u;
static uint64_t draw(void) {
  state ^= state << 13;
  state ^= state >> 7;
  return state ^= state << 17;
}

// What a packet of a live flow begins with (docs/protocol.md, "Packet header").
struct flow {
  uint16_t port;
  uint8_t front[kFront];
};

// Of packets to these ports, each flow once. Zero: it was ended before one came, or may not look.
static int sniff(struct flow flows[kFlowsMax], uint16_t port, uint16_t ports) {
  const struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_IP), .sll_ifindex = (int)if_nametoindex("lo")};
  const struct timeval patience = {.tv_usec = 100000};
  const int raw = socket(AF_PACKET, SOCK_DGRAM, htons(ETH_P_IP));
  if (raw < 0 || bind(raw, (const struct sockaddr*)&at, sizeof at) != 0) return 0;
  setsockopt(raw, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  int found = 0;
  for (int seen = 0; !is_over && seen < kSniffedMax && found < kFlowsMax;) {
    uint8_t packet[128];
    const ssize_t size = recv(raw, packet, sizeof packet, 0);
    const size_t udp = size > 0 ? (size_t)(packet[0] & 15) * 4 : 0;
    if (size < (ssize_t)(udp + kUdpHeader + kFront) || packet[9] != IPPROTO_UDP) continue;
    const uint16_t to = (uint16_t)(packet[udp + 2] << 8 | packet[udp + 3]);
    if (to < port || to >= port + ports) continue;
    ++seen;
    struct flow one = {.port = to};
    memcpy(one.front, packet + udp + kUdpHeader, kFront);
    one.front[0] = (uint8_t)((one.front[0] & 0xF0) | 2);  // an acknowledgement: it is placed nowhere, so no credit is looked at
    bool is_known = false;
    for (int i = 0; i < found; ++i) is_known |= flows[i].port == to && memcmp(flows[i].front, one.front, kFront) == 0;
    if (!is_known) flows[found++] = one;
  }
  close(raw);
  return found;
}

int main(int count, char** words) {
  const bool is_half_right = count == 6 && strcmp(words[5], "known") == 0;
  if (count != 5 && !is_half_right) return 2;
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
  static struct flow flows[kFlowsMax];
  const int known = is_half_right ? sniff(flows, port, ports) : 0;
  if (is_half_right && known == 0) {
    printf("0\n");
    return 0;
  }
  for (int i = 0; i < kBatch && known > 0; ++i) to[i].sin_port = htons(flows[i % known].port);
  struct timespec next;
  clock_gettime(CLOCK_MONOTONIC, &next);
  unsigned long sent = 0;
  while (!is_over) {
    for (int i = 0; i < kBatch; ++i) {
      for (size_t word = 0; word < 5; ++word) bytes[i][word] = draw();  // what a header would be
      if (known == 0) continue;
      memcpy(bytes[i], flows[i % known].front, kFront);
      ((uint8_t*)bytes[i])[kFront] = 0x3F;  // of the packet number: far ahead of any that was sent
    }
    const int left = sendmmsg(from, messages, kBatch, 0);
    if (left > 0) sent += (unsigned long)left;
    next.tv_nsec += (long)(kBatch / rate * 1e9);
    for (; next.tv_nsec >= 1000000000; next.tv_nsec -= 1000000000) ++next.tv_sec;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
  }
  printf("%lu\n", sent);
  return 0;
}
