#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the data path from memory to memory with `tideway bench path`, over every backend this machine has.

Rings of DPDK in memory (what our stack can do), kernel UDP over loopback with GSO and GRO, and DPDK's net_af_packet over
a veth pair in a network namespace of its own (needs root), each beside the AEAD alone in the same run. Repetitions are
interleaved; rows are medians. Prints two tables in Markdown and writes perf/results/path-<commit>-<time>.json. Both ends
take a core each, so let nothing else run: the column of cores says whether they had them.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "perf"))
import record  # noqa: E402
CASES = [("net_ring", 1500), ("net_ring", 9000), ("udp", 1500), ("udp", 9000), ("net_af_packet", 1500)]
STAGES = {"source": ("pull", "seal", "tx", "rx", "place", "open", "ack", "turn"),
          "sink": ("rx", "place", "open", "ack", "pull", "seal", "tx", "turn")}
LIMIT_S = 60            # beyond what is measured, more than any run takes
PORTS = ("va", "vb")    # the ends of the veth pair


class Namespace:
    """A veth pair in a network namespace of its own, without what the kernel would do to its frames."""

    def __init__(self):
        self.name = "twpath%d" % os.getpid()
        self.call("ip", "netns", "add", self.name)
        try:
            self.join()
        except (RuntimeError, OSError):
            self.remove()
            raise

    def join(self):
        self.run("ip", "link", "add", "name", PORTS[0], "type", "veth", "peer", "name", PORTS[1])
        for port in PORTS:
            self.run("sysctl", "-qw", "net.ipv6.conf.%s.disable_ipv6=1" % port)
            self.run("ethtool", "-K", port, "tx", "off", "rx", "off", "gso", "off", "tso", "off", "gro", "off")
            self.run("ip", "link", "set", port, "up")

    def prefix(self):
        return ["ip", "netns", "exec", self.name]

    def run(self, *command):
        self.call(*self.prefix(), *command)

    @staticmethod
    def call(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError("%s: %s" % (" ".join(command), done.stderr.strip()))

    def remove(self):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)


def measure(case, options, namespace):
    io, mtu = case
    command = [str(options.bin / "tideway"), "bench", "path", "--io", io, "--mtu", str(mtu), "--flows", str(options.flows),
               "--seconds", str(options.seconds), "--threads", str(options.threads), "--json"]
    if io == "net_af_packet":
        command = namespace.prefix() + command + ["--interfaces", ",".join(PORTS)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S + options.seconds)
    except subprocess.TimeoutExpired:
        return {"error": "not done in %d s" % (LIMIT_S + options.seconds)}
    if done.returncode != 0:
        return {"error": "exit %d: %s" % (done.returncode, done.stderr.strip()[-300:])}
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    result = next(line for line in lines if line["type"] == "path")
    result["stages"] = {end: {line["stage"]: line["cycles_per_packet"] for line in lines
                              if line["type"] == "stage" and line["end"] == end} for end in STAGES}
    return result


def summarise(results):
    rows = []
    for (io, mtu), runs in results.items():
        good = [run for run in runs if "error" not in run]
        row = {"io": io, "mtu": mtu, "runs": len(runs), "errors": [run["error"] for run in runs if "error" in run]}
        if good:
            median = lambda key: statistics.median(run[key] for run in good)
            rates = [run["rate_bits"] / 1e9 for run in good]
            row.update(gbit=statistics.median(rates), gbit_min=min(rates), gbit_max=max(rates),
                       packets_per_second=median("packets_per_second"), packet_payload=median("packet_payload"))
            for key in ("source_rate_bits_per_core", "sink_rate_bits_per_core", "seal_alone_bits", "open_alone_bits"):
                row[key.replace("rate_bits", "gbit").replace("_bits", "_gbit")] = median(key) / 1e9
            for end in STAGES:
                row[end + "_cores"] = statistics.median(run[end + "_cpu_seconds"] / run["seconds"] for run in good)
                row[end + "_cycles"] = {stage: statistics.median(run["stages"][end][stage] for run in good)
                                        for stage in good[0]["stages"][end]}
        rows.append(row)
    return rows


def print_tables(rows):
    print("| | Gbit/s (min..max) | of one core, source / sink | AEAD alone, seals / opens | million packets/s | cores, source / sink |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        name = "%s, MTU %d" % (row["io"], row["mtu"])
        if "gbit" not in row:
            print("| %s | %s | | | | |" % (name, row["errors"][0]))
            continue
        print("| %s | %.1f (%.1f..%.1f) | %.1f / %.1f | %.1f / %.1f | %.2f | %.2f / %.2f |" % (
            name, row["gbit"], row["gbit_min"], row["gbit_max"], row["source_gbit_per_core"], row["sink_gbit_per_core"],
            row["seal_alone_gbit"], row["open_alone_gbit"], row["packets_per_second"] / 1e6, row["source_cores"],
            row["sink_cores"]))
    print("\nCycles for one packet of payload:\n")
    print("| | source: " + " | ".join(STAGES["source"]) + " | sink: " + " | ".join(STAGES["sink"]) + " |")
    print("|---" * (1 + len(STAGES["source"]) + len(STAGES["sink"])) + "|")
    for row in rows:
        if "gbit" in row:
            cells = ["%.0f" % row[end + "_cycles"][stage] for end in STAGES for stage in STAGES[end]]
            print("| %s, MTU %d | " % (row["io"], row["mtu"]) + " | ".join(cells) + " |")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one repetition of one second: a look, not a measurement")
    parser.add_argument("--repeats", type=int, default=None, help="default 5, with --quick 1")
    parser.add_argument("--seconds", type=int, default=None, help="of each (default 5, with --quick 1)")
    parser.add_argument("--flows", type=int, default=1, help="default 1")
    parser.add_argument("--threads", type=int, default=2, choices=(1, 2), help="1: both ends on one core (default 2)")
    parser.add_argument("--only", default="", metavar="IO", help="cases whose backend contains this")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin", help="where tideway is")
    options = parser.parse_args()
    options.repeats = options.repeats or (1 if options.quick else 5)
    options.seconds = options.seconds or (1 if options.quick else 5)
    return options


def run(options):
    namespace, left_out = None, []
    cases = [case for case in CASES if options.only in case[0]]
    try:
        if any(io == "net_af_packet" for io, _ in cases):
            namespace = Namespace()
    except (RuntimeError, OSError) as error:
        left_out.append("net_af_packet: %s" % error)
        cases = [case for case in cases if case[0] != "net_af_packet"]
    results = {case: [] for case in cases}
    try:
        for _ in range(options.repeats):
            for case in cases:
                results[case].append(measure(case, options, namespace))
                latest = results[case][-1]
                print("  %s, MTU %d: %s" % (*case, latest.get("error") or "%.1f Gbit/s" % (latest["rate_bits"] / 1e9)),
                      file=sys.stderr)
    finally:
        if namespace:
            namespace.remove()
    return results, left_out


def main():
    options = parse_options()
    if not (options.bin / "tideway").exists():
        sys.exit("perf: %s is not built" % (options.bin / "tideway"))
    before = record.machine()
    results, left_out = run(options)
    rows = summarise(results)
    print("%d flows, %d threads, %d s each, median of %d\n" % (options.flows, options.threads, options.seconds, options.repeats))
    print_tables(rows)
    for line in left_out:
        print("left out: " + line)
    raw = [{"io": io, "mtu": mtu, "runs": runs} for (io, mtu), runs in results.items()]
    record.write("path", before, rows, raw, left_out)


if __name__ == "__main__":
    main()
