#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A trainer that saves as fast as it can, hands over, and removes old checkpoints, until somebody kills it.

Arguments: the folder of the run, the first step. What a shard holds follows from its step, so whoever sees one can tell if it is whole.
"""
import hashlib
import itertools
import pathlib
import shutil
import sys

SHARDS = ("__0_0.distcp", "__1_0.distcp", "__2_0.distcp")
REPEATS = 20_000  # of a hash of 32 bytes


def shard(step, name):
    return hashlib.sha256(f"{step} {name}".encode()).digest() * REPEATS


def files_of(step):
    """All files of a whole checkpoint, in the order in which they are written."""
    return {**{name: shard(step, name) for name in SHARDS}, ".metadata": str(step).encode()}


def main():
    import support  # noqa: F401: finds the package
    import tideway
    run = pathlib.Path(sys.argv[1])
    for step in itertools.count(int(sys.argv[2])):
        folder = run / f"step-{step}"
        folder.mkdir(parents=True)
        for name, content in files_of(step).items():
            (folder / name).write_bytes(content)
        tideway.replicate_checkpoint(folder, to=f"wisconsin:data/runs/{run.name}")
        print(step, flush=True)
        shutil.rmtree(run / f"step-{step - 2}", ignore_errors=True)


if __name__ == "__main__":
    main()
