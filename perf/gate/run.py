# SPDX-License-Identifier: Apache-2.0
"""How long after a gate closes the last bulk packet leaves: tideway-gate-latency on both backends, against their limits. Beside it how long
of that the thread that sends had a core, and the control: how late an idle thread woke on the same core at the same moments.

    perf/gate/run.sh [--quick] [--bursts 200] [--rounds 5]

Exit code 1 when a 99th percentile is over its limit, unless what the thread ran of it is within: then the machine is the bound, which had
given the core away.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "perf"))
import record  # noqa: E402

LIMITS_US = {"net_ring": 200.0, "udp": 2000.0}  # of the 99th percentile


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one round of 50 bursts: a look, not a measurement")
    parser.add_argument("--bursts", type=int, help="default 200, with --quick 50")
    parser.add_argument("--rounds", type=int, help="default 5, with --quick 1")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin")
    chosen = parser.parse_args()
    chosen.bursts = chosen.bursts or (50 if chosen.quick else 200)
    chosen.rounds = chosen.rounds or (1 if chosen.quick else 5)
    before = record.machine()
    runs = {io: [] for io in LIMITS_US}
    for _ in range(chosen.rounds):
        for io in runs:
            done = subprocess.run([chosen.bin / "tideway-gate-latency", io, str(chosen.bursts)], capture_output=True, text=True, timeout=60 + chosen.bursts)
            if done.returncode != 0:
                sys.exit("gate: %s: %s" % (io, done.stderr.strip()))
            said = json.loads(done.stdout.splitlines()[-1])
            runs[io].append(dict(said["us"], run=said["run_us"], control=said["control_us"]))
    print("| backend | median us | p99 us (median of the rounds) | max us | p99 us, max us that its thread ran | p99 us of the control | limit of p99 |\n|---|---|---|---|---|---|---|")
    rows = []
    for io, limit in LIMITS_US.items():
        row = {"io": io, "median_us": statistics.median(run["median"] for run in runs[io]), "p99_us": statistics.median(run["p99"] for run in runs[io]),
               "max_us": max(run["max"] for run in runs[io]), "run_p99_us": statistics.median(run["run"]["p99"] for run in runs[io]),
               "run_max_us": max(run["run"]["max"] for run in runs[io]), "control_p99_us": statistics.median(run["control"]["p99"] for run in runs[io]),
               "limit_us": limit, "runs": runs[io]}
        row["verdict"] = "within" if row["p99_us"] <= limit else "machine" if row["run_p99_us"] <= limit else "over"
        rows.append(row)
        print("| %s | %.0f | %.0f | %.0f | %.0f, %.0f | %.0f | %.0f |" % (io, row["median_us"], row["p99_us"], row["max_us"], row["run_p99_us"], row["run_max_us"],
                                                                    row["control_p99_us"], limit))
    path = record.where("gate")
    record.save(path, {"machine": before, "rows": rows})
    print("written to " + str(path.relative_to(REPO)))
    for row in rows:
        if row["verdict"] == "machine":
            print("%s: over the limit, though its thread ran for less: the machine had given the core away" % row["io"])
        if row["verdict"] == "over":
            print("%s: over the limit, and its thread had a core for so long" % row["io"])
    sys.exit(1 if any(row["verdict"] == "over" for row in rows) else 0)


if __name__ == "__main__":
    main()
