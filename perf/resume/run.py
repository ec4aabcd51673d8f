#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how long a copy that was killed in the middle takes until the first new byte is at its destination, over loopback.

The copy, the gateway that receives it, or both are killed (SIGKILL) when a third has arrived, and started again at once. The clock runs from
that start to the first word of the copy that tells of bytes which came since; it speaks once a second, so that the figure is up to
one second too long. Prints Markdown and writes perf/results/resume-<commit>-<time>.json.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "perf"))
import pair  # noqa: E402
import record  # noqa: E402

MAY_TAKE_S = 5.0
WAIT_S = 60.0
KINDS = ("copy", "gateway", "both")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one repetition: a look, not a measurement")
    parser.add_argument("--size-mib", type=int, default=256)
    parser.add_argument("--rate", default="400Mbit", help="of the copy, so that there is a middle (default 400Mbit)")
    parser.add_argument("--repeats", type=int, help="default 5, with --quick 1")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin", help="where tideway and tidewayd are")
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    options.repeats = options.repeats or (1 if options.quick else 5)
    return options


class Copy:
    """A copy that runs, and what it says."""

    def __init__(self, command):
        self.began = time.monotonic()
        self.process = subprocess.Popen(list(map(str, command)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def wait_for(self, is_it):
        """The first progress that `is_it`. Errors: RuntimeError when the copy ends before."""
        for line in self.process.stdout:
            if time.monotonic() > self.began + WAIT_S:
                break
            word = json.loads(line)
            if word["type"] == "progress" and is_it(word):
                return word
        self.kill()
        raise RuntimeError("the copy did not come so far: " + self.process.stderr.read().strip()[-300:])

    def kill(self):
        self.process.kill()
        self.process.wait()


class Bench:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.control = 12000 + os.getpid() % 8000
        self.pair = pair.Pair(options.bin, work)
        self.source, self.arrived, self.log_path = work / "source.bin", work / "wisconsin" / "data", work / "tidewayd.log"
        self.gateway = self.copy = None

    def prepare(self):
        reason = self.pair.why_not()
        if reason:
            sys.exit("perf: " + reason)
        self.pair.issue()
        with open(self.source, "wb") as out:
            for _ in range(self.options.size_mib):
                out.write(os.urandom(1 << 20))

    def start_gateway(self):
        with open(self.log_path, "w") as log:
            self.gateway = subprocess.Popen(list(map(str, self.pair.serve("wisconsin"))), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)

    def start_copy(self):
        self.copy = Copy(self.pair.copy("--direct", "--json", "--compress", "off", "--bwlimit", self.options.rate, self.source,
                                        "wisconsin:data/" + self.source.name))

    def measure(self, kind):
        shutil.rmtree(self.arrived, ignore_errors=True)
        self.pair.configure([pair.Place("127.0.0.1", self.control + 1, self.control + 10_100), pair.Place("127.0.0.1", self.control, self.control + 10_000)],
                            [self.work / "atlanta" / "data", self.arrived])
        try:
            self.start_gateway()
            pair.wait_until_ready(self.gateway, self.log_path)
            self.start_copy()
            third = (self.options.size_mib << 20) // 3
            before = self.copy.wait_for(lambda word: word["bytes_done"] >= third)["bytes_done"]
            if kind != "gateway":
                self.copy.kill()
            if kind != "copy":
                self.gateway.kill()
                self.gateway.wait()
            begin = time.monotonic()
            if kind != "copy":
                self.start_gateway()
            if kind == "both":
                pair.wait_until_ready(self.gateway, self.log_path)
            if kind != "gateway":
                self.start_copy()
            # A copy that waited counts from zero on its new session, too.
            new = self.copy.wait_for(lambda word: 0 < word["bytes_done"] and (kind != "gateway" or word["bytes_held"] > 0 or word["bytes_done"] < before))
            return {"kind": kind, "seconds": time.monotonic() - begin, "held": new["bytes_held"]}
        except RuntimeError as error:
            return {"kind": kind, "error": str(error)}
        finally:
            for process in (self.copy and self.copy.process, self.gateway):
                if process and process.poll() is None:
                    process.kill()
                    process.wait()


def table(runs):
    lines, medians = ["| killed | median s | least..most | held MiB | n |", "|---|---:|---:|---:|---:|"], {}
    for kind in KINDS:
        good = [run for run in runs if run["kind"] == kind and "error" not in run]
        if not good:
            continue
        times = [run["seconds"] for run in good]
        medians[kind] = statistics.median(times)
        lines.append("| %s | %.2f | %.2f..%.2f | %d | %d |" % (kind, medians[kind], min(times), max(times),
                                                        statistics.median(run["held"] for run in good) >> 20, len(good)))
    lines.append("\n%.0f s are allowed: %s" % (MAY_TAKE_S, "met" if len(medians) == len(KINDS) and max(medians.values()) <= MAY_TAKE_S else "missed"))
    return "\n".join(lines), medians


def main():
    options, before, runs = parse_options(), record.machine(), []
    with tempfile.TemporaryDirectory(prefix="tideway-resume-") as work:
        bench = Bench(options, pathlib.Path(work))
        bench.prepare()
        for _ in range(options.repeats):
            for kind in KINDS:
                runs.append(bench.measure(kind))
                print("  %s: %s" % (kind, runs[-1].get("error") or "%.2f s" % runs[-1]["seconds"]), file=sys.stderr, flush=True)
    text, medians = table(runs)
    print("The first new byte after a kill; one file of %d MiB at %s over loopback, %d repetitions, load %.1f at the start\n\n%s" %
          (options.size_mib, options.rate, options.repeats, before["load"], text))
    record.write("resume", before, medians, runs, [])


if __name__ == "__main__":
    main()
