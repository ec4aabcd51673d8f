#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how much memory a copy of many files of one byte takes at either end, beside its budget ([engine] memory, 1 GiB), and how much
time of the clock and of the processor each file.

Pushes such a tree over loopback, then lists it. The files of the sink are real ones and all different; those of the source are names of
few inodes (hard links), each of which is read and sent as a file of its own. Up to 1.5 million both lie on tmpfs. More do not fit there, so they
lie in an ext4 of blocks of 1 KiB, in a file below --dir that is mounted for the time (root): 10^7 of them take 14 GiB. The resident
size of both ends is looked at every second, so the result also shows how it went while the copy ran. Prints Markdown and writes
perf/results/memory-<commit>-<time>.json.
"""
import argparse
import contextlib
import os
import pathlib
import re
import select
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

PER_FOLDER = 1000
NAMES_OF_A_FILE = 50_000       # ext4 allows 65,000
ON_TMPFS_MAX = 1_500_000       # 5 KiB each at the sink
BLOCK, INODE = 1024, 256
IMAGE_SPARE = 2 << 30          # for directories, the journal and what else is written; the file is sparse
SAMPLE_S = 1.0
TIMES = ("seconds", "source_cpu_s", "sink_cpu_s")
MORE = '[engine]\nmemory = "1GiB"\n'


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="10000 files: a look, not a measurement")
    parser.add_argument("--files", type=int, nargs="+", help="how many (default 10000 1000000)")
    parser.add_argument("--repeats", type=int, default=1, help="of each (default 1); the table has medians, and the most memory")
    parser.add_argument("--dir", type=pathlib.Path, default=pathlib.Path(os.environ.get("TMPDIR", "/var/tmp")),
                        help="where more than %d lie (default TMPDIR or /var/tmp)" % ON_TMPFS_MAX)
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin", help="where tideway and tidewayd are")
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    options.files = options.files or ([10_000] if options.quick else [10_000, 1_000_000])
    return options


def status_mib(pid, key):
    """VmRSS or VmHWM; 0 once it is gone."""
    try:
        found = re.search(key + r":\s+(\d+)", pathlib.Path("/proc/%d/status" % pid).read_text())
    except OSError:
        return 0
    return int(found.group(1)) // 1024 if found else 0


def cpu_seconds(pid):
    """User and system time so far."""
    fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def make_tree(tree, files):
    for i in range(files):
        folder = tree / ("%05d" % (i // PER_FOLDER))
        if i % PER_FOLDER == 0:
            folder.mkdir(parents=True)
        place = folder / ("%03d" % (i % PER_FOLDER))
        if i % NAMES_OF_A_FILE == 0:
            place.write_bytes(b"x")
            first = place
        else:
            os.link(first, place)


class Image:
    """A file system for so many files at the sink, and as many names at the source."""
    def __init__(self, folder, files):
        self.folder, self.files, self.undo = folder, files, contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            handle, name = tempfile.mkstemp(prefix="tideway-memory-", suffix=".img", dir=self.folder)
            os.close(handle)  # open, it keeps the blocks
            undo.callback(os.unlink, name)
            inodes = self.files + self.files // 100 + 100_000
            os.truncate(name, inodes * (BLOCK + INODE) + 2 * 64 * self.files + IMAGE_SPARE)
            subprocess.run(["mkfs.ext4", "-q", "-b", str(BLOCK), "-I", str(INODE), "-N", str(inodes), "-m", "0", name], check=True)
            mounted = name.removesuffix(".img")
            os.mkdir(mounted)
            undo.callback(os.rmdir, mounted)
            subprocess.run(["mount", "-o", "loop,noatime", name, mounted], check=True)
            undo.callback(subprocess.run, ["umount", mounted], check=True)
            self.undo = undo.pop_all()
        return mounted

    def __exit__(self, *_):
        self.undo.close()


def place_for(options, files):
    """Where that many lie, or why they cannot."""
    if files <= ON_TMPFS_MAX and os.access("/dev/shm", os.W_OK):
        return tempfile.TemporaryDirectory(prefix="tideway-memory-", dir="/dev/shm")
    if os.geteuid() != 0 or not shutil.which("mkfs.ext4"):
        return "more than %d files need root and mkfs.ext4" % ON_TMPFS_MAX
    free, needed = shutil.disk_usage(options.dir).free, files * (BLOCK + INODE + 128)
    if free < needed:
        return "%d files need %d GiB below %s, which has %d" % (files, needed >> 30, options.dir, free >> 30)
    return Image(options.dir, files)


class Bench:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.control = 12000 + os.getpid() % 8000
        self.pair = pair.Pair(options.bin, work)

    def measure(self, files, place):
        tree, arrived = pathlib.Path(place) / "tree", pathlib.Path(place) / "data"
        begin = time.monotonic()
        make_tree(tree, files)
        print("  %d files made in %d s" % (files, time.monotonic() - begin), file=sys.stderr, flush=True)
        self.pair.configure([pair.Place("127.0.0.1", self.control + 1, self.control + 10_100), pair.Place("127.0.0.1", self.control, self.control + 10_000)],
                            [self.work / "atlanta" / "data", arrived], MORE)
        log_path = self.work / "tidewayd.log"
        with open(log_path, "w") as log:
            gateway = subprocess.Popen(list(map(str, self.pair.serve("wisconsin"))), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            pair.wait_until_ready(gateway, log_path)
            return self.copy_and_list(files, tree, gateway)
        finally:
            gateway.kill()
            gateway.wait()

    def copy_and_list(self, files, tree, gateway):
        said = self.work / "copy.log"
        begin, sink_before = time.monotonic(), cpu_seconds(gateway.pid)
        with open(said, "w") as out:
            copy = subprocess.Popen(list(map(str, self.pair.copy("--direct", "-q", tree, "wisconsin:data/tree"))), stdout=out, stderr=out)
        resident, ended = [], os.pidfd_open(copy.pid)
        while True:
            done, status, usage = os.wait4(copy.pid, os.WNOHANG)
            took = time.monotonic() - begin
            if done:
                break
            resident.append([round(took), status_mib(copy.pid, "VmRSS"), status_mib(gateway.pid, "VmRSS")])
            select.select([ended], [], [], SAMPLE_S if took > 2 * SAMPLE_S else SAMPLE_S / 20)
        os.close(ended)
        copy.returncode = os.waitstatus_to_exitcode(status)
        if copy.returncode != 0:
            return {"entries": files, "error": said.read_text().strip()[-300:]}
        result = {"entries": files, "seconds": took, "source_cpu_s": usage.ru_utime + usage.ru_stime, "sink_cpu_s": cpu_seconds(gateway.pid) - sink_before,
                  "source_mib": usage.ru_maxrss // 1024, "sink_mib": status_mib(gateway.pid, "VmHWM"), "resident": resident}
        try:
            pathlib.Path("/proc/%d/clear_refs" % gateway.pid).write_text("5")  # the peak starts again
        except PermissionError:  # a gateway is nobody's to look into but root's
            return result
        subprocess.run([str(self.options.bin / "tideway"), "--config", str(self.pair.config("atlanta")), "ls", "wisconsin:data/tree"],
                       stdout=subprocess.DEVNULL, check=True)
        return {**result, "list_mib": status_mib(gateway.pid, "VmHWM")}


def rows_of(runs):
    """One for each number of files, the least first. Behind the first each has what a file costs beyond those of the first: a command costs something by itself."""
    rows = []
    for entries in sorted({run["entries"] for run in runs}):
        some = [run for run in runs if run["entries"] == entries]
        row = {"entries": entries, "runs": len(some), "seconds_min": min(run["seconds"] for run in some), "seconds_max": max(run["seconds"] for run in some)}
        row.update({key: statistics.median(run[key] for run in some) for key in TIMES})
        row.update({key: max(run[key] for run in some) for key in ("source_mib", "sink_mib", "list_mib") if key in some[0]})
        if rows:
            more = entries - rows[0]["entries"]
            row.update({"us_each_" + key: (row[key] - rows[0][key]) / more * 1e6 for key in TIMES})
        rows.append(row)
    return rows


def table(rows):
    lines = ["| files | seconds (least to most) | us for each more: clock, CPU of source, of sink | source MiB | sink MiB | sink listing MiB |", "|---:|---|---|---:|---:|---:|"]
    for row in rows:
        each = "%.1f, %.1f, %.1f" % tuple(row["us_each_" + key] for key in TIMES) if "us_each_seconds" in row else ""
        lines.append("| %d | %.2f (%.2f to %.2f) | %s | %d | %d | %s |" % (row["entries"], row["seconds"], row["seconds_min"], row["seconds_max"], each, row["source_mib"],
                                                                         row["sink_mib"], row.get("list_mib", "")))
    grown = {}
    if len(rows) > 1:
        least, most = rows[0], rows[-1]
        grown = {end: most[end + "_mib"] - least[end + "_mib"] for end in ("source", "sink", "list") if end + "_mib" in most}
        lines.append("\nFrom %d to %d files: %s" % (least["entries"], most["entries"], ", ".join("%s %+d MiB" % change for change in grown.items())))
    return "\n".join(lines)


def main():
    options, before, runs, left_out = parse_options(), record.machine(), [], []
    with tempfile.TemporaryDirectory(prefix="tideway-memory-") as work:
        bench = Bench(options, pathlib.Path(work))
        reason = bench.pair.why_not()
        if reason:
            sys.exit("perf: " + reason)
        bench.pair.issue()
        for files in options.files * options.repeats:
            where = place_for(options, files)
            if isinstance(where, str):
                left_out.append(where)
                continue
            with where as place:
                runs.append(bench.measure(files, place))
            print("  %d: %s" % (files, runs[-1].get("error") or "%.1f s" % runs[-1]["seconds"]), file=sys.stderr, flush=True)
    rows = rows_of([run for run in runs if "error" not in run])
    print("Files of one byte over loopback, the largest resident size of each end\n\n" + table(rows))
    for reason in left_out:
        print("left out: " + reason)
    record.write("memory", before, rows, runs, left_out)
    if any("error" in run for run in runs):
        sys.exit(1)


if __name__ == "__main__":
    main()
