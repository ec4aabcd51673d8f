#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks a thousand times a second at a name below each FOLDER, as somebody who waits for a checkpoint does, and ends with 1 as
soon as it sees one that is not as TREE is. Ends with 0 at SIGTERM, and says how often it looked, and saw a whole one.

Usage: reader.py TREE NAME FOLDER..."""
import os
import signal
import sys
import time

PERIOD = 0.001


def seen_from(top):
    """What lies below an open directory: names, and sizes of files. Links and directories by their names alone, and what is
    Tideway's own not at all: a copy to a directory that is there stages in it."""
    seen = {}
    for at, folders, files, fd in os.fwalk(".", dir_fd=top):
        folders[:] = [name for name in folders if not name.startswith(".tideway")]  # and it comes and goes while we look
        for name in folders:
            seen[os.path.normpath(os.path.join(at, name))] = -1
        for name in files:
            status = os.lstat(name, dir_fd=fd)
            seen[os.path.normpath(os.path.join(at, name))] = status.st_size
    return {name: size for name, size in seen.items() if not name.startswith(".tideway")}


def main():
    tree, name, folders = sys.argv[1], sys.argv[2], sys.argv[3:]
    expected = seen_from(os.open(tree, os.O_RDONLY))
    looks = whole = 0
    over = []
    signal.signal(signal.SIGTERM, lambda *_: over.append(1))
    while not over:
        for folder in folders:
            looks += 1
            try:
                top = os.open(os.path.join(folder, name), os.O_RDONLY)
            except FileNotFoundError:
                continue
            seen = seen_from(top)
            os.close(top)
            if seen != expected:
                print("partial:", sorted(set(expected.items()) ^ set(seen.items())))
                return 1
            whole += 1
        time.sleep(PERIOD)
    print(looks, whole)
    return 0


if __name__ == "__main__":
    sys.exit(main())
