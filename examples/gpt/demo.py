#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The whole story of a training that loses its site, as scripts/demo-trainer.sh tells it. Debian's own python3, whose torch it is.

    demo.py --bin build/release/bin --work build/demo-trainer
"""
import argparse
import pathlib
import signal
import subprocess
import sys
import time

from sites import REPO, RUN, STARTS_S, Bursts, Looker, Sites, kill, read_log
import story
import record  # of perf/, which sites.py has found

SAVES_BEFORE_LOSS = 5
STEP_S = 20.0  # a step takes longer than this only when the trainer hangs


def options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin")
    parser.add_argument("--work", type=pathlib.Path, default=REPO / "build" / "demo-trainer")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--every", type=int, default=6, help="steps from save to save")
    parser.add_argument("--training", default="gpt", help="as bursts are announced; '' announces none, and bulk does not make room")
    parser.add_argument("--rate", type=float, default=200.0, help="of the link, in Mbit/s")
    parser.add_argument("--rtt", type=float, default=20.0, help="in ms")
    return parser.parse_args()


class Demo:
    def __init__(self, chosen):
        self.chosen = chosen
        self.sites = Sites(chosen.bin.resolve(), chosen.work.resolve())
        self.looker = Looker(self.sites.root("b") / RUN)
        self.bursts = Bursts(self.sites.home("a") / "phase.board")

    def prepare(self):
        link = self.chosen
        self.sites.prepare(["--rate", "%gMbit" % link.rate, "--delay", "%gms" % (link.rtt / 2), "--queue", "25ms"])

    def to_the_end(self, name, ranks):
        ends = time.monotonic() + STARTS_S + STEP_S * self.chosen.steps
        for i, rank in enumerate(ranks):
            try:
                if rank.wait(max(0.1, ends - time.monotonic())) != 0:
                    raise self.sites.say_why(rank, "%s-%d" % (name, i))
            except subprocess.TimeoutExpired:
                raise self.sites.say_why(rank, "%s-%d" % (name, i)) from None

    def reference(self):
        """The same steps with nobody's interruption, over loopback."""
        self.to_the_end("reference", self.sites.train("reference", "bb", ["--steps", self.chosen.steps, "--training", ""]))

    def train_until_the_site_is_lost(self):
        """Until a checkpoint is on its way and enough of them are at B; then kill -9. Returns when."""
        gateway = self.sites.serve("a")
        self.sites.serve("b")
        self.looker.start()
        self.bursts.start()
        first = ["--save", self.sites.root("a") / RUN, "--every", self.chosen.every, "--to", "wisconsin:data/" + RUN]
        ranks = self.sites.train("first", "ab", ["--steps", self.chosen.steps, "--training", self.chosen.training], first)
        saves = self.wait_for_saves(ranks)
        newest = saves[max(saves)]
        # Half of what it takes at the least: it is on its way then, and not there.
        time.sleep(max(0.0, newest["end"] + newest["bytes"] * 8 / self.chosen.rate / 1e6 / 2 - time.monotonic()))
        lost = kill(*ranks, gateway)
        self.bursts.end()
        return lost

    def wait_for_saves(self, ranks):
        ends = time.monotonic() + STARTS_S + STEP_S * self.chosen.steps
        while time.monotonic() < ends:
            for i, rank in enumerate(ranks):
                if rank.poll() is not None:
                    raise self.sites.say_why(rank, "first-%d" % i)
            _, saves = read_log(self.sites.log("first", 0))
            if len(saves) > SAVES_BEFORE_LOSS and len(self.looker.seen) >= SAVES_BEFORE_LOSS - 1 and max(saves) not in self.looker.seen:
                return saves
            time.sleep(0.01)
        raise RuntimeError("too few checkpoints got to site B: %s" % sorted(self.looker.seen))

    def go_on(self):
        """At B, from the newest checkpoint that is there. Returns its step and what `tideway verify` says of each."""
        verified = {step: self.sites.verify(self.looker.folder / ("step-%d" % step)) for step in sorted(self.looker.seen)}
        newest = max(self.looker.seen)
        resume = ["--steps", self.chosen.steps, "--training", "", "--resume", self.looker.folder / ("step-%d" % newest)]
        self.to_the_end("second", self.sites.train("second", "bb", resume))
        return newest, verified

    def run(self):
        machine = record.machine()
        print("1. two sites, and %g Mbit/s with a round trip of %g ms between them" % (self.chosen.rate, self.chosen.rtt), flush=True)
        self.prepare()
        print("2. the reference: %d steps over loopback, uninterrupted" % self.chosen.steps, flush=True)
        self.reference()
        print("3. the training: a rank at each site, a checkpoint every %d steps, until site A is lost" % self.chosen.every, flush=True)
        lost = self.train_until_the_site_is_lost()
        print("4. site B goes on", flush=True)
        restored, verified = self.go_on()
        self.looker.end()
        self.sites.testbed("cut")
        logs = {name: [read_log(self.sites.log(name, rank)) for rank in (0, 1)] for name in ("reference", "first", "second")}
        counts = story.read_counts(self.sites.work / "counts.csv")
        happened = {"lost": lost, "restored": restored, "verified": verified, "looker": self.looker, "bursts": self.bursts.found}
        return {"machine": machine, **story.tell(self.chosen, logs, counts, happened)}


def main():
    chosen = options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("demo-trainer: ended by SIGTERM"))
    demo = Demo(chosen)
    try:
        told = demo.run()
    except (RuntimeError, OSError, subprocess.SubprocessError) as trouble:
        sys.exit("demo-trainer: %s" % trouble)
    finally:
        demo.sites.end()
    chosen.work.joinpath("testbed").rmdir()
    path = chosen.work / "demo-trainer.json"
    record.save(path, told)
    subprocess.run(["/usr/bin/python3", "-B", str(REPO / "perf" / "plot.py"), str(path)], check=False)
    print("\n" + "\n".join("%-48s%s" % tuple(row) for row in told["report"]) + "\n")
    for wrong in told["failed"]:
        print("did not hold: " + wrong)
    sys.exit(1 if told["failed"] else 0)


if __name__ == "__main__":
    main()
