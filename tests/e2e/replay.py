#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sends the packets of a capture again, as they were and damaged in many ways, and checks how they were counted.

  replay.py send CAPTURE INTERFACE MAC SOURCE   from SOURCE to where each packet went, as frames to MAC; counts answers
  replay.py frames CAPTURE FILE MAC ADDRESS     frames to ADDRESS at a port with that MAC, as a pcap file
  replay.py kernel                              what this network namespace's kernel has counted
  replay.py judge EXPECTED LOG [BEFORE AFTER]   whether a gateway's log, and the kernel, counted what was sent
  replay.py silent FILE                         whether a pcap file holds nothing but questions for addresses

`send` and `frames` print what is to be counted, one line per kind of damage: how many, under which reasons.
"""
import errno
import re
import socket
import struct
import sys
import time

PER_KIND = 20          # packets of each kind of damage
DATA = 1
ETHER_IPV4 = 0x0800
ICMP, TCP, UDP = 1, 6, 17
DONT_FRAGMENT, MORE_FRAGMENTS = 0x4000, 0x2000
FRAGMENT = 1480        # bytes of an IP packet's payload in one fragment


# ---- captures -------------------------------------------------------------------------------------------------------

def sent_packets(file):
    """(source, destination, source port, destination port, UDP payload) of packets that were sent, as far as written."""
    found, at = [], 0
    capture = open(file, "rb").read()
    while at + 12 <= len(capture):
        kind, size = struct.unpack_from(">II", capture, at)
        if at + size > len(capture):
            break
        if kind == 6:
            kept = struct.unpack_from(">I", capture, at + 20)[0]
            packet = capture[at + 28:at + 28 + kept]
            comment = at + 28 + (kept + 3) // 4 * 4 + 4
            if capture[comment:comment + 2] == b"tx":
                ports = struct.unpack_from(">HH", packet, 20)
                found.append((packet[12:16], packet[16:20], *ports, packet[28:]))
        at += size
    return found


def data_packets(file):
    """The same of DATA packets, full ones, and not the latest: these have arrived."""
    full = [packet for packet in sent_packets(file) if packet[4][0] & 15 == DATA and len(packet[4]) > 1000]
    full = full[:len(full) // 2]
    if len(full) < PER_KIND:
        sys.exit(f"only {len(full)} full DATA packets in {file}")
    return full


# ---- headers --------------------------------------------------------------------------------------------------------

def checksum(data):
    total = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def udp(source, destination, ports, payload, length=None, wrong_sum=0):
    size = 8 + len(payload)
    header = struct.pack(">HHHH", *ports, size if length is None else length, 0)
    pseudo = source + destination + struct.pack(">BBH", 0, UDP, size)
    total = checksum(pseudo + header + payload) or 0xFFFF
    return header[:6] + struct.pack(">H", total ^ wrong_sum) + payload


def ip(source, destination, payload, protocol=UDP, fragment=DONT_FRAGMENT, first=0x45, length=None, wrong_sum=0, ident=0):
    size = 20 + len(payload) if length is None else length
    header = struct.pack(">BBHHHBBH", first, 0, size, ident, fragment, 64, protocol, 0) + source + destination
    return header[:10] + struct.pack(">H", checksum(header) ^ wrong_sum) + header[12:] + payload


def fragments(source, destination, packet, ident):
    parts = []
    for at in range(0, len(packet), FRAGMENT):
        more = MORE_FRAGMENTS if at + FRAGMENT < len(packet) else 0
        parts.append(ip(source, destination, packet[at:at + FRAGMENT], fragment=more | at // 8, ident=ident))
    return parts


# ---- damage inside of a UDP payload ---------------------------------------------------------------------------------

def put(payload, at, data):
    return payload[:at] + data + payload[at + len(data):]


def flip(payload, at, mask=1):
    return put(payload, at, bytes([payload[at] ^ mask]))


def unseen(payload, i):
    """With a packet number that the receiver has not seen; its tag is wrong by that alone."""
    number = struct.unpack_from(">Q", payload, 12)[0]
    return put(payload, 12, struct.pack(">Q", number + (1 << 40) + i))


def typed(payload, kind):
    return put(payload, 0, bytes([payload[0] & 0xF0 | kind]))


# (what was done, the reasons it may be counted under, how). `i` tells the packets of one kind apart.
PAYLOADS = [
    ("as it was", "replay accepted", lambda p, i: p),  # the latter if it was lost on its way: its bytes have come in another one since
    ("a bit of the ciphertext", "replay", lambda p, i: flip(p, 32 + i * 7, 1 << i % 8)),
    ("a bit of the tag", "replay", lambda p, i: flip(p, len(p) - 1 - i % 16, 1 << i % 8)),
    ("cut behind the header", "replay", lambda p, i: p[:49 + i * 11]),
    ("bytes added", "replay", lambda p, i: p + bytes(1 + i % 8)),
    ("unseen number", "auth refused", unseen),
    ("unseen ACK", "auth", lambda p, i: typed(unseen(p, 1000 + i), 2)),
    ("unseen PROBE", "auth", lambda p, i: typed(unseen(p, 2000 + i), 0)),
    ("unseen CONTROL, a bit of the ciphertext", "auth", lambda p, i: flip(typed(unseen(p, 3000 + i), 3), 20 + i * 7)),
    ("unseen CLOSE, a bit of the tag", "auth", lambda p, i: flip(typed(unseen(p, 4000 + i), 5), len(p) - 1)),
    ("unseen ACK of its least size", "auth", lambda p, i: typed(unseen(p, 5000 + i), 2)[:36]),
    ("cut inside of the tag", "malformed", lambda p, i: p[:12 + i]),
    ("cut inside of the DATA header", "malformed", lambda p, i: p[:37 + i % 12]),
    ("cut inside of the connection id", "short", lambda p, i: p[:i % 12]),
    ("fixed bit", "malformed", lambda p, i: flip(p, 0, 0x80)),
    ("version", "malformed", lambda p, i: flip(p, 0, 0x10 * (1 + i % 7))),
    ("unknown type", "malformed", lambda p, i: typed(p, (4, 6, 7, 15)[i % 4])),
    ("no head", "malformed", lambda p, i: put(p, 23, b"\0")),
    ("key epoch", "refused", lambda p, i: flip(p, 1, 0x40 | i % 8 << 1)),
    ("flow", "refused", lambda p, i: flip(p, 2 + i % 2, 0x80)),
    ("slot", "refused", lambda p, i: flip(unseen(p, 6000 + i), 20, 0x80)),
    ("block", "auth refused", lambda p, i: flip(unseen(p, 7000 + i), 24, 0x80)),
    ("offset behind the block", "refused", lambda p, i: flip(unseen(p, 8000 + i), 28, 0x80)),
    ("worker", "foreign", lambda p, i: flip(p, 4, 1 << i % 8)),
    ("connection id", "unknown", lambda p, i: flip(p, 7 + i % 5, 1 << i % 8)),
]


def damaged_payloads(packets):
    for what, reasons, damage in PAYLOADS:
        for i in range(PER_KIND):
            packet = packets[i * 37 % len(packets)]
            yield what, reasons, packet, damage(packet[4], i)


# ---- a live gateway on the kernel's UDP -----------------------------------------------------------------------------

def kernel_damage(source, packet, i):
    """(what, the kernel's counter, IP packets): headers that the kernel drops by itself, in silence."""
    _, destination, *ports, payload = packet
    good = udp(source, destination, ports, payload)
    yield "IP checksum", "IpExt.InCsumErrors", [ip(source, destination, good, wrong_sum=1 + i)]
    yield "IP length", "IpExt.InTruncatedPkts", [ip(source, destination, good, length=21 + len(good) + i)]
    yield "IP version", "Ip.InHdrErrors", [ip(source, destination, good, first=0x55)]
    wrong_sum = udp(source, destination, ports, payload, wrong_sum=1 + i)
    yield "UDP checksum", "Udp.InCsumErrors", [ip(source, destination, wrong_sum)]
    too_long = udp(source, destination, ports, payload, length=len(good) + 1 + i)
    yield "UDP length", "Udp.InErrors", [ip(source, destination, too_long)]
    yield "a fragment alone", "Ip.ReasmReqds", fragments(source, destination, good * 2, 0x5000 + i)[1:2]


def frames_to_gateway(source, packets):
    """(what, reasons, IP packets)"""
    for what, reasons, (_, destination, *ports, _), payload in damaged_payloads(packets):
        yield what, reasons, [ip(source, destination, udp(source, destination, ports, payload))]
    for i in range(PER_KIND):
        _, destination, *ports, payload = packets[i]
        big = udp(source, destination, ports, payload + bytes(20_000))
        yield "larger than any of ours, in fragments", "malformed", fragments(source, destination, big, 0x4000 + i)
        yield from kernel_damage(source, packets[i], i)


def send(capture, interface, mac, source):
    source = socket.inet_aton(source)
    wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHER_IPV4))
    wire.bind((interface, ETHER_IPV4))
    ethernet = mac_bytes(mac) + wire.getsockname()[4] + struct.pack(">H", ETHER_IPV4)
    expected, answers = Expected(), 0
    for what, reasons, ip_packets in frames_to_gateway(source, data_packets(capture)):
        for packet in ip_packets:
            put_on(wire, ethernet + packet)
        expected.add(what, reasons)
        answers += count_answers(wire, source, 0.001)
    answers += count_answers(wire, source, 1)
    expected.show()
    if answers:
        sys.exit(f"{answers} answers to damaged packets")


def put_on(wire, frame):
    """A virtual wire holds few frames, and refuses more while the other end is not scheduled."""
    wire.settimeout(None)
    while True:
        try:
            return wire.send(frame)
        except OSError as error:
            if error.errno != errno.ENOBUFS:
                raise
            time.sleep(0.01)


def count_answers(wire, source, wait):
    """Packets to `source` that arrive within that time; those that we send show up here, too, and are not meant."""
    answers, until = 0, time.monotonic() + wait
    while (left := until - time.monotonic()) > 0:
        wire.settimeout(left)
        try:
            frame, origin = wire.recvfrom(65536)
        except TimeoutError:
            break
        if origin[2] != socket.PACKET_OUTGOING and frame[30:34] == source:
            answers += 1
    return answers


# ---- a file for net_pcap --------------------------------------------------------------------------------------------

def port_damage(mac, here, packet, i):
    """(what, the port's counter, frame): what a port that owns its address has to drop by itself."""
    source, _, *ports, payload = packet
    payload = payload[:600]
    good = udp(source, here, ports, payload)
    to_us = mac_bytes(mac) + b"\x02\0\0\0\0\x99"
    ipv4 = to_us + struct.pack(">H", ETHER_IPV4)
    foreign = b"\x02\0\0\0\0\x77" + ipv4[6:]
    yield "nobody listens", "no_path", ipv4 + ip(source, here, good)
    yield "UDP checksum", "no_path", ipv4 + ip(source, here, udp(source, here, ports, payload, wrong_sum=1 + i))
    yield "larger than the MTU", "no_path segments", ipv4 + ip(source, here, udp(source, here, ports, payload + bytes(8000)))
    yield "Ethernet header cut", "truncated", ipv4[:13]
    yield "IP header cut", "truncated", ipv4 + ip(source, here, good)[:i % 20]
    yield "IP length", "truncated", ipv4 + ip(source, here, good, length=21 + len(good) + i)
    yield "IP version", "ip_malformed", ipv4 + ip(source, here, good, first=0x65)
    yield "IP header length", "ip_malformed", ipv4 + ip(source, here, good, first=0x44)
    yield "IP length below its header", "ip_malformed", ipv4 + ip(source, here, good, length=i % 20)
    yield "IP checksum", "ip_checksum", ipv4 + ip(source, here, good, wrong_sum=1 + i)
    yield "first fragment", "fragment", ipv4 + ip(source, here, good, fragment=MORE_FRAGMENTS)
    yield "last fragment", "fragment", ipv4 + ip(source, here, good, fragment=100 + i)
    yield "protocol", "protocol", ipv4 + ip(source, here, good, protocol=TCP)
    yield "to another address", "foreign_address", ipv4 + ip(source, here[:3] + b"\x63", good)
    yield "from ourselves", "bad_source", ipv4 + ip(here, here, good)
    yield "from loopback", "bad_source", ipv4 + ip(b"\x7f\0\0\1", here, good)
    yield "to another host", "foreign_mac", foreign + ip(source, here, good)
    yield "VLAN tag", "vlan_wrong", to_us + struct.pack(">HHH", 0x8100, 5, ETHER_IPV4) + ip(source, here, good)
    yield "type", "ether_type", to_us + b"\x88\xcc" + good
    yield "UDP length", "udp_malformed", ipv4 + ip(source, here, udp(source, here, ports, payload, length=len(good) + 1 + i))
    yield "UDP port of zero", "udp_malformed", ipv4 + ip(source, here, udp(source, here, (0, ports[1]), payload))
    unreachable = struct.pack(">BBHI", 3, 3, 0, 0) + ip(here, source, good[:8])
    unreachable = put(unreachable, 2, struct.pack(">H", checksum(unreachable)))
    yield "ICMP error", "icmp_other", ipv4 + ip(source, here, unreachable, protocol=ICMP)
    yield "ICMP checksum", "icmp_malformed", ipv4 + ip(source, here, struct.pack(">BBHI", 8, 0, 1 + i, 0), protocol=ICMP)


def frames(capture, file, mac, address):
    here, expected, written = socket.inet_aton(address), Expected(), []
    packets = [(source, destination, port, 7401, payload) for source, destination, port, _, payload in data_packets(capture)]
    for what, _, (source, _, *ports, _), payload in damaged_payloads(packets):
        expected.add(what, "no_path")
        ethernet = mac_bytes(mac) + b"\x02\0\0\0\0\x99" + struct.pack(">H", ETHER_IPV4)
        written.append(ethernet + ip(source, here, udp(source, here, ports, payload)))
    for i in range(PER_KIND):
        for what, reasons, frame in port_damage(mac, here, packets[i], i):
            expected.add(what, reasons)
            written.append(frame)
    with open(file, "wb") as out:
        out.write(struct.pack(">IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for frame in written:
            out.write(struct.pack(">IIII", 0, 0, len(frame), len(frame)) + frame)
    expected.show()


def silent(file):
    capture = open(file, "rb").read()
    order = "<" if capture[:1] in (b"\xd4", b"\x4d") else ">"
    at, frames_seen = 24, 0
    while at + 16 <= len(capture):
        kept = struct.unpack_from(order + "I", capture, at + 8)[0]
        if capture[at + 28:at + 30] != b"\x08\x06":
            sys.exit(f"frame {frames_seen} is no ARP: {capture[at + 16:at + 16 + min(kept, 64)].hex()}")
        frames_seen += 1
        at += 16 + kept
    print(f"{frames_seen} questions and announcements, no answers")


# ---- counts ---------------------------------------------------------------------------------------------------------

def mac_bytes(text):
    return bytes.fromhex(text.replace(":", ""))


class Expected:
    def __init__(self):
        self.kinds = {}

    def add(self, what, reasons):
        self.kinds[what, reasons] = self.kinds.get((what, reasons), 0) + 1

    def show(self):
        for (what, reasons), count in self.kinds.items():
            print(f"{count}\t{reasons}\t{what}")


def kernel():
    for file in ("/proc/net/snmp", "/proc/net/netstat"):
        lines = open(file).read().splitlines()
        for names, values in zip(lines[::2], lines[1::2]):
            group = names.split(":")[0]
            for name, value in zip(names.split()[1:], values.split()[1:]):
                print(f"{group}.{name} {value}")


def counted_by_kernel(before, after):
    old, new = (dict(line.split() for line in open(file)) for file in (before, after))
    return {name: int(new[name]) - int(old.get(name, 0)) for name in new}


def counted_by_gateway(log):
    drops = {}
    for line in open(log):
        if " net_drops " in line:
            for reason, count in re.findall(r"dropped_(\w+)=(\d+)", line):
                drops[reason] = drops.get(reason, 0) + int(count)
    return drops


def judge(expected, log, *kernel_files):
    """Each reason has at least what can be counted nowhere else, and at most what can be counted there at all; and all that
    was sent is counted. The kernel drops others besides, and so does a transfer or a lane that has just closed."""
    counts = counted_by_gateway(log)
    if kernel_files:
        counts.update(counted_by_kernel(*kernel_files))
    least, most, groups, errors = {}, {}, {}, []
    counts["accepted"] = PER_KIND  # nobody counts those
    for line in open(expected):
        count, reasons, _ = line.rstrip("\n").split("\t")
        reasons = tuple(reasons.split())
        groups[reasons] = groups.get(reasons, 0) + int(count)
        for reason in reasons:
            most[reason] = most.get(reason, 0) + int(count)
        if len(reasons) == 1:
            least[reasons[0]] = least.get(reasons[0], 0) + int(count)
    for reason, bound in most.items():
        is_shared = "." in reason or reason in ("unknown", "refused")
        if counts.get(reason, 0) < least.get(reason, 0) or (counts.get(reason, 0) > bound and not is_shared):
            errors.append(f"{reason}: {counts.get(reason, 0)} instead of {least.get(reason, 0)} to {bound}")
    for reasons, count in groups.items():
        all_of_them = count + sum(least.get(reason, 0) for reason in reasons if len(reasons) > 1)
        if sum(counts.get(reason, 0) for reason in reasons) < all_of_them:
            errors.append(f"{' and '.join(reasons)}: fewer than {all_of_them} together")
    shown = ", ".join(f"{reason} {counts.get(reason, 0)}" for reason in most)
    if errors:
        sys.exit("; ".join(errors) + f"; counted: {shown}")
    print(shown)


VERBS = {"send": send, "frames": frames, "kernel": kernel, "judge": judge, "silent": silent}

if __name__ == "__main__":
    VERBS[sys.argv[1]](*sys.argv[2:])
