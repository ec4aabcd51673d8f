# SPDX-License-Identifier: Apache-2.0
"""What is copied, and whether it arrived.

  file        random bytes: nothing to compress
  checkpoint  made like a model's: two bytes per weight, of which the upper one takes few values; a quarter is zeros
  tree        many small files of random bytes, 13.1 kB on average, a hundred to a folder
  same        one random file as large as the tree, to tell the price of files from the price of bytes
"""
import os
import random
import subprocess
import zlib

MIB = 1 << 20
SMALL_FILE_MAX = 26_200  # 13.1 kB on average: 10,000 files are 131 MB
FILES_PER_FOLDER = 100
NAMES = {"file": "file.bin", "checkpoint": "checkpoint.bin", "tree": "tree", "same": "same.bin"}


class Data:
    """Makes each kind at its first use, below `folder`."""

    def __init__(self, folder, size_mib, checkpoint_mib, files):
        self.folder, self.size_mib, self.checkpoint_mib, self.files = folder, size_mib, checkpoint_mib, files
        folder.mkdir()

    def path(self, what):
        path = self.folder / NAMES[what]
        if not path.exists():
            getattr(self, "make_" + what)(path)
        return path

    def make_file(self, path):
        with open(path, "wb") as out:
            for _ in range(self.size_mib):
                out.write(os.urandom(MIB))

    def make_checkpoint(self, path):
        with open(path, "wb") as out:
            for i in range(self.checkpoint_mib):
                out.write(bytes(MIB) if i % 4 == 3 else weights())

    def small_sizes(self):
        choice = random.Random(1)
        return [choice.randrange(1, SMALL_FILE_MAX) for _ in range(self.files)]

    def make_tree(self, path):
        for i, size in enumerate(self.small_sizes()):
            name = path / ("d%03d" % (i // FILES_PER_FOLDER)) / ("f%05d.bin" % i)
            name.parent.mkdir(parents=True, exist_ok=True)
            name.write_bytes(os.urandom(size))

    def make_same(self, path):
        path.write_bytes(os.urandom(sum(self.small_sizes())))

    def describe(self, what):
        path = self.path(what)
        if what == "tree":
            return "tree: %d files, %.0f MB" % (self.files, size_of(path) / 1e6)
        with open(path, "rb") as file:
            start = file.read(4 * MIB)
        return "%s: %.0f MB, zlib -1 makes its first 4 MiB %.2f times smaller" % (
            what, size_of(path) / 1e6, len(start) / len(zlib.compress(start, 1)))


# A weight's sign and exponent: most are near one size, as those of a trained layer are.
UPPER_BYTES = bytes((i & 0x80) | max(0x30, 0x3C - (i & -i).bit_length()) for i in range(256))


def weights():
    """A MiB of them."""
    out = bytearray(MIB)
    out[0::2] = os.urandom(MIB // 2)
    out[1::2] = os.urandom(MIB // 2).translate(UPPER_BYTES)
    return bytes(out)


def size_of(path):
    if path.is_file():
        return path.stat().st_size
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())


def is_equal(left, right):
    return subprocess.run(["diff", "-rq", "--exclude=.tideway-manifest", left, right], capture_output=True).returncode == 0
