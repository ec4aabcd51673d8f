#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what strangers cost a copy: over loopback, from memory to memory, beside 100,000 datagrams a second, or beside handshakes.

On a machine of two cores a generator takes one of them from the copy. So each repetition has copies beside generators that send as much to
a socket of their own: what is lost against those is what our ports pay; how many cores were busy stands beside it. Then the same with copies
that are held to a rate at which the cores are not the limit. Datagrams are nonsense that no flow knows, or have the front of a
live flow's packets, so that their tags are computed; the latter need CAP_NET_RAW. Prints Markdown and writes
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
HANDSHAKES = pathlib.Path(__file__).with_name("handshakes.py")
NONE, ELSEWHERE, JUNK, KNOWN = "none", "datagrams elsewhere", "at the data ports", "with the front of live flows"
SHAKEN_ELSEWHERE, SHAKEN = "handshakes elsewhere", "handshakes at the control port"
KINDS = (NONE, ELSEWHERE, JUNK, KNOWN, SHAKEN_ELSEWHERE, SHAKEN)
HELD = (NONE, JUNK, KNOWN, SHAKEN)  # what copies that are held to a rate are beside
COMPARED = ((JUNK, ELSEWHERE), (KNOWN, ELSEWHERE), (SHAKEN, SHAKEN_ELSEWHERE))  # each with none, too


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="128 MiB, one repetition: a look, not a measurement")
    parser.add_argument("--rate", type=int, default=100_000, help="datagrams a second (default 100000)")
    parser.add_argument("--handshakes", type=int, default=500, help="handshakes a second (default 500)")
    parser.add_argument("--held", default="2Gbit", help="rate of the copies that leave the cores some room (default 2Gbit)")
    parser.add_argument("--size-mib", type=int, help="default 1024, with --quick 128")
    parser.add_argument("--repeats", type=int, help="default 5, with --quick 1")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin", help="where tideway and tidewayd are")
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    options.size_mib = options.size_mib or (128 if options.quick else 1024)
    options.repeats = options.repeats or (1 if options.quick else 5)
    return options


def busy_seconds():
    """Seconds that all cores together were not idle since the machine started."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = map(int, pathlib.Path("/proc/stat").read_text().splitlines()[0].split()[1:])
    return (user + nice + system + irq + softirq) / os.sysconf("SC_CLK_TCK")


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

    def generate(self, kind):
        """The generator of that kind; none: there is none."""
        if kind == NONE:
            return None
        data, ports, rate = self.control + 10_000, PORTS, str(self.options.rate)
        command = {
            ELSEWHERE: [self.generator, "127.0.0.1", data, 0, rate],
            JUNK: [self.generator, "127.0.0.1", data, ports, rate],
            KNOWN: [self.generator, "127.0.0.1", data, ports, rate, "known"],
            SHAKEN_ELSEWHERE: [sys.executable, HANDSHAKES, "127.0.0.1", 0, self.options.handshakes],
            SHAKEN: [sys.executable, HANDSHAKES, "127.0.0.1", self.control, self.options.handshakes],
        }[kind]
        return subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, text=True)

    def measure(self, kind, rate=None):
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
            junk = self.generate(kind)
            begin, busy = time.monotonic(), busy_seconds()
            held = ["--bwlimit", rate] if rate else []
            copy = self.pair.copy("--direct", "-q", "--compress", "off", *held, self.source, "wisconsin:data/" + self.source.name)
            done = subprocess.run(list(map(str, copy)), capture_output=True, text=True, timeout=COPY_LIMIT_S)
            took = time.monotonic() - begin
            if done.returncode != 0:
                return {"kind": kind, "held": rate, "error": done.stderr.strip()[-300:]}
            result = {"kind": kind, "held": rate, "seconds": took, "gb_per_s": (self.options.size_mib << 20) / took / 1e9,
                      "cores_busy": (busy_seconds() - busy) / took}
            if junk:
                junk.send_signal(signal.SIGTERM)
                result["junk_per_s"] = int(junk.communicate(timeout=10)[0]) / took
                if result["junk_per_s"] == 0:
                    return {"kind": kind, "held": rate, "error": "the generator sent nothing" + (": it may not look at packets" if kind == KNOWN else "")}
            return result
        finally:
            for process in (junk, gateway):
                if process and process.poll() is None:
                    process.kill()
                    process.wait()


def table(runs, rate):
    """Markdown, and what each kind cost, of the copies that were held to that rate, or of those that were not."""
    good = {kind: [run for run in runs if (run["kind"], run["held"]) == (kind, rate) and "error" not in run] for kind in KINDS}
    lines = ["| beside the copy | a second | GB/s | least..most | cores busy | n |", "|---|---:|---:|---:|---:|---:|"]
    for kind in KINDS:
        rates = [run["gb_per_s"] for run in good[kind]]
        if rates:
            sent, busy = (statistics.median(run.get(key, 0) for run in good[kind]) for key in ("junk_per_s", "cores_busy"))
            lines.append("| %s | %d | %.2f | %.2f..%.2f | %.2f | %d |" % (kind, sent, statistics.median(rates), min(rates), max(rates), busy, len(rates)))
    rows = {}
    for kind, elsewhere in COMPARED:
        for against in (NONE, elsewhere):
            costs = [1 - a["gb_per_s"] / b["gb_per_s"] for a, b in zip(good[kind], good[against])]
            if costs:
                cost = rows[", ".join([kind, "against " + against] + (["held to " + rate] if rate else []))] = statistics.median(costs)
                lines.append("\n%s: %.1f %% of the goodput %s; %.0f %% are allowed: %s" % (
                    kind[0].upper() + kind[1:], 100 * cost, "without" if against == NONE else "beside a generator that hits nobody", 100 * MAY_COST,
                    "met" if cost <= MAY_COST else "missed"))
    return "\n".join(lines), rows


def main():
    options, before, runs = parse_options(), record.machine(), []
    folder = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="tideway-junk-", dir=folder) as work:
        bench = Bench(options, pathlib.Path(work))
        bench.prepare()
        for _ in range(options.repeats):
            for kind, rate in [(kind, None) for kind in KINDS] + [(kind, options.held) for kind in HELD]:
                runs.append(bench.measure(kind, rate))
                print("  %s%s: %s" % (kind, ", held" if rate else "", runs[-1].get("error") or "%.2f GB/s" % runs[-1]["gb_per_s"]), file=sys.stderr, flush=True)
    print("One file of %d MiB over loopback, medians of %d" % (options.size_mib, options.repeats))
    costs = {}
    for rate in (None, options.held):
        text, rows = table(runs, rate)
        costs.update(rows)
        print("\n%s\n\n%s" % ("Held to %s/s" % rate if rate else "As fast as it goes", text))
    record.write("junk", before, costs, runs, sorted({run["kind"] + ": " + run["error"] for run in runs if "error" in run}))


if __name__ == "__main__":
    main()
