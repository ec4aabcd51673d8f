#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A run of saves during which the trainer, both gateways and the link die again and again; what arrives is looked at by `dcp.py poll`.

  checkpoint_storm.py SAVES SEED FOLDER KILLS [SECONDS]
                                                  saves FOLDER/step-1 to step-SAVES, or as many as begin in SECONDS; for each death that is due
                                                  it writes its name as a line and waits for an answer: atlanta, wisconsin, link. KILLS: one in
                                                  so many saves

The trainer is a process of its own for each save, and is killed in the middle of one in three; what it leaves half done stays there, as a
trainer that starts again would leave it, and is never to arrive. At the end it prints what it did."""
import os
import random
import signal
import subprocess
import sys
import time

DCP = os.path.join(os.path.dirname(os.path.abspath(__file__)), "dcp.py")
SHARD = 400_000
DEATHS = ("atlanta", "wisconsin", "link")


def save(path, seed, killed_after):
    trainer = subprocess.Popen([sys.executable, DCP, "save", path, str(seed), "2", str(SHARD)])
    if killed_after is None:
        return trainer.wait() == 0
    try:
        return trainer.wait(killed_after) == 0
    except subprocess.TimeoutExpired:
        trainer.send_signal(signal.SIGKILL)
        trainer.wait()
        return False


def main():
    saves, seed, folder, one_in = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    if saves < 1:
        sys.exit("a storm has one save at least")
    end = time.monotonic() + float(sys.argv[5]) if len(sys.argv) > 5 else float("inf")
    chance = random.Random(seed)
    counts = {"whole": 0, "trainer": 0, **{death: 0 for death in DEATHS}}
    newest = 0
    for step in range(1, saves + 1):
        is_last = step == saves or time.monotonic() > end
        killed_after = chance.uniform(0, 0.12) if not is_last and chance.randrange(3) == 0 else None
        if save(os.path.join(folder, f"step-{step}"), step, killed_after):
            counts["whole"] += 1
            newest = step
        else:
            counts["trainer"] += 1
        if chance.randrange(one_in) == 0 and not is_last:
            time.sleep(chance.uniform(0, 0.4))  # somewhere in what it is doing
            death = DEATHS[sum(counts[name] for name in DEATHS) % len(DEATHS)]
            counts[death] += 1
            print(death, flush=True)
            sys.stdin.readline()
        if is_last:
            break
    print("done", newest, f"saves={step}", " ".join(f"{name}={count}" for name, count in counts.items()), flush=True)


if __name__ == "__main__":
    main()
