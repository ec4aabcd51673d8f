// SPDX-License-Identifier: Apache-2.0
//
// Shares one interface between the kernel and a port of net_af_xdp: what is for the port's own addresses goes to the
// port, all the rest stays with the kernel. Without a program of its own the driver takes every frame of the queue, the
// host's ARP and SSH included.
//
// scripts/xdp_program.sh compiles it with the addresses; `xdp_prog=FILE` in the --vdev of eal_args loads it. The kernel
// and the port have the same MAC address, and a program cannot give a frame to both, so what is sent to everybody stays
// with the kernel: a neighbour that announces a new MAC is noticed when the port asks again, within 30 s.
// With a VLAN only frames with its tag are the port's; without one those with no tag, or with a priority alone. The port
// judges likewise (`vlan` in [data_plane.dpdk]), so what it would drop stays with the kernel.
// Not here: IP fragments, which the port would drop.
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

enum { kQueuesMax = 64, kNeighbourSolicitation = 135 };

struct address {
  __be32 words[4];  // IPv4 as ::ffff:a.b.c.d
};
static const struct address own[] = {TIDEWAY_ADDRESSES};
static const __u16 own_vlan = TIDEWAY_VLAN;  // 0: none

// The driver puts its sockets here, by queue, and knows the map by its name.
struct {
  __uint(type, BPF_MAP_TYPE_XSKMAP);
  __uint(max_entries, kQueuesMax);
  __uint(key_size, sizeof(int));
  __uint(value_size, sizeof(int));
} xsks_map SEC(".maps");

struct vlan_tag {
  __be16 control, type;
};

struct arp {
  unsigned char head[8];
  unsigned char sender_mac[ETH_ALEN];
  unsigned char sender[4];
  unsigned char target_mac[ETH_ALEN];
  unsigned char target[4];
} __attribute__((packed));

struct solicitation {
  struct ipv6hdr ip;
  __u8 type, code;
  __be16 checksum;
  __be32 reserved;
  __be32 target[4];
};

static __always_inline int is_own(const __be32* words) {
#pragma unroll
  for (unsigned i = 0; i < sizeof own / sizeof *own; ++i)
    if (own[i].words[0] == words[0] && own[i].words[1] == words[1] && own[i].words[2] == words[2] && own[i].words[3] == words[3])
      return 1;
  return 0;
}

static __always_inline int is_own_ipv4(const void* address) {
  __be32 words[4] = {0, 0, bpf_htonl(0xffff), 0};
  __builtin_memcpy(&words[3], address, 4);
  return is_own(words);
}

static __always_inline int is_for_port(const void* at, const void* end, __be16 type) {
  if (type == bpf_htons(ETH_P_IP)) {
    const struct iphdr* ip = at;
    return at + sizeof *ip <= end && is_own_ipv4(&ip->daddr);
  }
  if (type == bpf_htons(ETH_P_ARP)) {
    const struct arp* arp = at;
    return at + sizeof *arp <= end && is_own_ipv4(arp->target);
  }
  if (type != bpf_htons(ETH_P_IPV6)) return 0;
  const struct ipv6hdr* ip = at;
  if (at + sizeof *ip > end) return 0;
  if (is_own(ip->daddr.in6_u.u6_addr32)) return 1;
  const struct solicitation* question = at;  // is sent to a multicast group of the address that it asks for
  return ip->nexthdr == IPPROTO_ICMPV6 && at + sizeof *question <= end && question->type == kNeighbourSolicitation &&
         is_own(question->target);
}

SEC("xdp")
int tideway_share(struct xdp_md* frame) {
  const void* at = (const void*)(long)frame->data;
  const void* end = (const void*)(long)frame->data_end;
  const struct ethhdr* ethernet = at;
  if (at + sizeof *ethernet > end) return XDP_PASS;
  at += sizeof *ethernet;
  __be16 type = ethernet->h_proto;
  __u16 vlan = 0;
  if (type == bpf_htons(ETH_P_8021Q)) {
    const struct vlan_tag* tag = at;
    if (at + sizeof *tag > end) return XDP_PASS;
    at += sizeof *tag;
    type = tag->type;
    vlan = bpf_ntohs(tag->control) & 0x0fff;  // the rest is a priority
  }
  if (vlan != own_vlan || !is_for_port(at, end, type)) return XDP_PASS;
  return bpf_redirect_map(&xsks_map, frame->rx_queue_index, XDP_PASS);
}

const char kLicense[] SEC("license") = "Apache-2.0";
