#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One large file from memory file system to memory file system, between two sites joined by a cable: what a gateway does when
neither the link nor a disk is in its way. Whole commands, beside peers in the same run, and beside what no copy can beat: `cp` on the
same file system, and the data path alone over kernel UDP.

    perf/cable/run.sh [--quick] [--mtu 9000] [--size-mib 4096] [--repeats 5] [--only tideway,rsync]

Systems take turns within each repetition, and the first one, which pays for memory that nobody has touched, is thrown away. Prints Markdown
and writes perf/results/cable-<commit>-<time>.json. Needs root.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "perf"), str(REPO / "perf" / "wan")]
import measure  # noqa: E402
import peers  # noqa: E402
import record  # noqa: E402
import stopping  # noqa: E402
import tideway  # noqa: E402
from cable import Cable  # noqa: E402
from data import Data, is_equal  # noqa: E402
from system import CEILING, PEER, System, choose  # noqa: E402

LIMIT_S = 120
PATH_SECONDS = 5
SYSTEMS = (tideway.Tideway, peers.GridFtp, peers.RsyncDaemon, peers.RcloneWebdav, peers.RsyncOverSsh, peers.Scp)


class Cp(System):
    """One core reads and writes the same memory file system; nothing is sent, hashed or sealed."""
    name = "cp, on one site"
    role = CEILING

    def command(self, source, arrived):
        return ["cp", "--reflink=never", source, arrived / source.name]


class PathAlone(System):
    """Sealed blocks from memory to memory, a core for each end, without files, hashes or a control channel."""
    name = "tideway bench path --io udp"
    kind = "tideway"
    role = CEILING
    is_encrypted = True

    def command(self, source, arrived):
        return [self.options.bin / "tideway", "bench", "path", "--io", "udp", "--mtu", self.options.mtu, "--seconds", PATH_SECONDS, "--json"]

    def judge(self, done):
        if done.returncode != 0:
            return super().judge(done)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        path = next(line for line in lines if line["type"] == "path")
        return {"bytes": path["bytes"], "seconds": path["seconds"], "cpu_seconds": {"a": path["source_cpu_seconds"], "b": path["sink_cpu_seconds"]}}


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="512 MiB, one repetition: a look, not a measurement")
    parser.add_argument("--mtu", type=int, default=9000)
    parser.add_argument("--size-mib", type=int, help="default 4096, with --quick 512")
    parser.add_argument("--repeats", type=int, help="default 5, with --quick 1")
    parser.add_argument("--only", default="", metavar="TEXT,...", help="systems whose name contains one of these")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin", help="where the programs are")
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    options.size_mib = options.size_mib or (512 if options.quick else 4096)
    options.repeats = options.repeats or (1 if options.quick else 5)
    options.limit, options.tideway_flag = LIMIT_S, []
    return options


def run_once(system, source):
    arrived = system.work / "arrived"
    shutil.rmtree(arrived, ignore_errors=True)
    arrived.mkdir()
    try:
        system.start(arrived, link=None)
        result = measure.run_command(system, source, arrived)
    except RuntimeError as error:
        result = {"error": str(error)}
    finally:
        system.stop()
    if "error" not in result and not isinstance(system, PathAlone) and not is_equal(source, arrived / source.name):
        result = {"error": "what arrived differs from the source"}
    shutil.rmtree(arrived)
    return result


def gbit(result):
    return result["bytes"] * 8 / result["seconds"] / 1e9


def run(options, work):
    cable, runs = Cable(work, options.mtu), {}
    try:
        systems, left_out = choose([kind(cable, work, options) for kind in SYSTEMS + (Cp, PathAlone)], options.only)
        source = Data(work / "source", options.size_mib, 0, 0).path("file")
        try:
            for repeat in range(options.repeats + 1):
                for system in systems:
                    result = run_once(system, source)
                    if repeat > 0:
                        runs.setdefault(system, []).append(result)
                    print("  %d %s: %s" % (repeat, system.name, result.get("error") or "%.2f Gbit/s" % gbit(result)), file=sys.stderr, flush=True)
        except KeyboardInterrupt:
            left_out.append("the rest: stopped by hand")
    finally:
        cable.down()
    return runs, left_out


def summarise(runs):
    rows = []
    for system, results in runs.items():
        good = [result for result in results if "error" not in result]
        row = {"system": system.name, "role": system.role, "is_encrypted": system.is_encrypted, "runs": len(results),
               "errors": [result["error"] for result in results if "error" in result]}
        if good:
            rates = [gbit(result) for result in good]
            row.update(gbit=statistics.median(rates), gbit_min=min(rates), gbit_max=max(rates),
                       cpu_s_per_gb={side: statistics.median(result["cpu_seconds"][side] / result["bytes"] * 1e9 for result in good) for side in ("a", "b")})
        rows.append(row)
    return rows


def table(rows):
    lines = ["| | Gbit/s | least..most | n | CPU s/GB, source + sink | |", "|---|---:|---:|---:|---:|---|"]
    for row in rows:
        kind = "encrypted" if row["is_encrypted"] else "clear text" if row["role"] == PEER else ""
        if "gbit" not in row:
            lines.append("| %s | failed | | %d | | %s |" % (row["system"], row["runs"], row["errors"][0]))
            continue
        cpu = row["cpu_s_per_gb"]
        lines.append("| %s | %.2f | %.2f..%.2f | %d | %.2f + %.2f | %s |" % (row["system"], row["gbit"], row["gbit_min"], row["gbit_max"], row["runs"],
                                                                      cpu["a"], cpu["b"], kind))
    return "\n".join(lines)


def main():
    options = parse_options()
    if os.geteuid() != 0:
        sys.exit("perf: network namespaces need root")
    memory = pathlib.Path(os.environ.get("TMPDIR") or "/dev/shm")
    free, needed = shutil.disk_usage(memory).free, 3 * (options.size_mib << 20)
    if free < needed:
        sys.exit("perf: %s has %.1f GB free, this takes %.1f GB; use --size-mib" % (memory, free / 1e9, needed / 1e9))
    stopping.raise_when_told()
    before = record.machine()
    work = pathlib.Path(tempfile.mkdtemp(prefix="tideway-perf-%d-" % os.getpid(), dir=memory))
    try:
        runs, left_out = run(options, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if not runs:
        sys.exit("perf: nothing was measured")
    rows = summarise(runs)
    print("veth of MTU %d, one file of %d MiB of random bytes on %s, medians of %d\n" % (options.mtu, options.size_mib, memory, options.repeats))
    print(table(rows))
    for line in left_out:
        print("left out: " + line)
    record.write("cable", before, rows, [{"system": system.name, "runs": results} for system, results in runs.items()], left_out)


if __name__ == "__main__":
    main()
