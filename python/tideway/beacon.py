# SPDX-License-Identifier: Apache-2.0
"""Phases to a gateway on another host: one sealed datagram of 96 bytes each, as docs/scheduling.md lays it out.

A call seals and sends once; the queue's thread sends the same datagram again some milliseconds later, under the same number, because
a lost end costs a time to live. It looks for itself: to wake it would cost the caller more than all the rest.
"""
from __future__ import annotations

import hashlib
import os
import socket
import struct
import time
from collections import deque
from typing import Deque, List, NamedTuple, Sequence, Tuple

from . import outbox, settings
from .board import U64_MAX, microseconds, site_id, training_id
from .notes import note

BEGIN, END, PREDICT, ALIVE, ITERATION = 1, 2, 3, 4, 5
REPEATS_FOR_S = 10.0  # that nothing was said: then the next word has to wake the thread
REPEATS_MAX = 8  # at once; older ones are superseded by newer words of the same source
_MAGIC, _VERSION, _BOTH_DIRECTIONS = 0x54445742, 1, 1
_FIELDS = struct.Struct(">IBBBBQQQIHHQQQIIII")
_TAG_SIZE = 16
KEY_SIZE = 32
KEY_FILE_MAX = 4096  # bytes; two keys may be live, so two lines


class Key(NamedTuple):
    id: int
    bytes: bytes


def read_key(path: str) -> Key:
    """The first of a file of `[id ]64 hex digits` lines. Errors: OSError; ValueError without the key in its text."""
    with open(path, encoding="ascii") as file:
        words = file.read(KEY_FILE_MAX).split("\n")[0].split()
    try:
        key = Key(int(words[0]) if len(words) == 2 else 1, bytes.fromhex(words[-1]))
    except (ValueError, IndexError):
        key = Key(0, b"")
    if len(key.bytes) != KEY_SIZE or not 0 <= key.id <= 255:
        raise ValueError(f"{path} has no beacon key in its first line; make one with: openssl rand -hex 32")
    return key


class BeaconLine:
    """To all targets. `flags`: of getaddrinfo(), which may take many seconds over a name; AI_NUMERICHOST refuses names. Errors of the
    constructor: OSError, ValueError; of the calls: none."""

    def __init__(self, targets: Sequence[Tuple[str, int]], key: Key, training: str, dst: str, ttl: float, flags: int = 0) -> None:
        # HMAC (RFC 2104) with the key hashed in once, which takes 2 of its 3.4 µs off each call.
        block = key.bytes.ljust(hashlib.sha256().block_size, b"\0")
        self._inner, self._outer = (hashlib.sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))
        self._key_id = key.id
        self.source = int.from_bytes(os.urandom(8), "big")
        self._sequence = 0
        self._whose = (training_id(training), site_id(dst), *settings.member())
        self._ttl_us = microseconds(ttl)
        self._repeats: Deque[bytes] = deque(maxlen=REPEATS_MAX)
        self._last = b""
        self._is_watched, self._said_at = False, 0.0
        self._sockets: List[socket.socket] = []
        for host, port in targets:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=flags)[0]
            line = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
            self._sockets.append(line)
            line.connect(address)

    def begin(self, size: int) -> None:
        self._say(self.seal(BEGIN, time.time_ns(), size=size & U64_MAX))

    def end(self) -> None:
        self._say(self.seal(END, time.time_ns()))

    def predict(self, begin_in: float, duration: float, period: float, jitter: float) -> None:
        self._say(self.seal(PREDICT, time.time_ns(), max(0, int(begin_in * 1e9)), 0, microseconds(duration), microseconds(period), microseconds(jitter)))

    def iteration(self, seconds: float) -> None:
        self._say(self.seal(ITERATION, time.time_ns(), duration_us=microseconds(seconds)))

    def seal(self, kind: int, now_ns: int, ahead_ns: int = 0, size: int = 0, duration_us: int = 0, period_us: int = 0, jitter_us: int = 0) -> bytes:
        """The next datagram. `now_ns` is of the calendar clock, `size` in bytes; 0: not known."""
        self._sequence += 1
        plain = _FIELDS.pack(_MAGIC, _VERSION, kind, _BOTH_DIRECTIONS, self._key_id, self.source, self._sequence, *self._whose, now_ns, now_ns + ahead_ns,
                             size, duration_us, period_us, jitter_us, self._ttl_us)
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(plain)
        outer.update(inner.digest())
        return plain + outer.digest()[:_TAG_SIZE]

    def _say(self, datagram: bytes) -> None:
        self.send(datagram)
        self._last = datagram
        self._repeats.append(datagram)
        if not self._is_watched:
            self._is_watched = True
            outbox.tick(self.repeat)

    def repeat(self) -> bool:
        """The queue thread's: what was said since the last time, once more. False: nothing has been for long, and it need not look again."""
        now = time.monotonic()
        if self._repeats:
            self._said_at = now
        while self._repeats:
            self.send(self._repeats.popleft())
        self._is_watched = bool(self._sockets) and now < self._said_at + REPEATS_FOR_S
        return self._is_watched or bool(self._repeats)

    def send(self, datagram: bytes) -> None:
        for line in self._sockets if datagram else ():
            try:
                line.send(datagram)
            except OSError as trouble:  # nobody listens, or the queue of the interface is full: then nothing is held back
                note("beacon", trouble)

    def close(self) -> None:
        self.send(self._last)  # even where the thread is about to: it may come too late
        self.forget()

    def forget(self) -> None:
        for line in self._sockets:
            line.close()
        self._sockets = []
