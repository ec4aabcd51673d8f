#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the micro benches, runs them, and prints each figure next to its limit.

A limit is what no code can beat on this machine, in the same binary and run: a copy of the same size, the AEAD alone, a
plain array instead of the ring. Repetitions are interleaved at random by google-benchmark; rows are medians. Writes
perf/results/micro-<commit>-<time>.json and prints Markdown.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "perf"))
import record  # noqa: E402

# Bench -> its limit, and which of the bench's arguments the limit shares. "=" pins one that only the limit has.
LIMITS = {
    "seal": ("copy_burst", "size"), "open": ("copy_burst", "size"),
    "build_and_seal": ("aead_alone", "size"), "open_and_place": ("aead_alone", "size"),
    "header_write": ("header_copy", ""), "header_parse": ("header_copy", ""),
    "ack_write": ("ack_copy", "ranges"), "ack_parse": ("ack_copy", "ranges"),
    "note_packet": ("set_bit", ""), "write_ranges": ("copy_ranges", ""),
    "send_and_ack": ("copy_record", "in_flight"),
    "push_pop": ("move_handle", ""), "push_and_pop_in_two_threads": ("move_handle", ""),
    "packet_between_cores": ("copy_packet", "size"),
    "pace_burst": ("plain_bucket", ""),
    "hash_leaf": ("copy_leaf", "size"), "pack_block": ("hash_leaf", "size=4194304"), "unpack_block": ("hash_leaf", "size=4194304"),
    "head_write": ("head_hash", "segments"), "head_parse": ("head_hash", "segments"),
    "udp_packets": ("sim_packets", "payload"),
}
RUN_LIMIT_S = 1800
COUNTERS = ("ratio", "ranges", "resent", "lost")


def split(name):
    """"seal/provider:0/size:64" -> "seal", {"provider": "0", "size": "64"}."""
    bench, *arguments = name.split("/")
    return bench, dict(argument.split(":") for argument in arguments if ":" in argument)


def build(names):
    if not (REPO / "build" / "release" / "build.ninja").exists():
        subprocess.run(["cmake", "--preset", "release"], cwd=REPO, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", "--preset", "release", "--target", *names], cwd=REPO, check=True, stdout=subprocess.DEVNULL)


def run_bench(name, options):
    command = [str(options.bin / name), "--benchmark_format=json", "--benchmark_repetitions=%d" % options.repeats,
               "--benchmark_min_time=%g" % options.seconds, "--benchmark_enable_random_interleaving=true"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=RUN_LIMIT_S)
    if done.returncode != 0:
        raise RuntimeError("%s: exit %d: %s" % (name, done.returncode, done.stderr.strip()[-300:]))
    runs = [run for run in json.loads(done.stdout)["benchmarks"] if run["run_type"] == "iteration"]
    return sorted(runs, key=lambda run: (run["family_index"], run["per_family_instance_index"]))  # as the source lists them


def rows_of(binary, runs):
    """One row per bench and arguments: nanoseconds per item and GB/s, medians and spread."""
    rows, by_name = [], {}
    for run in runs:
        by_name.setdefault(re.sub(r"/(repeats|threads):\d+|/real_time", "", run["name"]), []).append(run)
    for name, same in by_name.items():
        bench, arguments = split(name)
        row = {"binary": binary, "bench": bench, "arguments": arguments, "runs": len(same)}
        failed = [run["error_message"] for run in same if run.get("error_occurred")]
        if failed:
            rows.append({**row, "left_out": failed[0]})
            continue
        costs = [cost_ns(run) for run in same]
        row.update(ns=statistics.median(costs), ns_min=min(costs), ns_max=max(costs))
        if "bytes_per_second" in same[0]:
            row["gb_per_s"] = statistics.median(run["bytes_per_second"] for run in same) / 1e9
        if same[0].get("label"):
            row["label"] = same[0]["label"]
        row["counters"] = {key: same[0][key] for key in COUNTERS if key in same[0]}
        rows.append(row)
    return rows


def cost_ns(run):
    """Nanoseconds per item; a bench that counts no items has one in each iteration."""
    if "items_per_second" in run:
        return 1e9 / run["items_per_second"]
    return run["real_time"] * {"ns": 1, "us": 1e3, "ms": 1e6}[run["time_unit"]]


def add_limits(rows):
    """Beside each row the limit's cost, and how many times that it takes."""
    for row in rows:
        limit_name, shared = LIMITS.get(row["bench"], (None, ""))
        limit = find_limit(rows, row, limit_name, shared)
        if limit and "ns" in row and "ns" in limit:
            row.update(limit=limit_name, limit_ns=limit["ns"], times_limit=row["ns"] / limit["ns"])


def find_limit(rows, row, limit_name, shared):
    for other in rows:
        if other["binary"] != row["binary"] or other["bench"] != limit_name:
            continue
        key, _, pinned = shared.partition("=")
        if not key or other["arguments"].get(key) == (pinned or row["arguments"].get(key)):
            return other
    return None


def table(rows):
    out = []
    for binary in dict.fromkeys(row["binary"] for row in rows):
        out += ["", "### %s" % binary.removesuffix("_bench").replace("_", " "), "",
                "| what | ns | least..most | GB/s | limit | its ns | times | |", "|---|---:|---:|---:|---|---:|---:|---|"]
        out += [line(row) for row in rows if row["binary"] == binary and "ns" in row]
    return "\n".join(out)


def line(row):
    arguments = {key: value for key, value in row["arguments"].items() if key != "provider"}
    what = " ".join([row["bench"], row.get("label", "")] + ["%s %s" % pair for pair in arguments.items()])
    return "| %s | %s | %s..%s | %s | %s | %s | %s | %s |" % (
        re.sub(r" +", " ", what), short(row["ns"]), short(row["ns_min"]), short(row["ns_max"]),
        "%.2f" % row["gb_per_s"] if "gb_per_s" in row else "", row.get("limit", ""),
        short(row["limit_ns"]) if "limit_ns" in row else "", "%.1f" % row["times_limit"] if "times_limit" in row else "",
        ", ".join("%s %.3g" % pair for pair in row["counters"].items()))


def short(ns):
    return "%.0f" % ns if ns >= 100 else "%.1f" % ns


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short repetition: a look, not a measurement")
    parser.add_argument("--only", default="", metavar="TEXT,...", help="binaries whose name contains one of these")
    parser.add_argument("--repeats", type=int, help="default 5, with --quick 1")
    parser.add_argument("--bin", type=pathlib.Path, help="where the benches are; default: build them")
    options = parser.parse_args()
    options.repeats = options.repeats or (1 if options.quick else 5)
    options.seconds = 0.02 if options.quick else 0.2
    return options


def main():
    options = parse_options()
    names = sorted(path.stem for path in (REPO / "perf" / "micro").glob("*_bench.cc"))
    names = [name for name in names if any(text in name for text in options.only.split(","))]
    if options.bin is None:
        build(names)
        options.bin = REPO / "build" / "release" / "bin"
    before = record.machine()
    rows, raw, left_out = [], [], []
    for name in names:
        print("  " + name, file=sys.stderr, flush=True)
        try:
            runs = run_bench(name, options)
        except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
            left_out.append(str(error))
            continue
        raw.append({"binary": name, "runs": runs})
        rows += rows_of(name, runs)
    add_limits(rows)
    left_out += ["%s %s: %s" % (row["bench"], row["arguments"], row["left_out"]) for row in rows if "left_out" in row]
    print("medians of %d; ns per packet, header, frame, block or handle; times: how often the limit's cost" % options.repeats)
    print(table(rows))
    for item in left_out:
        print("left out: " + item)
    path = record.write("micro", before, rows, raw, left_out)
    subprocess.run([str(REPO / "perf" / "plot.py"), str(path)])


if __name__ == "__main__":
    main()
