# SPDX-License-Identifier: Apache-2.0
"""From memory to memory: what TCP could do at most, what the emulated link itself loses, and what UDP costs with nothing around it."""
import json
import pathlib

from cells import MEMORY
from system import CEILING, NULL_TEST, System, said
from testbed import ideal_mbit

PORT = 5201


class Iperf(System):
    role = CEILING
    programs = ("iperf3",)
    what = (MEMORY,)

    def __init__(self, testbed, work, options, congestion, streams):
        super().__init__(testbed, work, options)
        self.congestion, self.streams = congestion, streams
        self.name = "iperf3 %s x%d" % (congestion.upper(), streams)

    def why_not(self):
        known = pathlib.Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
        return super().why_not() or (None if self.congestion in known else "%s: not in this kernel" % self.congestion)

    def start(self, arrived, link):
        self.serve(PORT, "iperf3", "-s", "-1", "-p", PORT)

    def command(self, source, arrived):
        return ["iperf3", "-c", self.testbed.b.address, "-p", PORT, "-t", self.options.iperf_seconds, "-J", *self.flags()]

    def flags(self):
        return ["-C", self.congestion, "-P", self.streams]

    def judge(self, done):
        try:
            report = json.loads(done.stdout)
        except ValueError:
            return {"error": "exit %d: %s" % (done.returncode, said(done))}
        return {"error": report["error"]} if "error" in report else self.read(report.get("end", report))

    def read(self, end):
        return {"seconds": end["sum_received"]["seconds"], "bytes": end["sum_received"]["bytes"]}


class NullTest(Iperf):
    """UDP under the link's rate: what is lost beyond what was asked for, the harness lost."""
    role = NULL_TEST
    kind = "udp"
    RATE_SHARE = 0.95
    PAYLOAD = 1448

    def __init__(self, testbed, work, options):
        super().__init__(testbed, work, options, "udp", 1)
        self.name = "null test: iperf3 UDP"

    def why_not(self):
        return System.why_not(self)

    def flags(self):
        mbit = int(self.RATE_SHARE * ideal_mbit(self.options.rate, self.kind, 0))
        return ["-u", "-b", "%dM" % mbit, "-l", self.PAYLOAD, "-w", "4M", "--pacing-timer", "200"]

    def read(self, end):
        lost = end["sum"]["lost_percent"] / 100
        return {"seconds": end["sum"]["seconds"], "bytes": end["sum"]["bytes"] * (1 - lost), "lost_share": lost}


class UdpFloor(NullTest):
    """The CPU time of as many full packets as a transfer has, sent and taken in superframes. Nothing is sealed, read, written or paced by acks."""
    role = CEILING
    kind = "tideway"
    DATAGRAM, PACKET_PAYLOAD = 1472, 1408

    def __init__(self, testbed, work, options):
        super().__init__(testbed, work, options)
        self.name = "UDP alone"
        self.program = options.bin / "tideway-udp-floor"

    def why_not(self):
        return None if self.program.exists() else "%s: not built" % self.program.name

    def start(self, arrived, link):
        self.serve(PORT, self.program, "serve", PORT, is_udp=True)

    def command(self, source, arrived):
        payload = self.RATE_SHARE * ideal_mbit(self.options.rate, self.kind, 0) * 1e6 / 8
        return [self.program, "send", self.testbed.b.address, PORT, "%.0f" % (payload * self.DATAGRAM / self.PACKET_PAYLOAD), self.options.iperf_seconds]

    def read(self, end):
        return end


STREAMS = (("bbr", 1), ("bbr", 8), ("cubic", 8))


def systems(testbed, work, options):
    return [NullTest(testbed, work, options), UdpFloor(testbed, work, options)] + [Iperf(testbed, work, options, *kind) for kind in STREAMS]
