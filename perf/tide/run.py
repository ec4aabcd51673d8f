# SPDX-License-Identifier: Apache-2.0
"""What bulk costs a trainer, and how much of the leftover it uses: a synthetic trainer on an emulated link, alone and beside
Tideway (announced through the API, by beacon or board, seen in the interface's counters, none of these with the scavenger or the
usual controller, at a static cap) and iperf3 (CUBIC, BBR). Two controls use the same machine and another link: `elsewhere`, where
bulk is sent all the time at the rate that the trainer leaves of the first one, and `elsewhere-board`, where the gate holds it as
`board` does. Their packets never meet the trainer's, so what they cost it is the machine's doing and no scheduler's.

    perf/tide/run.sh [--rate 200Mbit] [--rtt 20ms] [--duty 0.4] [--iterations 60] [--rounds 1] [--modes alone,beacon,...]
    perf/tide/run.sh --rate 1Gbit --rounds 5
    perf/tide/run.sh --grid axes --rounds 5 --modes alone,board,counters,scavenger

In all of these the far site pulls. `job` is as `board`, but for a job in the gateway's queue that pushes to a gateway there. `--page 7480`
shows the page of the near gateway at http://127.0.0.1:7480/ of this machine while one runs.

`--fan-in 4` lets that many hosts of the training burst into the link at once, each at the link's rate and with jitter of its own; an iteration
ends with the last of them. `--relock 20%` adds runs in which the period grows by so much in mid-run, while the gateway sees the training in
counters alone beside bulk: after how many iterations it is locked, at first and again.

`--grid axes` does the point that the flags name, and from there each other value of RTT/T (0.002, 0.02, 0.1), duty (0.2, 0.4, 0.7)
and jitter (0, 5, 20 %); `--grid full` does all 27. `--budget MINUTES` starts nothing more after so long.

Inflation is the median (or the 99th percentile) of the iterations with bulk over the median without, less one. What it is made of
stands beside it, each as a share of the median iteration without bulk: `undrawn` is the same without the jitter that each iteration
drew, `burst` the burst alone, without late timers of the compute time, and `link` the time for which the link carried bulk while a
burst was under way: all that bulk costs a burst in a queue that is served in order. Utilisation is
the bulk that was delivered over what the trainer alone leaves of the link, both as the link is charged. Modes take turns,
`--rounds` times, so that a machine that changes does not look like a difference between them. `counters` and `scavenger` settle in
40 iterations more, which are left out. `capped` has half of the link.
"""
import argparse
import contextlib
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "perf"), str(REPO / "perf" / "wan")]
import cgroup  # noqa: E402
import measured  # noqa: E402
import pair  # noqa: E402
import record  # noqa: E402
import relay  # noqa: E402
import relock  # noqa: E402
import stopping  # noqa: E402
import testbed  # noqa: E402
from measured import TRAINER_PORT  # noqa: E402

WARMUP = 5
FILE_MIB_MAX = 6 << 10
MODES = ("alone", "elsewhere", "elsewhere-board", "api", "beacon", "board", "job", "counters", "scavenger", "capped", "unannounced", "cubic", "bbr")
ROLES = ("trainer", "trainer-server", "gateway", "receiver", "asker")
LEARNS = {"counters": 40, "scavenger": 40}
CAP = 0.5  # of the link
# Until it is ended: the file may be shorter than a run.
COPIES = 'turn=0; while "$@" "$0/$turn"; do rm -rf "$0/$turn"; turn=$((turn + 1)); done'
PHASES = '''[[link]]
peer = "wisconsin"
capacity = "{rate:g}Mbit"
{congestion}[phase]
listen = "10.77.0.1:7399"
key_file = "{work}/beacon.key"
board = "{work}/phase.board"
[[training]]
name = "llm7"
peers = ["wisconsin"]
counters = {counters}
'''


def mbit(text):
    for unit, factor in (("Gbit", 1000.0), ("Mbit", 1.0)):
        if text.endswith(unit):
            return float(text[:-len(unit)]) * factor
    raise argparse.ArgumentTypeError("write a rate as 200Mbit or 1Gbit")


def ms(text):
    if not text.endswith("ms"):
        raise argparse.ArgumentTypeError("write a time as 20ms")
    return float(text[:-2])


def share(text):
    if not text.endswith("%"):
        raise argparse.ArgumentTypeError("write a share as 20%")
    return float(text[:-1]) / 100


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=mbit, default=200.0)
    parser.add_argument("--rtt", type=ms, default=20.0)
    parser.add_argument("--queue", type=ms, default=25.0)
    parser.add_argument("--period", type=ms, default=1000.0)
    parser.add_argument("--duty", type=float, default=0.4)
    parser.add_argument("--jitter", default="5%")
    parser.add_argument("--flows", type=int, default=4, help="of each host of the training")
    parser.add_argument("--fan-in", type=int, default=1, metavar="HOSTS", help="that burst into the link at once")
    parser.add_argument("--relock", type=share, metavar="SHARE", help="by which the period grows in runs of their own, such as 20%%")
    parser.add_argument("--quick", action="store_true", help="20 iterations alone and beside what the board holds: a look, not a measurement")
    parser.add_argument("--iterations", type=int, help="default 50, with --quick 20")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--modes", help="default %s, with --quick alone,board" % ",".join(MODES))
    parser.add_argument("--congestion", default="", help="of Tideway's bulk; without it what a shared link has")
    parser.add_argument("--page", type=int, default=0, metavar="PORT", help="of this machine's loopback, to look on at")
    parser.add_argument("--grid", choices=("one", "axes", "full"), default="one")
    parser.add_argument("--budget", type=float, default=float("inf"), metavar="MINUTES")
    parser.add_argument("--result", type=pathlib.Path, help="file tide-*.json to write; without it one below perf/results")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin")
    chosen = parser.parse_args()
    chosen.iterations = chosen.iterations or (20 if chosen.quick else 50)
    chosen.modes = chosen.modes or ("alone,board" if chosen.quick else ",".join(MODES))
    return chosen


def cells(chosen):
    """The points to measure, the one that the flags name first."""
    axes = {"rtt": [share * chosen.period for share in (0.002, 0.02, 0.1)], "duty": [0.2, 0.4, 0.7], "jitter": ["0%", "5%", "20%"]}
    if chosen.grid == "one":
        return [chosen]
    points = [{}]
    if chosen.grid == "axes":
        points += [{name: value} for name, values in axes.items() for value in values]
    else:
        points += [dict(zip(axes, values)) for values in itertools.product(*axes.values())]
    made = []
    for point in points:
        cell = argparse.Namespace(**{**vars(chosen), **point})
        if cell not in made:
            made.append(cell)
    return made


class Bench:
    def __init__(self, chosen, work):
        self.work = work
        self.take(chosen)
        self.bed = testbed.Testbed(work)
        self.other = None  # the link of bulk that is elsewhere
        self.roles = {role: cgroup.Group.create("%s-%s" % (self.bed.name, role)) for role in ROLES}
        self.leftover = None  # Mbit/s that the trainer alone leaves
        self.pair = pair.Pair(chosen.bin, work)
        self.page = None
        self.trainer = chosen.bin / "tideway-trainer-sim"
        self.running = []

    def take(self, chosen):
        self.chosen = chosen
        # A burst fills `duty` of a period on the idle link, headers and all.
        payload = testbed.ideal_mbit(chosen.rate, "tcp", 0) * 1e6 / 8
        self.burst = int(payload * chosen.duty * chosen.period / 1000)

    def iterations(self, mode):
        if mode == "relock":
            return relock.STEP_AT + relock.AFTER
        return self.chosen.iterations + LEARNS.get(mode, 0)

    def seconds(self, mode):
        longer = 1 + self.chosen.relock if mode == "relock" else 1
        return (self.iterations(mode) + WARMUP) * longer * self.chosen.period / 1000

    def prepare(self, modes):
        (self.work / "beacon.key").write_text(os.urandom(32).hex() + "\n")
        (self.work / "beacon.key").chmod(0o640)
        self.pair.issue()
        source, arrived = self.work / "source", self.work / "arrived"
        source.mkdir()
        arrived.mkdir()
        places = [pair.Place(self.bed.a.address, api="%s/api.sock" % self.work), pair.Place(self.bed.b.address)]
        self.pair.configure(places, [source, arrived])
        config = self.work / "atlanta" / "tideway.toml"
        self.config = config
        web = 'web = "127.0.0.1:%d"\n' % self.chosen.page if self.chosen.page else ""
        self.text = config.read_text().replace("[listen]\n", "[listen]\n" + web, 1)
        # More than the link could carry meanwhile, so that bulk rarely begins again; random, because holes and equal blocks do not
        # cross.
        longest = max(map(self.seconds, [*modes, "relock"] if self.chosen.relock is not None else modes))
        mib = min(FILE_MIB_MAX, int(1.5 * longest * self.chosen.rate / 8))
        with open(source / "bulk", "wb") as file:
            for _ in range(mib):
                file.write(os.urandom(1 << 20))

    def flags(self, counts):
        link = self.chosen
        return ["--rate", "%gMbit" % link.rate, "--delay", "%gms" % (link.rtt / 2), "--queue", "%gms" % link.queue,
                "--count-port", str(TRAINER_PORT), "--counts", str(counts)]

    def up(self, modes):
        self.bed.up(*self.flags(self.work / "counts-first.csv"))
        if any(mode.startswith("elsewhere") for mode in modes):
            self.other = testbed.Testbed(self.work, "-other")
            self.other.up(*self.flags(self.work / "counts-first-other.csv"))
        if self.chosen.page:
            self.page = relay.Relay(self.bed.name + "-a", self.chosen.page)

    def down(self):
        """All of it, though a part of it fails; the first error is told at the end."""
        with contextlib.ExitStack() as ends:  # from the last to the first
            for group in self.roles.values():
                ends.callback(group.end)
            for bed in (self.bed, self.other):
                if bed is not None:
                    ends.callback(bed.down)
            if self.page is not None:
                ends.callback(self.page.close)

    def bed_of(self, mode):
        """Where its bulk is."""
        return self.other if mode.startswith("elsewhere") else self.bed

    def start(self, site, *command, role, name):
        log = open(self.work / (name + ".log"), "w")
        process = site.start(*command, log=log, group=self.roles[role])
        self.running.append(process)
        return process

    def stop(self):
        for group in self.roles.values():
            group.kill()
        for process in self.running:
            process.wait()
        self.running.clear()

    def start_bulk(self, mode):
        if mode == "alone":
            return
        bed = self.bed_of(mode)
        if mode in ("cubic", "bbr"):
            self.start(bed.b, "iperf3", "-s", "-1", role="receiver", name="iperf3-server")
            testbed.wait_for(lambda: bed.b.is_listening(5201))
            self.start(bed.a, "iperf3", "-c", bed.b.address, "-C", mode, "-t", int(2 * self.seconds(mode)) + 30, role="gateway", name="iperf3")
            return
        counters = '["iface:wan0"]' if mode in ("counters", "relock") else "[]"
        chosen = "scavenger" if mode == "scavenger" else self.chosen.congestion
        congestion = 'congestion = "%s"\n' % chosen if chosen else ""
        self.config.write_text(self.text + PHASES.format(work=self.work, rate=self.chosen.rate, counters=counters, congestion=congestion))
        log = self.work / "tidewayd-a.log"
        gateway = self.start(bed.a, *self.pair.serve("atlanta"), role="gateway", name="tidewayd-a")
        pair.wait_until_ready(gateway, log)
        shutil.rmtree(self.work / "arrived")
        (self.work / "arrived").mkdir()
        if mode == "job":
            far = self.start(bed.b, *self.pair.serve("wisconsin"), role="receiver", name="tidewayd-b")
            pair.wait_until_ready(far, self.work / "tidewayd-b.log")
            self.start(bed.a, "bash", "-c", COPIES, "wisconsin:data", self.chosen.bin / "tideway", "--api", self.work / "api.sock", "copy", "-q",
                       "--compress", "off", self.work / "source" / "bulk", role="asker", name="copy")
            return
        rate = {"capped": CAP * self.chosen.rate, "elsewhere": self.leftover}.get(mode)
        cap = ["--bwlimit", "%gMbit" % rate] if rate else []
        self.start(bed.b, "bash", "-c", COPIES, self.work / "arrived", self.chosen.bin / "tideway", "--config", self.work / "wisconsin" / "tideway.toml",
                   "copy", "-q", "--direct", "--compress", "off", *cap, "atlanta:data/bulk", role="receiver", name="copy")

    def train(self, mode, turn, out, iterations):
        announce = {"api": ["--announce", "api", "--api", self.work / "api.sock"],
                    "beacon": ["--announce", "beacon", "--beacon", "10.77.0.1:7399", "--key-file", self.work / "beacon.key"],
                    "board": ["--announce", "board", "--board", self.work / "phase.board"]}.get({"job": "board"}.get(mode, mode.removeprefix("elsewhere-")), [])
        compute = self.chosen.period * (1 - self.chosen.duty)
        if mode == "relock":  # the period grows by that share, and the burst does not
            announce = ["--period-step", "%d:+%.3f%%" % (relock.STEP_AT, 100 * self.chosen.relock * self.chosen.period / compute)]
        done = self.bed.a.run(self.trainer, "run", "--peer", "%s:%d" % (self.bed.b.address, TRAINER_PORT), "--iterations",
                              self.iterations(mode), "--warmup", 0 if mode == "relock" else WARMUP, "--fan-in", self.chosen.fan_in, "--compute", "%gms" % compute, "--burst", "%dB" % self.burst,
                              "--flows", self.chosen.flows, "--pace", "%gMbit" % testbed.ideal_mbit(self.chosen.rate, "tcp", 0), "--jitter", self.chosen.jitter, "--seed", turn + 1, "--csv", iterations,
                              "--json", out, *announce, limit_s=10 * self.seconds(mode) + 60, group=self.roles["trainer"])
        if done.returncode != 0:
            raise RuntimeError("the trainer failed: " + done.stderr)

    def cpu_seconds(self):
        """By role, and of each site's kernel that takes packets in."""
        sites = {"kernel-" + side: site.group for side, site in self.bed.sites.items()}
        return {name: group.seconds() for name, group in {**self.roles, **sites}.items()}

    def start_trainer_server(self):
        self.start(self.bed.b, self.trainer, "serve", "--listen", "%s:%d" % (self.bed.b.address, TRAINER_PORT), role="trainer-server", name="trainer-server")
        testbed.wait_for(lambda: self.bed.b.is_listening(TRAINER_PORT))

    def relock(self, turn):
        """Iterations until the gateway is locked: on the period at first, and on the longer one."""
        iterations = self.work / ("iterations-relock-%d.csv" % turn)
        self.bed.restart(*self.flags(self.work / ("counts-relock-%d.csv" % turn)))
        try:
            self.start_trainer_server()
            self.start_bulk("relock")
            looker = relock.Looker(self.work / "api.sock", "llm7")
            looker.start()
            self.train("relock", turn, self.work / "trainer.json", iterations)
            seen = looker.close()
        finally:
            self.stop()
        begins, period = relock.begins_of(iterations), self.chosen.period / 1000
        near = relock.NEAR + share(self.chosen.jitter)
        return (relock.until_locked(begins, seen, period, near),
                relock.until_locked(begins[relock.STEP_AT:], seen, period * (1 + self.chosen.relock), near))

    def run(self, mode, turn):
        bed = self.bed_of(mode)
        counts, elsewhere = (self.work / ("counts-%s-%d%s.csv" % (mode, turn, which)) for which in ("", "-other"))
        out, iterations = self.work / "trainer.json", self.work / ("iterations-%s-%d.csv" % (mode, turn))
        self.bed.restart(*self.flags(counts))
        if bed is not self.bed:
            bed.restart(*self.flags(elsewhere))
        try:
            self.start_trainer_server()
            self.start_bulk(mode)
            before, began = self.cpu_seconds(), time.monotonic()
            self.train(mode, turn, out, iterations)
            passed = time.monotonic() - began
            used = {name: (spent - before[name]) / passed for name, spent in self.cpu_seconds().items()}
        finally:
            self.stop()
        link = self.bed.counters()
        used["emulator"] = link["cpu_seconds"] / link["seconds"]
        if bed is not self.bed:
            bed.counters()
        settings = {"rate": self.chosen.rate, "rtt": self.chosen.rtt, "skipped": LEARNS.get(mode, 0)}
        run = measured.Run(json.loads(out.read_text()), iterations, counts, settings, elsewhere if bed is not self.bed else None)
        run.cpu = used
        if mode == "alone":
            self.leftover = self.chosen.rate - run.mbit_of("training")
        elif run.mbit_of("bulk") < 1:
            logs = [self.work / name for name in ("copy.log", "iperf3.log", "tidewayd-a.log")]
            raise RuntimeError("no bulk beside the trainer: " + " | ".join(log.read_text()[-500:] for log in logs if log.exists()))
        return run


def measure(bench, cell, modes):
    print("rtt %gms, duty %g, jitter %s, fan-in %d, %d rounds" % (cell.rtt, cell.duty, cell.jitter, cell.fan_in, cell.rounds))
    bench.take(cell)
    runs = {mode: [] for mode in modes}
    for turn in range(cell.rounds):
        for mode in modes:
            runs[mode].append(bench.run(mode, turn))
    rows = [measured.summary(mode, runs[mode], runs["alone"], cell.rate) for mode in modes]
    measured.show(rows)
    found = {}
    if cell.relock is not None:
        counts = [bench.relock(turn) for turn in range(cell.rounds)]
        found["relock"] = {"share": cell.relock, "step_at": relock.STEP_AT, "first": [first for first, _ in counts], "again": [again for _, again in counts]}
        relock.show(found["relock"])
    settings = {key: str(value) for key, value in vars(cell).items() if key not in ("bin", "result", "page")}
    return {"settings": settings, "rows": rows, **found, "traces": {mode: runs[mode][-1].trace() for mode in modes}}


def main():
    chosen = options()
    until = time.monotonic() + 60 * chosen.budget
    modes = chosen.modes.split(",")
    unknown = set(modes) - set(MODES)
    if unknown or modes[0] != "alone":
        sys.exit("tide: --modes begins with alone and has some of: " + ", ".join(MODES))
    testbed.sweep(pathlib.Path("/dev/shm"))
    before = record.machine()
    work = pathlib.Path(tempfile.mkdtemp(prefix="tideway-perf-%d-" % os.getpid(), dir="/dev/shm"))
    stopping.raise_when_told()
    bench = None
    try:
        bench = Bench(chosen, work)
        bench.prepare(modes)
        bench.up(modes)
        done = []
        for cell in cells(chosen):
            if time.monotonic() > until:
                print("no time is left for rtt %gms, duty %g, jitter %s" % (cell.rtt, cell.duty, cell.jitter))
                continue
            done.append(measure(bench, cell, modes))
        path = chosen.result or record.where("tide")
        record.save(path, {"machine": before, **done[0], "cells": done[1:]})
        print("written to %s" % path)
        subprocess.run(["/usr/bin/python3", str(REPO / "perf" / "plot.py"), str(path)], check=False)
    except KeyboardInterrupt:
        sys.exit("tide: told to end")
    finally:
        if bench is not None:
            bench.down()
        shutil.rmtree(work, ignore_errors=True)


if __name__ == "__main__":
    main()
