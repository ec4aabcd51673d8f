# SPDX-License-Identifier: Apache-2.0
"""Phases to a gateway on another host: one sealed datagram of 96 bytes each, as docs/scheduling.md lays it out.

A call seals and sends once; the queue's thread sends the same datagram again a millisecond later, under the same number, because
a lost end costs a time to live.
"""
from __future__ import annotations

import hmac
import os
import socket
import struct
import time
from typing import List, NamedTuple, Sequence, Tuple

from . import outbox, settings
from .board import U32_MAX, U64_MAX, microseconds, site_id, training_id
from .notes import note

BEGIN, END, PREDICT, ALIVE, ITERATION = 1, 2, 3, 4, 5
REPEAT_AFTER_S = 0.001
REPEATS_MAX = 8  # at once; older ones are superseded by newer words of the same source
_MAGIC, _VERSION, _BOTH_DIRECTIONS = 0x54445742, 1, 1
_FIELDS = struct.Struct(">IBBBBQQQIHHQQQIIII")
_TAG_SIZE = 16
KEY_SIZE = 32
KEY_FILE_MAX = 4096  # bytes; two keys may be live, so two lines


class Key(NamedTuple):
    id: int
    bytes: bytes


class Words(NamedTuple):
    """What one announcement says beside its kind and times. Durations are in microseconds; 0: not known."""

    source: int
    sequence: int
    training: int
    destination: int
    member: int
    members: int
    size: int = 0
    duration_us: int = 0
    period_us: int = 0
    jitter_us: int = 0
    ttl_us: int = 0


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


def seal(kind: int, words: Words, sent_ns: int, event_ns: int, key: Key) -> bytes:
    """The datagram. Times are of the calendar clock."""
    plain = _FIELDS.pack(_MAGIC, _VERSION, kind, _BOTH_DIRECTIONS, key.id, words.source, words.sequence, words.training, words.destination,
                         words.member, words.members, sent_ns, event_ns, words.size, words.duration_us, words.period_us, words.jitter_us, words.ttl_us)
    return plain + hmac.digest(key.bytes, plain, "sha256")[:_TAG_SIZE]


class _Repeat(outbox.Item):
    is_small = True

    def __init__(self, line: "BeaconLine", key: str, datagram: bytes) -> None:
        self.key = key
        self._line = line
        self._datagrams = [datagram]

    def absorb(self, newer: outbox.Item) -> None:
        assert isinstance(newer, _Repeat)
        self._datagrams = (self._datagrams + newer._datagrams)[-REPEATS_MAX:]

    def step(self) -> None:
        for datagram in self._datagrams:
            self._line.send(datagram)


class BeaconLine:
    """To all targets. Errors of the constructor: OSError, ValueError; of the calls: none."""

    def __init__(self, targets: Sequence[Tuple[str, int]], key: Key, training: str, dst: str, ttl: float) -> None:
        self._key = key
        self._words = Words(int.from_bytes(os.urandom(8), "big"), 0, training_id(training), site_id(dst), *settings.member(), ttl_us=microseconds(ttl))
        self._sequence = 0
        self._key_of_repeats = f"beacon {self._words.source}"
        self._sockets: List[socket.socket] = []
        for host, port in targets:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            line = socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol)
            self._sockets.append(line)
            line.connect(address)

    def begin(self, size: int) -> None:
        self._say(BEGIN, size=size & U64_MAX)

    def end(self) -> None:
        self._say(END)

    def predict(self, begin_in: float, duration: float, period: float, jitter: float) -> None:
        self._say(PREDICT, max(0, int(begin_in * 1e9)), duration_us=microseconds(duration), period_us=microseconds(period), jitter_us=microseconds(jitter))

    def iteration(self, seconds: float) -> None:
        self._say(ITERATION, duration_us=microseconds(seconds))

    def _say(self, kind: int, ahead_ns: int = 0, **details: int) -> None:
        self._sequence += 1
        words = self._words._replace(sequence=self._sequence, **details)
        now = time.time_ns()
        datagram = seal(kind, words, now, now + ahead_ns, self._key)
        self.send(datagram)
        outbox.put(_Repeat(self, self._key_of_repeats, datagram), REPEAT_AFTER_S)

    def send(self, datagram: bytes) -> None:
        for line in self._sockets:
            try:
                line.send(datagram)
            except OSError as trouble:  # nobody listens, or the queue of the interface is full: then nothing is held back
                note("beacon", trouble)

    def close(self) -> None:
        self.forget()

    def forget(self) -> None:
        for line in self._sockets:
            line.close()
        self._sockets = []
