#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures the data path from memory to memory with `tideway bench path`, over every backend this machine has.

Rings of DPDK in memory (what our stack can do) and net_memif between two processes, kernel UDP over loopback and over a
veth pair with GSO and GRO, and DPDK's net_af_packet over another pair, each beside the AEAD alone in the same run; the
pairs lie in a network namespace of their own, which needs root. One to 64 flows where packets cost least.
Repetitions are interleaved; rows are medians. Prints three tables in Markdown and writes
perf/results/path-<commit>-<time>.json, with a plot. Both ends take a core each, so let nothing else run: the last column
says what of the cores others had all the same, and runs that were disturbed by that are named.
"""
import argparse
import collections
import json
import os
import pathlib
import statistics
import subprocess
import sys

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "perf"))
import record  # noqa: E402
Case = collections.namedtuple("Case", "io mtu flows link", defaults=("",))
FLOWS = (1, 4, 16, 64)
CASES = ([Case(io, mtu, flows, link) for io, mtu, link in (("net_ring", 1500, ""), ("net_ring", 9000, ""), ("net_memif", 1500, ""), ("udp", 1500, ""),
                                                           ("udp", 1500, "veth"), ("udp", 9000, "veth")) for flows in FLOWS] +
         [Case("udp", 9000, 1), Case("net_af_packet", 1500, 1, "veth")])
STAGES = {"source": ("pull", "seal", "tx", "rx", "place", "open", "ack", "turn"),
          "sink": ("rx", "place", "open", "ack", "pull", "seal", "tx", "turn")}
UNITS = ("cycles_per_packet", "ns_per_packet", "cycles_per_byte", "ns_per_byte")
LIMIT_S = 60            # beyond what is measured, more than any run takes
DISTURBED = 0.1         # of a core, taken from an end by others: then a run tells of them
FRAMES = ("va", "vb")   # the ends of the veth pair whose frames are DPDK's
HOSTS = (("ka", "10.9.0.1"), ("kb", "10.9.0.2"))  # of the one that the kernel has


class Namespace:
    """Two veth pairs in a network namespace of their own: one for DPDK, without what the kernel would do to its frames,
    and one between two addresses of the kernel, which goes through it and not through loopback."""

    def __init__(self):
        self.name = "twpath%d" % os.getpid()
        self.call("ip", "netns", "add", self.name)
        try:
            self.run("ip", "link", "set", "lo", "up")
            self.join_frames()
            self.join_hosts()
        except (RuntimeError, OSError):
            self.remove()
            raise

    def join_frames(self):
        self.run("ip", "link", "add", "name", FRAMES[0], "type", "veth", "peer", "name", FRAMES[1])
        for port in FRAMES:
            self.run("sysctl", "-qw", "net.ipv6.conf.%s.disable_ipv6=1" % port)
            self.run("ethtool", "-K", port, "tx", "off", "rx", "off", "gso", "off", "tso", "off", "gro", "off")
            self.run("ip", "link", "set", port, "up")

    def join_hosts(self):
        # What this host sends to the other address looks there before it finds that the address is its own.
        self.run("ip", "rule", "add", "pref", "100", "lookup", "local")
        self.run("ip", "rule", "del", "pref", "0")
        self.run("sysctl", "-qw", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
        self.run("ip", "link", "add", "name", HOSTS[0][0], "mtu", "9000", "type", "veth", "peer", "name", HOSTS[1][0], "mtu", "9000")
        for (port, address), (_, other) in zip(HOSTS, reversed(HOSTS)):
            self.run("sysctl", "-qw", "net.ipv4.conf.%s.accept_local=1" % port)
            self.run("ethtool", "-K", port, "gro", "on")
            self.run("ip", "address", "add", address + "/32", "dev", port)
            self.run("ip", "link", "set", port, "up")
            self.run("ip", "rule", "add", "pref", "10", "from", address, "to", other, "iif", "lo", "lookup", "1" + address[-1])
            self.run("ip", "route", "add", other, "dev", port, "src", address, "table", "1" + address[-1])

    def sent(self):
        """Bytes that have left the source's end of the kernel's pair."""
        return int(self.run("cat", "/sys/class/net/%s/statistics/tx_bytes" % HOSTS[0][0]))

    def prefix(self):
        return ["ip", "netns", "exec", self.name]

    def run(self, *command):
        return self.call(*self.prefix(), *command)

    @staticmethod
    def call(*command):
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError("%s: %s" % (" ".join(command), done.stderr.strip()))
        return done.stdout

    def remove(self):
        subprocess.run(["ip", "netns", "del", self.name], capture_output=True)


def name_of(case):
    return "%s%s, MTU %d, %d flow%s" % (case.io, " over " + case.link if case.link else "", case.mtu, case.flows, "s" * (case.flows > 1))


def measure(case, options, namespace):
    threads = 2 if case.io == "net_memif" else options.threads
    command = [str(options.bin / "tideway"), "bench", "path", "--io", case.io, "--mtu", str(case.mtu), "--flows", str(case.flows),
               "--seconds", str(options.seconds), "--threads", str(threads), "--json"]
    if case.link:
        command = namespace.prefix() + command
        command += ["--interfaces", ",".join(FRAMES)] if case.io == "net_af_packet" else ["--addresses", ",".join(address for _, address in HOSTS)]
        before = namespace.sent()
    stolen = record.stolen_seconds()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S + options.seconds)
    except subprocess.TimeoutExpired:
        return {"error": "not done in %d s" % (LIMIT_S + options.seconds)}
    if done.returncode != 0:
        return {"error": "exit %d: %s" % (done.returncode, done.stderr.strip()[-300:])}
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    result = next(line for line in lines if line["type"] == "path")
    if case.link and case.io == "udp" and namespace.sent() - before < result["bytes"]:
        return {"error": "its packets did not go over the veth pair"}
    result["stages"] = {end: {line["stage"]: {unit: line[unit] for unit in UNITS} for line in lines
                              if line["type"] == "stage" and line["end"] == end} for end in STAGES}
    result["stolen_seconds"] = record.stolen_seconds() - stolen
    for end in STAGES:
        result[end + "_taken"] = taken_by_others(result, case, end) if threads == 2 else 0
    return result


def taken_by_others(result, case, end):
    """Of a core: while this end had work its thread did not run, because another one did, or the machine's host took the core. An end
    that is woken by its backend sleeps when it has nothing to do, and one that polls never does."""
    cycles = {stage: cost["cycles_per_packet"] for stage, cost in result["stages"][end].items()}
    wanted = 1 - cycles["idle"] / sum(cycles.values()) if case.io == "udp" else 1
    return max(0, wanted - result[end + "_cpu_seconds"] / result["seconds"])


def summarise(results):
    rows = []
    for case, runs in results.items():
        good = [run for run in runs if "error" not in run]
        row = {**case._asdict(), "name": name_of(case), "runs": len(runs), "errors": [run["error"] for run in runs if "error" in run]}
        if good:
            median = lambda key: statistics.median(run[key] for run in good)
            rates = [run["rate_bits"] / 1e9 for run in good]
            row.update(gbit=statistics.median(rates), gbit_min=min(rates), gbit_max=max(rates),
                       packets_per_second=median("packets_per_second"), packet_payload=median("packet_payload"))
            for key in ("source_rate_bits_per_core", "sink_rate_bits_per_core", "seal_alone_bits", "open_alone_bits"):
                row[key.replace("rate_bits", "gbit").replace("_bits", "_gbit")] = median(key) / 1e9
            for end in STAGES:
                row[end + "_cores"] = statistics.median(run[end + "_cpu_seconds"] / run["seconds"] for run in good)
                row[end + "_taken"] = max(run[end + "_taken"] for run in good)
                row[end + "_stages"] = {stage: {unit: statistics.median(run["stages"][end][stage][unit] for run in good) for unit in UNITS}
                                        for stage in good[0]["stages"][end]}
            row["disturbed"] = sum(max(run["source_taken"], run["sink_taken"]) > DISTURBED for run in good)
        rows.append(row)
    return rows


def print_tables(rows):
    print("| | Gbit/s (min..max) | of one core, source / sink | AEAD alone, seals / opens | million packets/s | cores, source / sink | taken by others at worst |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        if "gbit" not in row:
            print("| %s | %s | | | | | |" % (row["name"], row["errors"][0]))
            continue
        print("| %s | %.1f (%.1f..%.1f) | %.1f / %.1f | %.1f / %.1f | %.2f | %.2f / %.2f | %.2f / %.2f |" % (
            row["name"], row["gbit"], row["gbit_min"], row["gbit_max"], row["source_gbit_per_core"], row["sink_gbit_per_core"],
            row["seal_alone_gbit"], row["open_alone_gbit"], row["packets_per_second"] / 1e6, row["source_cores"],
            row["sink_cores"], row["source_taken"], row["sink_taken"]))
    for row in rows:
        if row.get("disturbed"):
            print("disturbed: %d of %d runs of %s: others had more than %g of a core that an end had work for" % (
                row["disturbed"], row["runs"], row["name"], DISTURBED))
    print_stages(rows, "packet", "%.0f / %.0f")
    print_stages(rows, "byte", "%.2f / %.2f")


def print_stages(rows, thing, shape):
    print("\nCycles / nanoseconds for one %s of payload:\n" % thing)
    print("| | source: " + " | ".join(STAGES["source"]) + " | sink: " + " | ".join(STAGES["sink"]) + " |")
    print("|---" * (1 + len(STAGES["source"]) + len(STAGES["sink"])) + "|")
    for row in rows:
        if "gbit" not in row:
            continue
        costs = [row[end + "_stages"][stage] for end in STAGES for stage in STAGES[end]]
        print("| %s | " % row["name"] + " | ".join(shape % (cost["cycles_per_" + thing], cost["ns_per_" + thing]) for cost in costs) + " |")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one repetition of one second: a look, not a measurement")
    parser.add_argument("--repeats", type=int, default=None, help="default 5, with --quick 1")
    parser.add_argument("--seconds", type=int, default=None, help="of each (default 5, with --quick 1)")
    parser.add_argument("--flows", type=int, default=None, help="only with so many (default: of each case)")
    parser.add_argument("--threads", type=int, default=2, choices=(1, 2), help="1: both ends on one core (default 2)")
    parser.add_argument("--only", default="", metavar="IO", help="cases whose backend contains this")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin", help="where tideway is")
    options = parser.parse_args()
    options.repeats = options.repeats or (1 if options.quick else 5)
    options.seconds = options.seconds or (1 if options.quick else 5)
    return options


def run(options):
    namespace, left_out = None, []
    cases = [case for case in CASES if options.only in case.io and options.flows in (None, case.flows)]
    try:
        if any(case.link for case in cases):
            namespace = Namespace()
    except (RuntimeError, OSError) as error:
        left_out.append("over veth: %s" % error)
        cases = [case for case in cases if not case.link]
    results = {case: [] for case in cases}
    try:
        for _ in range(options.repeats):
            for case in cases:
                results[case].append(measure(case, options, namespace))
                latest = results[case][-1]
                print("  %s: %s" % (name_of(case), latest.get("error") or "%.1f Gbit/s" % (latest["rate_bits"] / 1e9)), file=sys.stderr)
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
    print("%d threads, %d s each, median of %d\n" % (options.threads, options.seconds, options.repeats))
    print_tables(rows)
    for line in left_out:
        print("left out: " + line)
    raw = [{**case._asdict(), "runs": runs} for case, runs in results.items()]
    path = record.write("path", before, rows, raw, left_out)
    subprocess.run([str(REPO / "perf" / "plot.py"), str(path)])


if __name__ == "__main__":
    main()
