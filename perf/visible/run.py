#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures how long after the end of a save its checkpoint is visible at the other site of an emulated link, beside the ideal.

Two gateways run (scripts/testbed.sh). A save writes four shards of random bytes and then the marker of torch.distributed.checkpoint; its end
is the rename of that marker. The checkpoint is visible when its directory has its name at the target, which is looked at a thousand times a
second. Ideal is its payload at the link's payload rate, from the end of the save on. Three ways:

  watch   nobody tells the gateway: a [[watch]] on the directory
  hook    tideway.replicate_checkpoint() behind the save
  stream  tideway.stream_checkpoint() around a save that takes half the ideal time, so that much of it is there when it ends

The first save of each way and size finds a session that has carried nothing of that size, and is told apart. Prints Markdown and writes
perf/results/visible-<commit>-<time>.json with every save, and when its job was made, begun and published.
"""
import argparse
import contextlib
import datetime
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
sys.path[:0] = [str(REPO / "perf"), str(REPO / "python"), str(REPO / "perf/wan")]  # perf/wan has a tideway of its own
import pair  # noqa: E402
import record  # noqa: E402
import testbed  # noqa: E402

MIB = 1 << 20
MAY_TAKE = 1.2    # of the ideal time
WAYS = ("watch", "hook", "stream")
SHARDS = 4
PIECE = 1 << 20   # bytes, of a save that takes its time
STREAMED_FOR = 0.5  # of the ideal time
LIMIT = 4         # times the ideal, and LIMIT_S more: then it counts as not arrived
LIMIT_S = 20.0
WATCH = '''[[watch]]
dir = "data:watch"
format = "dcp"
to = ["wisconsin:data/watch"]
'''


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="64 MiB, twice: a look, not a measurement")
    parser.add_argument("--size-mib", metavar="N,...", help="of a checkpoint (default 64,512)")
    parser.add_argument("--repeats", type=int, help="beside the first save (default 5, with --quick 2)")
    parser.add_argument("--ways", metavar="WAY,...", default=",".join(WAYS))
    parser.add_argument("--rate", type=int, default=400, metavar="MBIT", help="of the link (default 400)")
    parser.add_argument("--rtt", type=float, default=20, metavar="MS", help="round trip (default 20)")
    parser.add_argument("--dir", type=pathlib.Path, default=pathlib.Path("/var/tmp"), help="for all files, on a disk: a checkpoint is read back from there (default /var/tmp)")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin", help="where the programs are")
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    options.sizes = [int(size) for size in (options.size_mib or ("64" if options.quick else "64,512")).split(",")]
    options.ways = options.ways.split(",")
    options.repeats = options.repeats or (2 if options.quick else 5)
    if any(way not in WAYS for way in options.ways):
        parser.error("--ways %s: of %s" % (",".join(options.ways), ", ".join(WAYS)))
    return options


def save(folder, shards, takes_s):
    """As torch.distributed.checkpoint does: the shards, then the marker by a rename. When it ended, on both clocks."""
    folder.mkdir(parents=True, exist_ok=True)
    begun, done, size = time.monotonic(), 0, sum(map(len, shards))
    for i, shard in enumerate(shards):
        with open(folder / f"__{i}_0.distcp", "wb", buffering=0) as file:
            for at in range(0, len(shard), PIECE):
                file.write(shard[at:at + PIECE])
                done += min(PIECE, len(shard) - at)
                time.sleep(max(0.0, begun + takes_s * done / size - time.monotonic()))
    (folder / ".metadata.tmp").write_bytes(b"marker")
    os.rename(folder / ".metadata.tmp", folder / ".metadata")
    return time.monotonic(), time.time()


class Bench:
    def __init__(self, options, work):
        self.options, self.work = options, work
        self.pair = pair.Pair(options.bin, work)
        self.bed = testbed.Testbed(work)
        self.here, self.there = work / "atlanta" / "data", work / "wisconsin" / "data"
        self.gateways, self.step = [], 0

    def start(self):
        self.pair.issue()
        self.bed.up("--rate", "%dMbit" % self.options.rate, "--delay", "%gms" % (self.options.rtt / 2))
        os.environ["TIDEWAY_API"] = str(self.work / "api.sock")
        places = [pair.Place(self.bed.a.address, api=os.environ["TIDEWAY_API"]), pair.Place(self.bed.b.address)]
        self.pair.configure(places, [self.here, self.there])
        config = self.pair.config("atlanta")
        config.write_text(config.read_text() + WATCH)
        for side, site in (("b", "wisconsin"), ("a", "atlanta")):
            log = self.work / ("tidewayd-%s.log" % side)
            with open(log, "w") as out:
                self.gateways.append(self.bed.sites[side].start(*self.pair.serve(site), log=out))
            pair.wait_until_ready(self.gateways[-1], log)

    def stop(self):
        for gateway in self.gateways:
            gateway.terminate()
        for gateway in self.gateways:
            with contextlib.suppress(subprocess.TimeoutExpired):
                gateway.wait(10)
        self.bed.down()

    def ideal_s(self, size_mib):
        return size_mib * MIB * 8 / (testbed.ideal_mbit(self.options.rate, "tideway", 0) * 1e6)

    def measure(self, way, size_mib):
        import tideway
        self.step += 1
        name, ideal = "step-%d" % self.step, self.ideal_s(size_mib)
        shards = [os.urandom(size_mib * MIB // SHARDS) for _ in range(SHARDS)]
        folder, target, to = self.here / way / name, self.there / way / name, "wisconsin:data/" + way
        if way == "stream":
            with tideway.stream_checkpoint(folder, to, format="dcp"):
                ended, ended_wall = save(folder, shards, STREAMED_FOR * ideal)
        else:
            ended, ended_wall = save(folder, shards, 0)
            if way == "hook":
                tideway.replicate_checkpoint(folder, to, format="dcp")
        seconds = self.wait_for(target, ended, LIMIT * ideal + LIMIT_S)
        found = {"way": way, "size_mib": size_mib, "ideal_s": ideal}
        if seconds is None:
            return {**found, "error": "it did not arrive: " + (self.work / "tidewayd-a.log").read_text()[-500:]}
        found.update(seconds=seconds, job=self.job_of(to + "/" + name, ended_wall))
        for place in (folder, target):  # no base for the next one, which is another checkpoint
            shutil.rmtree(place)
        return found

    @staticmethod
    def wait_for(target, since, limit_s):
        while not target.exists():
            if time.monotonic() - since > limit_s:
                return None
            time.sleep(0.001)
        return time.monotonic() - since

    @staticmethod
    def job_of(destination, ended_wall):
        """Seconds from the end of the save to what the job says of itself."""
        from tideway.connection import Gateway
        for _ in range(100):
            jobs = Gateway().ask("GET", "/v1/jobs?limit=10&order=newest")["jobs"]
            job = next((job for job in jobs if job["spec"]["destination"] == destination), None)
            if job and job["state"] == "published":
                times = {name: job.get(name) for name in ("created", "started", "ended")}
                return {name: datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() - ended_wall for name, text in times.items() if text}
            time.sleep(0.02)
        return {}


def table(runs, options):
    """Rows of Markdown; the figures of each row; what each way and size took on average of its ideal time."""
    lines, rows = ["| way | MiB | ideal s | first s | median s | least..most | of the ideal | |", "|---|---:|---:|---:|---:|---:|---:|---|"], []
    for size in options.sizes:
        for way in options.ways:
            those = [run for run in runs if run["way"] == way and run["size_mib"] == size]
            good = [run["seconds"] for run in those[1:] if "error" not in run]
            if not good:
                continue
            ideal, median = those[0]["ideal_s"], statistics.median(good)
            row = {"way": way, "size_mib": size, "ideal_s": ideal, "first_s": those[0].get("seconds"), "median_s": median, "least_s": min(good), "most_s": max(good),
                   "ratio": median / ideal, "holds": median <= MAY_TAKE * ideal and len(good) == len(those) - 1}
            rows.append(row)
            lines.append("| %s | %d | %.2f | %s | %.2f | %.2f..%.2f | %.2f | %s |" % (way, size, ideal, "%.2f" % row["first_s"] if row["first_s"] else "-", median, min(good), max(good),
                                                                           row["ratio"], "holds" if row["holds"] else "BROKEN"))
    return "\n".join(lines), rows


def main():
    options, before, runs = parse_options(), record.machine(), []
    if os.geteuid() != 0:
        sys.exit("perf: visible needs root, for network namespaces")
    testbed.sweep(options.dir)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("perf: told to end"))  # cleans up, as Ctrl-C does
    with tempfile.TemporaryDirectory(prefix="tideway-perf-%d-" % os.getpid(), dir=options.dir) as work:
        bench = Bench(options, pathlib.Path(work))
        missing = bench.pair.why_not()
        if missing:
            sys.exit("perf: " + missing)
        try:
            bench.start()
            for size in options.sizes:
                for _ in range(options.repeats + 1):
                    for way in options.ways:  # in turn, so that all meet the same machine
                        runs.append(bench.measure(way, size))
                        print("  %s, %d MiB: %s" % (way, size, runs[-1].get("error") or "%.2f s of %.2f, %s" % (runs[-1]["seconds"], runs[-1]["ideal_s"], runs[-1]["job"])),
                              file=sys.stderr, flush=True)
        finally:
            bench.stop()
    text, rows = table(runs, options)
    print("From the end of a save to its sight at the target; %d Mbit/s, %g ms, %d saves beside the first, load %.1f at the start\n\n%s\n\n%g times the ideal are allowed" %
          (options.rate, options.rtt, options.repeats, before["load"], text, MAY_TAKE))
    record.write("visible", before, rows, runs, [])
    return 0 if rows and all(row["holds"] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
