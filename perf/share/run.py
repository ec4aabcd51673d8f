#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how two copies share an emulated link, and what they leave standing in its queue.

Both push the same random file from site a to the gateway of site b, each as a command with flows of its own. From what each says second by
second that is there: its goodput over a window that begins when both have settled, their sum as a share of what the link can carry, and Jain's
index of fairness (Jain, Chiu, Hawe 1984; 1 when both have the same). What somebody else waits in the queue meanwhile is the time that a
datagram takes there and back, 20 times a second, less that of the idle link. Each run has the link, the gateway and both copies anew.
"""
import argparse
import itertools
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import threading
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "perf"), str(REPO / "perf" / "wan")]
import cells  # noqa: E402
import pair  # noqa: E402
import record  # noqa: E402
import stopping  # noqa: E402
import testbed  # noqa: E402

ECHO = pathlib.Path(__file__).with_name("echo.py")
ECHO_PORT = 7300
BEGIN_S = 15.0   # for a copy to say its first word
SPARE_S = 5.0    # that the file lasts longer than the window, and a copy may take to say how far it is


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=1000, metavar="MBIT", help="of the link (default 1000)")
    parser.add_argument("--rtt", type=float, default=50.0, metavar="MS")
    parser.add_argument("--loss", type=cells.Loss.parse, default=cells.Loss(0), metavar="PERCENT[xN]")
    parser.add_argument("--queue", default="0.1,1,4", metavar="BDP,...", help="sizes of the bottleneck's queue")
    parser.add_argument("--flows", default="2:2,4:1", metavar="N:M,...", help="of the one copy and of the other")
    parser.add_argument("--join", type=float, default=0.0, metavar="S", help="how long after the first the second begins")
    parser.add_argument("--settle", type=float, default=5.0, metavar="S", help="from the second's begin to the window's")
    parser.add_argument("--seconds", type=float, default=10.0, help="that the window lasts")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one run over a queue of a BDP: a look, not a measurement")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin", help="where the programs are")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.queue, chosen.flows, chosen.repeats = "1", "2:2", 1
    chosen.bin = chosen.bin.resolve()
    return chosen


class Copy:
    """One that runs; `points` are (CLOCK_MONOTONIC, bytes that are there)."""

    def __init__(self, site, command, log):
        self.log = log
        self.process = site.start(*command, log=open(log, "w"))
        self.points = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        with open(self.log) as lines:
            while self.process.poll() is None:
                line = lines.readline()
                if not line:
                    time.sleep(0.002)
                elif '"bytes_done"' in line:
                    self.points.append((time.monotonic(), json.loads(line)["bytes_done"]))

    def bytes_at(self, when):
        """Between what it said before and behind. Errors: RuntimeError, when it was not on its way then."""
        for (at, done), (next_at, next_done) in itertools.pairwise(self.points):
            if at <= when <= next_at:
                return done + (next_done - done) * (when - at) / (next_at - at)
        raise RuntimeError("a copy was not on its way all the time: " + self.log.read_text()[-300:])

    def mbit(self, begin, end):
        return (self.bytes_at(end) - self.bytes_at(begin)) * 8e-6 / (end - begin)

    def end(self):
        self.process.terminate()
        self.process.wait()
        self.reader.join()


def jain(rates):
    return sum(rates) ** 2 / (len(rates) * sum(rate * rate for rate in rates))


class Bench:
    def __init__(self, chosen, work):
        self.chosen, self.work = chosen, work
        self.bed = testbed.Testbed(work)
        self.pair = pair.Pair(chosen.bin, work)
        self.source = work / "source" / "file.bin"

    def prepare(self):
        self.bed.up("--rate", "%dMbit" % self.chosen.rate)
        self.pair.issue()
        self.source.parent.mkdir()
        # A copy has most of the link while it is alone, and half of it later.
        alone_s, both_s = self.chosen.join, self.chosen.settle + self.chosen.seconds + SPARE_S
        mib = int(self.chosen.rate / 8 * (alone_s + 0.75 * both_s))
        with open(self.source, "wb") as out:
            for _ in range(mib):
                out.write(os.urandom(1 << 20))

    def run(self, queue, flows, seed):
        chosen, arrived = self.chosen, self.work / "arrived"
        shutil.rmtree(arrived, ignore_errors=True)
        self.bed.restart(*cells.Link(chosen.rtt, chosen.loss, queue).flags(chosen.rate, seed))
        try:
            self.pair.configure([pair.Place(site.address) for site in self.bed.sites.values()], [self.source.parent, arrived])
            log = self.work / "tidewayd.log"
            pair.wait_until_ready(self.bed.b.start(*self.pair.serve("wisconsin"), log=open(log, "w")), log)
            self.bed.b.start("python3", ECHO, "serve", ECHO_PORT, log=open(self.work / "echo.log", "w"))
            self.bed.a.start("python3", ECHO, "ask", self.bed.b.address, ECHO_PORT, log=open(self.work / "waits.log", "w"))
            return self.measure(flows)
        finally:
            self.bed.kill()

    def measure(self, flows):
        time.sleep(1)  # of the idle link
        idle_until = time.monotonic()
        copies = [self.begin(0, flows[0])]
        time.sleep(self.chosen.join)
        copies.append(self.begin(1, flows[1]))
        begin = time.monotonic() + self.chosen.settle
        end = begin + self.chosen.seconds
        time.sleep(max(0.0, end - time.monotonic()))
        testbed.wait_for(lambda: all(copy.points[-1][0] >= end for copy in copies), SPARE_S)  # both have said how far they were then
        rates = [copy.mbit(begin, end) for copy in copies]
        for copy in copies:
            copy.end()
        waits = [tuple(map(float, line.split())) for line in (self.work / "waits.log").read_text().splitlines() if line.count(" ") == 1]
        idle = min(took for at, took in waits if at < idle_until)
        queued = [took - idle for at, took in waits if begin <= at < end]
        return {"mbit": rates, "jain": jain(rates), "of_ideal": sum(rates) / testbed.ideal_mbit(self.chosen.rate, "tideway", self.chosen.loss.share),
                "queue_s": statistics.median(queued), "queue_p95_s": sorted(queued)[int(0.95 * len(queued))], "asked": len(queued)}

    def begin(self, index, flows):
        """Starts a copy; it is on its way when it has said how far it is."""
        command = self.pair.copy("--direct", "--json", "--compress", "off", "--flows", flows, self.source, "wisconsin:data/copy-%d" % index)
        copy = Copy(self.bed.a, command, self.work / ("copy-%d.log" % index))
        if not testbed.wait_for(lambda: copy.points or copy.process.poll() is not None, BEGIN_S) or not copy.points:
            raise RuntimeError("a copy did not begin: " + copy.log.read_text()[-300:])
        return copy


def row_of(queue, flows, runs):
    def middle(key):
        return statistics.median(run[key] for run in runs)
    return {"queue_bdp": queue, "flows": flows, "runs": len(runs), "mbit": [statistics.median(run["mbit"][i] for run in runs) for i in range(2)],
            "jain": middle("jain"), "jain_min": min(run["jain"] for run in runs), "jain_max": max(run["jain"] for run in runs),
            "of_ideal": middle("of_ideal"), "queue_s": middle("queue_s"), "queue_p95_s": middle("queue_p95_s")}


def show(rows, rtt_ms):
    print("| queue | flows | Mbit/s | Jain (least to most) | of ideal | waits in the queue: median, p95, in round trips |")
    print("|---|---|---|---|---:|---|")
    for row in rows:
        print("| %g BDP | %d and %d | %.0f and %.0f | %.3f (%.3f to %.3f) | %.2f | %.2f, %.2f |" % (
            row["queue_bdp"], *row["flows"], *row["mbit"], row["jain"], row["jain_min"], row["jain_max"], row["of_ideal"],
            row["queue_s"] * 1e3 / rtt_ms, row["queue_p95_s"] * 1e3 / rtt_ms))


def main():
    chosen = options()
    if os.geteuid() != 0:
        sys.exit("share: network namespaces need root")
    memory = pathlib.Path(os.environ.get("TMPDIR") or "/dev/shm")
    testbed.sweep(memory)
    before, path = record.machine(), record.where("share")
    work = pathlib.Path(tempfile.mkdtemp(prefix="tideway-perf-%d-" % os.getpid(), dir=memory))
    stopping.raise_when_told()
    bench, runs = None, {}
    try:
        bench = Bench(chosen, work)
        bench.prepare()
        for repeat in range(chosen.repeats):
            for queue in map(float, chosen.queue.split(",")):
                for text in chosen.flows.split(","):
                    flows = tuple(map(int, text.split(":")))
                    result = bench.run(queue, flows, repeat + 1)
                    runs.setdefault((queue, flows), []).append(result)
                    print("  %g BDP, flows %s: %.0f and %.0f Mbit/s, Jain %.3f" % (queue, text, *result["mbit"], result["jain"]), file=sys.stderr, flush=True)
                    record.save(path, {"machine": before, "rows": [row_of(*key, some) for key, some in runs.items()], "raw": [
                        {"queue_bdp": key[0], "flows": key[1], "runs": some} for key, some in runs.items()]})
        show([row_of(*key, some) for key, some in runs.items()], chosen.rtt)
        print("written to %s" % path.relative_to(REPO))
    finally:
        if bench is not None:
            bench.bed.down()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("share: stopped; what there was is in perf/results")
