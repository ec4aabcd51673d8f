#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures one large file from disk to disk of this machine: Tideway over loopback, beside cp, fio and the device itself.

Everything is below a folder on the disk that is meant. The source's page cache is emptied or filled before each run, what
arrived is compared, and repetitions are interleaved. Source and destination share the device, which is measured with just what a
copy asks of it: "of the device" is a part of its rate while it writes each byte, and reads it at the same time where the source is not cached, and once more
where it is read back. Prints Markdown and writes perf/results/disk-<commit>-<time>.json.
"""
import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "perf"))
import cgroup  # noqa: E402
import record  # noqa: E402
import stopping  # noqa: E402
from systems import AT_WAN, Bench, DEVICE_BOTH, DEVICE_TWICE, WAN_RATE, systems  # noqa: E402

# What a level of verification may cost of the throughput that there is without (`wire`).
READBACK, WITHOUT = "tideway --verify readback", "tideway --verify wire"
PRICES = (("memory", "tideway", WITHOUT, 0.05), ("readback", READBACK, WITHOUT, 0.15),
          ("memory at %s/s" % WAN_RATE, AT_WAN + "memory", AT_WAN + "wire", 0.05),
          ("readback at %s/s" % WAN_RATE, AT_WAN + "readback", AT_WAN + "wire", 0.15))
# What a system asks of the device: of all that is measured, and of one that reads back.
LIMITS = {"cold": DEVICE_BOTH, "warm": "device, write"}
LIMITS_READBACK = {"cold": DEVICE_TWICE, "warm": DEVICE_BOTH}
MEMORY_FILE_SYSTEMS = ("tmpfs", "ramfs", "devtmpfs")


def file_system(folder):
    """(type, device) of what a folder lies on."""
    best = ("", "?", "?")
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        device, where, kind = line.split()[:3]
        where = where.replace("\\040", " ")
        if (str(folder) + "/").startswith(where.rstrip("/") + "/") and len(where) >= len(best[0]):
            best = (where, kind, device)
    return best[1], best[2]


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="256 MiB, one repetition: a look, not a measurement")
    parser.add_argument("--dir", type=pathlib.Path, default=pathlib.Path(os.environ.get("TMPDIR") or "/var/tmp"),
                        help="a folder on the disk to measure (default TMPDIR or /var/tmp)")
    parser.add_argument("--size-mib", type=int, help="default 4096, with --quick 256")
    parser.add_argument("--repeats", type=int, help="default 5, with --quick 1")
    parser.add_argument("--only", default="", metavar="TEXT,...", help="systems whose name contains one of these")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin", help="where tideway and tidewayd are")
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    options.size_mib = options.size_mib or (256 if options.quick else 4096)
    options.repeats = options.repeats or (1 if options.quick else 5)
    return options


def sweep(folder):
    """Removes what a run left that was killed before it could clean up."""
    for work in folder.glob("tideway-disk-*-*"):
        pid = int(work.name.split("-")[2])
        if pathlib.Path("/proc/%d" % pid).exists():
            continue
        group = (cgroup.v2_root() or pathlib.Path("/nowhere")) / ("twdisk%d" % pid)
        if group.exists():
            cgroup.Group(group).end()
        shutil.rmtree(work, ignore_errors=True)
        print("perf: removed what an earlier run left in %s" % work, file=sys.stderr)


def measure(bench, system, cache):
    try:
        bench.set_cache(cache)
        return system.measure(cache)
    except (RuntimeError, OSError, ValueError) as error:
        return {"error": str(error)}
    except subprocess.TimeoutExpired as error:
        return {"error": "not done in %g s" % error.timeout}
    finally:
        system.stop()


def run(options, bench, left_out):
    chosen = []
    for system in systems(bench, options.bin):
        missing = [program for program in system.needs if shutil.which(program) is None]
        try:
            if missing:
                raise RuntimeError("%s: not installed" % ", ".join(missing))
            system.prepare()
        except RuntimeError as error:
            left_out.append("%s: %s" % (system.name, error))
            continue
        if any(text in system.name for text in options.only.split(",")):
            chosen.append(system)
    runs = {}
    try:
        bench.make_source()
        for _ in range(options.repeats):
            for system in chosen:
                for cache in system.caches:
                    result = measure(bench, system, cache)
                    runs.setdefault((system.name, system.role, cache), []).append(result)
                    print("  %s, %s: %s" % (system.name, cache, result.get("error") or "%.2f GB/s" % rate(result)), file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        left_out.append("the rest: stopped by hand")
    return runs


def rate(result):
    return result["bytes"] / result["seconds"] / 1e9


def summarise(runs):
    rows = []
    for (name, role, cache), results in runs.items():
        good = [result for result in results if "error" not in result]
        row = {"system": name, "role": role, "cache": cache, "runs": len(results), "errors": [r["error"] for r in results if "error" in r]}
        if good:
            rates = [rate(result) for result in good]
            row.update(gb_per_s=statistics.median(rates), gb_per_s_min=min(rates), gb_per_s_max=max(rates),
                       seconds=statistics.median(result["seconds"] for result in good))
            if all("cpu_seconds" in result for result in good):
                row["cpu_s_per_gb"] = statistics.median(result["cpu_seconds"] / result["bytes"] * 1e9 for result in good)
        rows.append(row)
    add_limits(rows)
    return rows


def add_limits(rows):
    """What the device leaves a copy: it writes each byte, and at the same time reads it where it is not cached, and once more where it is read back."""
    known = {row["system"]: row["gb_per_s"] for row in rows if "gb_per_s" in row and row["role"] == "device"}
    for row in rows:
        limit = known.get((LIMITS_READBACK if row["system"] == READBACK else LIMITS).get(row["cache"]))
        if row["role"] in ("peer", "ours") and "gb_per_s" in row and limit:
            row["of_device"] = row["gb_per_s"] / limit


def prices(runs):
    """Of each level, within each repetition, so that what the device does meanwhile touches both alike."""
    rows = []
    for level, name, cheaper, most in PRICES:
        for cache in ("cold", "warm"):
            with_it, without = (next((results for (n, _, c), results in runs.items() if (n, c) == (system, cache)), []) for system in (name, cheaper))
            costs = [1 - rate(a) / rate(b) for a, b in zip(with_it, without) if "error" not in a and "error" not in b]
            if costs:
                rows.append({"level": level, "cache": cache, "runs": len(costs), "price": statistics.median(costs), "price_min": min(costs),
                             "price_max": max(costs), "most": most, "is_met": statistics.median(costs) <= most})
    return rows


def price_table(rows):
    lines = ["| verification | page cache | costs | least..most | n | may cost | |", "|---|---|---:|---:|---:|---:|---|"]
    for row in rows:
        lines.append("| %s | %s | %.1f %% | %.1f..%.1f | %d | %.0f %% | %s |" % (
            row["level"], row["cache"], 100 * row["price"], 100 * row["price_min"], 100 * row["price_max"], row["runs"], 100 * row["most"],
            "met" if row["is_met"] else "missed"))
    return "\n".join(lines)


def table(rows):
    lines = ["| system | page cache | GB/s | least..most | n | s | of the device | CPU s/GB | |", "|---|---|---:|---:|---:|---:|---:|---:|---|"]
    for row in rows:
        note = "; ".join(dict.fromkeys(row["errors"])).replace("|", "/").replace("\n", " ")
        if "gb_per_s" not in row:
            lines.append("| %s | %s | failed | | %d | | | | %s |" % (row["system"], row["cache"], row["runs"], note))
            continue
        lines.append("| %s | %s | %.2f | %.2f..%.2f | %d | %.2f | %s | %s | %s |" % (
            row["system"], row["cache"], row["gb_per_s"], row["gb_per_s_min"], row["gb_per_s_max"], row["runs"], row["seconds"],
            "%.2f" % row["of_device"] if "of_device" in row else "", "%.2f" % row["cpu_s_per_gb"] if "cpu_s_per_gb" in row else "", note))
    return "\n".join(lines)


def report(options, runs, left_out, before):
    kind, device = file_system(options.dir.resolve())
    rows = summarise(runs)
    print("%s on %s, one file of %d MiB of random bytes, medians of %d\n" % (kind, device, options.size_mib, options.repeats))
    print(table(rows))
    costs = prices(runs)
    if costs:
        print("\nWhat a level costs of the throughput of --verify wire:\n\n" + price_table(costs))
    for line in left_out:
        print("left out: " + line)
    path = record.where("disk")
    record.save(path, {"machine": before, "file_system": kind, "device": device, "size_mib": options.size_mib, "rows": rows, "prices": costs,
                       "left_out": left_out, "raw": [{"system": name, "cache": cache, "runs": results} for (name, _, cache), results in runs.items()]})
    print("written to %s" % path.relative_to(REPO))
    subprocess.run([str(REPO / "perf" / "plot.py"), str(path)])


def main():
    options = parse_options()
    kind, _ = file_system(options.dir.resolve())
    if kind in MEMORY_FILE_SYSTEMS:
        print("perf: %s is %s: this measures memory, not a disk; name a folder on one with --dir" % (options.dir, kind), file=sys.stderr)
    free = shutil.disk_usage(options.dir).free
    if free < 3 * (options.size_mib << 20):
        sys.exit("perf: %s has %.1f GB free, this takes %.1f GB; use --size-mib" % (options.dir, free / 1e9, 3 * options.size_mib / 953.7))
    sweep(options.dir)
    stopping.raise_when_told()
    work = pathlib.Path(tempfile.mkdtemp(prefix="tideway-disk-%d-" % os.getpid(), dir=options.dir))
    left_out, group, before = [], None, record.machine()
    try:
        try:
            group = cgroup.Group.create("twdisk%d" % os.getpid())
        except (RuntimeError, OSError) as error:
            left_out.append("CPU time of copies: %s" % error)
        runs = run(options, Bench(work, options.size_mib, group), left_out)
    finally:
        if group:
            group.end()
        shutil.rmtree(work, ignore_errors=True)
    if not runs:
        sys.exit("perf: nothing was measured")
    report(options, runs, left_out, before)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("perf: stopped before there was a result")
