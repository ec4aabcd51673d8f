#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A run of saves during which the trainer, both gateways and the link die again and again; what arrives is looked at by `dcp.py poll`.

  checkpoint_storm.py SAVES SEED ROOT KILLS [SECONDS]
                                                  saves step-1 to step-SAVES, or as many as begin in SECONDS; for each death that is due it writes
                                                  its name as a line and waits for an answer: atlanta, wisconsin, link. KILLS: one in so many saves

ROOT is that of atlanta's gateway. A watch finds what is saved below runs/llm7; every third is saved below hooked/llm7 and handed over by
`python -m tideway`, with the API socket in TIDEWAY_API. One in four has shards that take a part of a second to cross, so that deaths meet them
there. The trainer is a process of its own for each save, and is killed in the middle of one in three, in its save or in its hook; what it leaves
half done stays there for KEPT saves, as a trainer that starts again would leave it, and is never to arrive. At the end it prints what it did."""
import os
import random
import shutil
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
DCP = os.path.join(HERE, "dcp.py")
PACKAGE = os.path.normpath(os.path.join(HERE, "../../python"))
SERIES = "runs/llm7"
HOOKED = "hooked/llm7"
TO = "wisconsin:data/runs/llm7"
SHARD = 400_000
LARGE = (8_000_000, 20_000_000)  # from, to
KEPT = 20
DEATHS = ("atlanta", "wisconsin", "link")


def runs_through(words, end):
    """False: it was killed, when `end` came."""
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": PACKAGE})
    try:
        code = process.wait(None if end is None else max(0.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return False
    if code != 0:
        sys.exit(f"a training is never to fail, and this ended with {code}: {words}")
    return True


class Save:
    def __init__(self, step, chance):
        self.step = step
        self.is_hooked = step % 3 == 2
        self.is_large = step % 4 == 0
        self.shard = chance.randint(*LARGE) if self.is_large else SHARD
        self.longest = 0.12 + 0.3 * self.is_hooked + 0.3 * self.is_large  # seconds, about

    def run(self, root, killed_after):
        end = None if killed_after is None else time.monotonic() + killed_after
        path = os.path.join(root, HOOKED if self.is_hooked else SERIES, f"step-{self.step}")
        if not runs_through([sys.executable, DCP, "save", path, str(self.step), "2", str(self.shard)], end):
            return False
        hook = [sys.executable, "-B", "-m", "tideway", "replicate", path, "--to", TO, "--series", SERIES, "--format", "dcp"]
        return not self.is_hooked or runs_through(hook, end)


def main():
    saves, seed, root, one_in = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    if saves < 1:
        sys.exit("a storm has one save at least")
    end = time.monotonic() + float(sys.argv[5]) if len(sys.argv) > 5 else float("inf")
    chance = random.Random(seed)
    counts = {"whole": 0, "hooked": 0, "large": 0, "trainer": 0, **{death: 0 for death in DEATHS}}
    newest = 0
    for step in range(1, saves + 1):
        is_last = step == saves or time.monotonic() > end
        save = Save(step, chance)
        killed_after = chance.uniform(0, save.longest) if not is_last and chance.randrange(3) == 0 else None
        if save.run(root, killed_after):
            counts["whole"] += 1
            counts["hooked"] += save.is_hooked
            counts["large"] += save.is_large
            newest = step
        else:
            counts["trainer"] += 1
        if chance.randrange(one_in) == 0 and not is_last:
            time.sleep(chance.uniform(0, 0.8 if save.is_large else 0.4))  # somewhere in what it is doing
            death = DEATHS[sum(counts[name] for name in DEATHS) % len(DEATHS)]
            counts[death] += 1
            print(death, flush=True)
            sys.stdin.readline()
        for folder in (SERIES, HOOKED):
            shutil.rmtree(os.path.join(root, folder, f"step-{step - KEPT}"), ignore_errors=True)
        if is_last:
            break
    print("done", newest, f"saves={step}", " ".join(f"{name}={count}" for name, count in counts.items()), flush=True)


if __name__ == "__main__":
    main()
