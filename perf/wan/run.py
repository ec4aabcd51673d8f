#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures whole commands over an emulated wide-area link, and their peers in the same run.

A cell is a link (round trip, loss, queue, reordering) and something to copy. For each cell every system that is installed
runs once, then the next cell, and the whole again for each repetition, so that a slow minute of the machine hurts all
alike. Files are on tmpfs, what arrived is compared, and link and servers start anew for each command. The result file is
rewritten after every run: whoever stops the measurement keeps what there is, and --budget stops it by itself.

Presets: cross (default) is all delays at 0 and 1 % loss and all losses at 50 ms; troubled is other queues, reordering, and a rate that changes;
full is the whole grid and takes a day. Any of --rtt, --loss, --queue, --reorder and --halves makes a grid of its own instead. A
system that was not done within --limit is not repeated there, nor tried on links with more delay and more loss.
"""
import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "perf"))
import record  # noqa: E402
import stopping  # noqa: E402
import cells  # noqa: E402
import iperf  # noqa: E402
import peers  # noqa: E402
import report  # noqa: E402
import tideway  # noqa: E402
from data import Data  # noqa: E402
from measure import measure, spared  # noqa: E402
from system import choose  # noqa: E402
from testbed import Testbed, sweep  # noqa: E402

MIB = 1 << 20


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    grid = parser.add_argument_group("cells")
    grid.add_argument("--preset", choices=cells.PRESETS, default="cross")
    grid.add_argument("--rtt", metavar="MS,...", help="round trips")
    grid.add_argument("--loss", metavar="PERCENT[xN],...", help="one way; with xN in bursts of N packets on average, such as 0.1x10")
    grid.add_argument("--queue", metavar="BDP,...", help="sizes of the bottleneck's queue, such as 0.1,1,4")
    grid.add_argument("--reorder", metavar="MS,...", help="%s of the packets come up to this much late" % cells.Link.REORDER_SHARE.replace("%", "%%"))
    grid.add_argument("--halves", metavar="S,...", help="the rate is half of it for so long, then whole for as long, and so on")
    grid.add_argument("--what", metavar="KIND,...", type=lambda text: text.split(","), help="of %s" % ", ".join(cells.WHAT))
    grid.add_argument("--only", metavar="TEXT,...", default="", help="systems whose name contains one of these")
    grid.add_argument("--rate", type=int, default=1000, metavar="MBIT", help="of the link (default 1000)")
    effort = parser.add_argument_group("effort")
    effort.add_argument("--quick", action="store_true", help="small data, once, RTT 50 ms, loss 0.1 %%: a look, not a measurement")
    effort.add_argument("--repeats", type=int, help="default 5, with --quick 1")
    effort.add_argument("--budget", type=float, metavar="MINUTES", help="start nothing after this; default none")
    effort.add_argument("--limit", type=float, metavar="S", help="for one command; what takes longer is not repeated (default 60, with --quick 20)")
    parser.add_argument("--list", action="store_true", help="say what would run, and end")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin", help="where the programs are")
    parser.add_argument("--tideway-flag", action="append", default=[], help="for tideway copy, such as --tideway-flag=--flows=4")
    options = parser.parse_args()
    options.bin = options.bin.resolve()
    options.size_mib, options.checkpoint_mib, options.files = (64, 64, 1000) if options.quick else (512, 1024, 10_000)
    options.iperf_seconds = 3 if options.quick else 8
    options.repeats = options.repeats or (1 if options.quick else 5)
    options.limit = options.limit or (20.0 if options.quick else 60.0)
    if options.quick and not (options.rtt or options.loss or options.queue or options.reorder or options.halves):
        options.loss = "0.1"
        options.what = options.what or list(cells.WHAT)
    for what in options.what or ():
        if what not in cells.WHAT:
            parser.error("--what %s: not one of %s" % (what, ", ".join(cells.WHAT)))
    try:
        options.cells = cells.grid(options)
    except ValueError as error:
        parser.error(str(error))
    return options


def systems_for(options, testbed, work):
    return iperf.systems(testbed, work, options) + [kind(testbed, work, options) for kind in peers.PEERS + tideway.SYSTEMS]


def plan_of(options, systems):
    """All runs of one repetition. What runs from memory does so once per link, just before the link's first copy."""
    plan, seen = [], set()
    for link, what in options.cells:
        parts = [(link, cells.MEMORY)] * (link not in seen) + [(link, what)]
        seen.add(link)
        plan += [(system, cell) for cell in parts for system in systems if cell[1] in system.what]
    return plan


class Measurement:
    """Runs the plan and keeps what there is so far."""

    def __init__(self, options, plan, left_out):
        self.options, self.plan, self.left_out = options, plan, left_out
        self.before = record.machine()
        self.path = record.where("wan")
        self.runs = {}        # (system, cell) -> results
        self.seconds = {}     # the same -> how long the last one took, all included
        self.start = time.monotonic()
        self.note = None

    def run(self, data):
        for repeat in range(self.options.repeats):
            for at, (system, cell) in enumerate(self.plan):
                key = (system, cell)
                if any("unfinished" in run for run in self.runs.get(key, ())):
                    continue
                if self.is_over_budget(key):
                    self.note = "stopped by --budget in repetition %d, after %d of %d runs" % (repeat + 1, at, len(self.plan))
                    return
                begin = time.monotonic()
                easier = self.unfinished_before(system, cell)
                result = spared(system, cell, easier, data) if easier else measure(system, cell, data, seed=repeat + 1)
                self.seconds[key] = time.monotonic() - begin
                self.runs.setdefault(key, []).append(result)
                self.save()
                print("  [%5.1f min] %s, %s, %s: %s" % ((time.monotonic() - self.start) / 60, system.name, cell[1], cell[0],
                      result.get("error") or "%.0f Mbit/s" % result["mbit"]), file=sys.stderr, flush=True)

    def unfinished_before(self, system, cell):
        """A link that is no harder, where the system was not done with the same data; None when there is none."""
        return next((link for (other, (link, what)), runs in self.runs.items()
                     if other is system and what == cell[1] and link.is_no_harder_than(cell[0]) and any("unfinished" in run for run in runs)), None)

    def is_over_budget(self, key):
        if self.options.budget is None:
            return False
        return time.monotonic() - self.start + self.seconds.get(key, 0) > self.options.budget * 60

    def rows(self):
        return report.compare([report.row_of(system, cell, runs, self.options) for (system, cell), runs in self.runs.items()])

    def save(self):
        record.save(self.path, {
            "kind": "wan", "machine": self.before, "rate_mbit": self.options.rate, "limit_s": self.options.limit,
            "congestion_control": pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
            "rows": self.rows(), "left_out": self.left_out + ([self.note] if self.note else []),
            "raw": [{"system": system.name, "link": str(cell[0]), "what": cell[1], "runs": runs}
                    for (system, cell), runs in self.runs.items()]})

    def finish(self, described):
        """Tables on standard output and beside the JSON, and the plots."""
        if not self.runs:
            sys.exit("perf: nothing was measured; --list says what would be")
        self.save()
        text = "link %d Mbit/s, MTU 1500; %s; up to %d repetitions, medians\n" % (
            self.options.rate, "; ".join(described), self.options.repeats)
        text += report.tables(self.rows())
        text += "".join("left out: %s\n" % line for line in self.left_out + ([self.note] if self.note else []))
        print(text)
        self.path.with_suffix(".md").write_text(text)
        print("written to %s and .md" % self.path.relative_to(REPO))
        subprocess.run([str(REPO / "perf" / "plot.py"), str(self.path)])


def check_room(options, work):
    needed = (2 * max(options.size_mib, options.checkpoint_mib) + options.size_mib + 512) * MIB
    free = shutil.disk_usage(work).free
    if free < needed:
        sys.exit("perf: %s has %.1f GB free, this takes %.1f GB; free some, or set TMPDIR to another place" % (
            work.parent, free / 1e9, needed / 1e9))


def run(options, work):
    data = Data(work / "source", options.size_mib, options.checkpoint_mib, options.files)
    testbed = Testbed(work)
    measurement = None
    try:
        testbed.up("--rate", "%dMbit" % options.rate)
        systems, left_out = choose(systems_for(options, testbed, work), options.only)
        if not testbed.counts_receiving:
            left_out.append("CPU time of the kernel's receiving threads: they could not be told apart")
        measurement = Measurement(options, plan_of(options, systems), left_out)
        if options.list:
            print("\n".join("%s: %s, %s" % (system.name, cell[1], cell[0]) for system, cell in measurement.plan))
            print("%d runs, %d times" % (len(measurement.plan), options.repeats))
            return
        described = [data.describe(what) for what in dict.fromkeys(what for _, what in options.cells)]
        try:
            measurement.run(data)
        except KeyboardInterrupt:
            measurement.note = "stopped by hand"
        measurement.finish(described)
    finally:
        testbed.down()


def main():
    options = parse_options()
    if os.geteuid() != 0:
        sys.exit("perf: network namespaces need root")
    memory = pathlib.Path(os.environ.get("TMPDIR") or "/dev/shm")
    sweep(memory)
    work = pathlib.Path(tempfile.mkdtemp(prefix="tideway-perf-%d-" % os.getpid(), dir=memory))
    stopping.raise_when_told()
    try:
        check_room(options, work)
        run(options, work)
    finally:
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("perf: stopped before there was a result")
