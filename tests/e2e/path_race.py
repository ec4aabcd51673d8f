# SPDX-License-Identifier: Apache-2.0
"""Somebody with a login on the gateway's host, who swaps names for links: path_race.py FOLDER A B [A B ...]

Exchanges each pair of names below FOLDER, again and again, until it is ended, or cannot: then it says which, and ends with 1. Says "swapping"
once each pair was exchanged there and back.
"""
import ctypes
import os
import sys

SYS_RENAMEAT2 = {"x86_64": 316, "aarch64": 276}[os.uname().machine]
EXCHANGE = 2

folder = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
names = [name.encode() for name in sys.argv[2:]]
pairs = list(zip(names[::2], names[1::2]))
library = ctypes.CDLL(None, use_errno=True)


def swap_all():
    for a, b in pairs:
        if library.syscall(SYS_RENAMEAT2, folder, a, folder, b, EXCHANGE) != 0:
            sys.exit(f"cannot swap {a.decode()} and {b.decode()} in {sys.argv[1]}: {os.strerror(ctypes.get_errno())}")


swap_all()
swap_all()
print("swapping", flush=True)
while True:
    swap_all()
