# SPDX-License-Identifier: Apache-2.0
"""Somebody else on the link, who measures what he has to wait: echo.py serve PORT, or echo.py ask ADDRESS PORT.

What asks sends a small datagram 20 times a second until it is ended, and says for each one that came back when it left (CLOCK_MONOTONIC,
seconds) and how long that took.
"""
import socket
import struct
import sys
import time

EACH_S = 0.05
STAMP = struct.Struct("<d")


def serve(port):
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.bind(("", port))
    while True:
        datagram, asker = end.recvfrom(STAMP.size)
        end.sendto(datagram, asker)


def ask(address, port):
    end = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end.connect((address, port))
    next_at = time.monotonic()
    while True:
        end.send(STAMP.pack(time.monotonic()))
        next_at += EACH_S
        while (left := next_at - time.monotonic()) > 0:
            end.settimeout(left)
            try:
                sent_at, = STAMP.unpack(end.recv(STAMP.size))
            except OSError:  # nothing came, or nobody is there yet
                continue
            print("%.6f %.6f" % (sent_at, time.monotonic() - sent_at), flush=True)


if sys.argv[1] == "serve":
    serve(int(sys.argv[2]))
ask(sys.argv[2], int(sys.argv[3]))
