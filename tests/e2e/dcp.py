#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A trainer that saves in the shape of torch.distributed.checkpoint, with its races, and somebody who looks at what arrives.

The marker of these checkpoints lists the shards with their hashes, so that anybody can tell whether one is whole.

  dcp.py save DIR SEED [RANKS [BYTES]]      shards, then .metadata by way of .metadata.tmp
  dcp.py resave DIR SEED SECONDS            into a directory that has a checkpoint: new shards beside the old marker for so long
  dcp.py check DIR                          ends with 1 unless it is whole
  dcp.py poll FOLDER                        a thousand looks a second at all below FOLDER, until SIGTERM; 1: something was partial"""
import hashlib
import json
import os
import random
import signal
import sys
import time

PERIOD = 0.001


def write_shards(folder, seed, ranks, size):
    content = random.Random(seed)
    shards = {}
    for rank in range(ranks):
        data = content.randbytes(size)
        name = f"__{rank}_0.distcp"
        with open(os.path.join(folder, name), "wb") as file:
            file.write(data)
        shards[name] = hashlib.sha256(data).hexdigest()
    return shards


def finish(folder, shards):
    with open(os.path.join(folder, ".metadata.tmp"), "w", encoding="ascii") as file:
        json.dump(shards, file)
        file.flush()
        os.fsync(file.fileno())
    os.rename(os.path.join(folder, ".metadata.tmp"), os.path.join(folder, ".metadata"))


def save(folder, seed, ranks=2, size=2 << 20):
    os.makedirs(folder)
    finish(folder, write_shards(folder, seed, ranks, size))


def resave(folder, seed, pause):
    size = os.path.getsize(os.path.join(folder, "__0_0.distcp"))
    shards = write_shards(folder, seed, 2, size)
    time.sleep(pause)
    finish(folder, shards)


def trouble_with(folder):
    """What is wrong with a checkpoint, or nothing."""
    try:
        with open(os.path.join(folder, ".metadata"), encoding="ascii") as file:
            shards = json.load(file)
        names = {name for name in os.listdir(folder) if not name.startswith(".")}
        if names != set(shards):
            return f"has {sorted(names)} and speaks of {sorted(shards)}"
        for name, wanted in shards.items():
            with open(os.path.join(folder, name), "rb") as file:
                if hashlib.sha256(file.read()).hexdigest() != wanted:
                    return f"{name} is another one"
    except (OSError, ValueError) as trouble:
        return repr(trouble)
    return None


def poll(folder):
    seen, over, looks = set(), [], 0
    signal.signal(signal.SIGTERM, lambda *_: over.append(1))
    while not over:
        looks += 1
        try:
            found = [name for name in os.listdir(folder) if not name.startswith(".")]
        except FileNotFoundError:
            found = []
        for name in found:
            path = os.path.join(folder, name)
            if name in seen or not os.path.isdir(path):
                continue
            trouble = trouble_with(path)
            if trouble:
                print(f"partial: {path}: {trouble}")
                return 1
            seen.add(name)
        time.sleep(PERIOD)
    print(looks, sorted(seen))
    return 0


def main():
    verb, folder, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
    if verb == "save":
        return save(folder, *map(int, rest))
    if verb == "resave":
        return resave(folder, int(rest[0]), float(rest[1]))
    if verb == "check":
        trouble = trouble_with(folder)
        if trouble:
            print(f"{folder}: {trouble}")
        return 1 if trouble else 0
    return poll(folder)


if __name__ == "__main__":
    sys.exit(main())
