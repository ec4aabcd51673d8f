# SPDX-License-Identifier: Apache-2.0
"""How long after a begin the last bulk packet leaves the gateway: beacons to a gateway that sends over kernel UDP, both seen
by tshark at the gateway's site.

    python3 perf/tide/latency.py [--rate 200Mbit]
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import run as tide  # noqa: E402

BULK_BYTES = 1000       # a packet of that much or more is bulk
BEGINS = 30
SETTLE_S = 0.02         # after a begin: longer than any worker sleeps
NEAR_S = 0.0005
SAME_S = 0.1            # the two beacons of one word
BEACON_PORT = "7399"
BEGIN = "01"            # the kind, in hex


def read(text):
    """(seconds, is it a begin, bytes) of what was captured."""
    for line in text.splitlines():
        fields = line.split("\t")
        if len(fields) == 4 and all(fields):
            is_begin = fields[1] == BEACON_PORT and fields[3].replace(":", "")[10:12] == BEGIN
            yield float(fields[0]), is_begin, int(fields[2])


def latencies(packets):
    """In ms, from each begin (the first of its two beacons) to the last bulk packet."""
    beacons = [at for at, is_begin, _ in packets if is_begin]
    firsts = [at for i, at in enumerate(beacons) if i == 0 or at - beacons[i - 1] > SAME_S]
    bulk = [(at, size) for at, is_begin, size in packets if not is_begin and size >= BULK_BYTES]
    stops = []
    for begin in firsts:
        after = [at for at, _ in bulk if begin < at < begin + SETTLE_S]
        # A packet by itself is the trickle.
        after = [at for at in after if sum(abs(at - other) < NEAR_S for other in after) > 1]
        stops.append(1000 * (max(after) - begin) if after else 0.0)
    return stops


def main():
    chosen = tide.options()
    work = pathlib.Path(tempfile.mkdtemp(prefix="tideway-perf-%d-" % os.getpid(), dir="/dev/shm"))
    bench = tide.Bench(chosen, work)
    try:
        bench.seconds = lambda mode: BEGINS * 0.6 + 5
        bench.prepare(["beacon"])
        bench.up(["beacon"])
        bench.start_bulk("beacon")
        time.sleep(2)
        out = open(work / "packets.txt", "w")
        watch = subprocess.Popen(bench.bed.a.prefix + ["tshark", "-ni", "any", "-f", "udp", "-s", "60", "-T", "fields", "-e", "frame.time_epoch", "-e", "udp.dstport", "-e", "udp.length", "-e", "udp.payload"], stdout=out,
                                 stderr=subprocess.DEVNULL, text=True)
        phase = [chosen.bin / "tideway", "phase", "VERB", "--training", "llm7", "--beacon", "10.77.0.1", "--key-file", work / "beacon.key"]
        for _ in range(BEGINS):
            for verb in ("begin", "end"):
                bench.bed.a.run(*[verb if word == "VERB" else word for word in phase], limit_s=30)
                time.sleep(0.2)
        watch.terminate()
        watch.wait()
        out.close()
        stops = sorted(latencies(list(read((work / "packets.txt").read_text()))))
        if not stops:
            sys.exit("latency: nothing was captured")
        print("last bulk packet after a begin, kernel UDP, %d begins: median %.2f ms, p99 %.2f ms, max %.2f ms" % (
            len(stops), stops[len(stops) // 2], stops[min(len(stops) - 1, int(0.99 * len(stops)))], stops[-1]))
    finally:
        bench.stop()
        bench.down()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
