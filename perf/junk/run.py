#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what datagrams of strangers cost a copy: over loopback, from memory to memory, with 100,000 of them a second or none.

On a machine of two cores the generator takes one of them from the copy. So each repetition has a third copy, beside a generator that
sends as much to a socket of its own: what is lost against that one is what our port pays for junk. Prints Markdown and writes
perf/results/junk-<commit>-<time>.json.
"""
import argparse
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "perf"))
import pair  # noqa: E402
import record  # noqa: E402

MAY_COST = 0.05
COPY_LIMIT_S = 300
PORTS = 64  # of a gateway's data plane
KINDS = ("none", "elsewhere", "at the data ports")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="128 MiB, one repetition: a look, not a measurement")
    parser.add_argument("--rate", type=int, default=100_000, help="datagrams a second (default 100000)")
    parser.add_argument("--size-mib", type=int, help="default 1024, with --quick 128")
    parser.add_argument("--repeats", type=int, help="default 5, with --quick 1")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin", help="where tideway and tidewayd are")
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    options.size_mib = options.size_mib or (128 if options.quick else 1024)
    options.repeats = options.repeats or (1 if options.quick else 5)
    return options


class Bench:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.control = 12000 + os.getpid() % 8000
        self.pair = pair.Pair(options.bin, work)
        self.source, self.generator = work / "source.bin", work / "junk"

    def prepare(self):
        reason = self.pair.why_not()
        if reason:
            sys.exit("perf: " + reason)
        subprocess.run(["cc", "-O2", "-o", str(self.generator), str(REPO / "perf" / "junk" / "junk.c")], check=True)
        self.pair.issue()
        with open(self.source, "wb") as out:
            for _ in range(self.options.size_mib):
                out.write(os.urandom(1 << 20))

    def measure(self, kind):
        arrived = self.work / "wisconsin" / "data"
        shutil.rmtree(arrived, ignore_errors=True)
        self.pair.configure([pair.Place("127.0.0.1", self.control + 1, self.control + 10_100), pair.Place("127.0.0.1", self.control, self.control + 10_000)],
                            [self.work / "atlanta" / "data", arrived])
        log_path = self.work / "tidewayd.log"
        with open(log_path, "w") as log:
            gateway = subprocess.Popen(list(map(str, self.pair.serve("wisconsin"))), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        junk = None
        try:
            pair.wait_until_ready(gateway, log_path)
            if kind != "none":
                where = [str(self.control + 10_000), str(PORTS if kind == KINDS[2] else 0)]
                junk = subprocess.Popen([str(self.generator), "127.0.0.1", *where, str(self.options.rate)], stdout=subprocess.PIPE, text=True)
            begin = time.monotonic()
            copy = self.pair.copy("--direct", "-q", "--compress", "off", self.source, "wisconsin:data/" + self.source.name)
            done = subprocess.run(list(map(str, copy)), capture_output=True, text=True, timeout=COPY_LIMIT_S)
            took = time.monotonic() - begin
            if done.returncode != 0:
                return {"kind": kind, "error": done.stderr.strip()[-300:]}
            result = {"kind": kind, "seconds": took, "gb_per_s": (self.options.size_mib << 20) / took / 1e9}
            if junk:
                junk.send_signal(signal.SIGTERM)
                result["junk_per_s"] = int(junk.communicate(timeout=10)[0]) / took
            return result
        finally:
            for process in (junk, gateway):
                if process and process.poll() is None:
                    process.kill()
                    process.wait()


def table(runs):
    good = {kind: [run for run in runs if run["kind"] == kind and "error" not in run] for kind in KINDS}
    lines = ["| junk | a second | GB/s | least..most | n |", "|---|---:|---:|---:|---:|"]
    for kind in KINDS:
        rates = [run["gb_per_s"] for run in good[kind]]
        if rates:
            sent = statistics.median(run.get("junk_per_s", 0) for run in good[kind])
            lines.append("| %s | %d | %.2f | %.2f..%.2f | %d |" % (kind, sent, statistics.median(rates), min(rates), max(rates), len(rates)))
    rows = {}
    for against in KINDS[:2]:
        costs = [1 - a["gb_per_s"] / b["gb_per_s"] for a, b in zip(good[KINDS[2]], good[against])]
        if costs:
            rows[against] = statistics.median(costs)
            lines.append("\nAt the data ports it costs %.1f %% of the goodput %s; %.0f %% are allowed: %s" % (
                100 * rows[against], "without" if against == "none" else "beside a generator that hits nobody", 100 * MAY_COST,
                "met" if rows[against] <= MAY_COST else "missed"))
    return "\n".join(lines), rows


def main():
    options, before, runs = parse_options(), record.machine(), []
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tideway-junk-", dir=folder) as work:
        bench = Bench(options, pathlib.Path(work))
        bench.prepare()
        for _ in range(options.repeats):
            for kind in KINDS:
                runs.append(bench.measure(kind))
                print("  %s: %s" % (kind, runs[-1].get("error") or "%.2f GB/s" % runs[-1]["gb_per_s"]), file=sys.stderr, flush=True)
    text, costs = table(runs)
    print("One file of %d MiB over loopback, medians of %d\n\n%s" % (options.size_mib, options.repeats, text))
    record.write("junk", before, costs, runs, [])


if __name__ == "__main__":
    main()
