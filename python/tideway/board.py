# SPDX-License-Identifier: Apache-2.0
"""The phase board of a gateway on this host: a slot of shared memory that says whether a training communicates now.

The layout is that of include/tideway/phase.h; a test lets the C header read what is written here. A call is a handful of stores,
no system call and no lock. Stores become visible in program order on x86; elsewhere one may come late, which costs the gateway a
look, because the state alone decides.
"""
from __future__ import annotations

import errno
import fcntl
import mmap
import os
import struct
import time

SLOTS, SLOT_SIZE = 64, 64
_IDLE, _BURST = 0, 1
# In units of their size: u32 words, and u64 words.
_SEQ, _STATE, _DURATION, _PERIOD, _TTL, _DST, _PID, _JITTER = 0, 1, 10, 11, 12, 13, 14, 15
_TRAINING, _BEGIN, _END, _BYTES = 1, 2, 3, 4
U32_MAX, U64_MAX = (1 << 32) - 1, (1 << 64) - 1


def training_id(name: str) -> int:
    """FNV-1a, 64 bits, as board and beacon carry it."""
    found = 0xCBF29CE484222325
    for byte in name.encode():
        found = (found ^ byte) * 0x100000001B3 & U64_MAX
    return found


def site_id(name: str) -> int:
    """FNV-1a, 32 bits; 0 stands for every link of the training."""
    if not name:
        return 0
    found = 0x811C9DC5
    for byte in name.encode():
        found = (found ^ byte) * 0x01000193 & U32_MAX
    return found


def microseconds(seconds: float) -> int:
    return max(0, min(U32_MAX, int(seconds * 1e6)))


class BoardSlot:
    """A slot of the board at `path`, owned until close() or the end of the process by a lock on its bytes.

    Errors: OSError: ENOENT when no gateway has made the board, EACCES when we are not of its group, EUSERS when all slots are taken.
    """

    def __init__(self, path: str, training: str, dst: str, ttl: float) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            board = mmap.mmap(self._fd, SLOTS * SLOT_SIZE)
            slot = memoryview(board)[self._take() * SLOT_SIZE:][:SLOT_SIZE]
        except (OSError, ValueError) as trouble:
            self.forget()
            raise trouble if isinstance(trouble, OSError) else OSError(errno.EPROTO, f"{path} is too short for a phase board") from None
        self._words, self._longs = slot.cast("I"), slot.cast("Q")
        words, longs = self._words, self._longs
        words[_STATE] = _IDLE
        words[_SEQ] = (words[_SEQ] & ~1) + 1 & U32_MAX  # whoever died in between left it odd
        longs[_BEGIN] = longs[_END] = longs[_BYTES] = 0
        words[_DURATION] = words[_PERIOD] = words[_JITTER] = 0
        words[_TTL], words[_DST], words[_PID] = microseconds(ttl), site_id(dst), os.getpid()
        longs[_TRAINING] = training_id(training)
        words[_SEQ] = words[_SEQ] + 1 & U32_MAX

    def _take(self) -> int:
        for index in range(SLOTS):
            lock = struct.pack("hhqqi", fcntl.F_WRLCK, os.SEEK_SET, index * SLOT_SIZE, SLOT_SIZE, 0)
            try:
                fcntl.fcntl(self._fd, fcntl.F_OFD_SETLK, lock)
                return index
            except OSError:
                continue
        raise OSError(errno.EUSERS, "all slots of the phase board are taken")

    def begin(self, size: int) -> None:
        """`size`: bytes that this site will send; 0: not known."""
        words, longs = self._words, self._longs
        words[_SEQ] = words[_SEQ] + 1 & U32_MAX
        longs[_BEGIN] = time.monotonic_ns()
        longs[_BYTES] = size & U64_MAX
        words[_DURATION] = words[_JITTER] = 0  # a prediction's, which are no time to live
        words[_STATE] = _BURST
        words[_SEQ] = words[_SEQ] + 1 & U32_MAX

    def end(self) -> None:
        words, longs, now = self._words, self._longs, time.monotonic_ns()
        words[_SEQ] = words[_SEQ] + 1 & U32_MAX
        expected = longs[_END] if words[_STATE] == _BURST else 0
        longs[_END] = now
        words[_STATE] = _IDLE
        if expected > now:  # of an idle slot, and never of the burst
            longs[_BEGIN] = expected
        words[_SEQ] = words[_SEQ] + 1 & U32_MAX

    def predict(self, begin_in: float, duration: float, period: float, jitter: float) -> None:
        """In a burst it counts from its end on: until then the begin of that burst says until when it holds bulk."""
        words = self._words
        words[_SEQ] = words[_SEQ] + 1 & U32_MAX
        begin = time.monotonic_ns() + max(0, int(begin_in * 1e9))
        if words[_STATE] == _BURST:
            self._longs[_END] = begin
        else:
            self._longs[_BEGIN] = begin
            words[_DURATION], words[_PERIOD], words[_JITTER] = map(microseconds, (duration, period, jitter))
        words[_SEQ] = words[_SEQ] + 1 & U32_MAX

    def close(self) -> None:
        """Gives the slot back; a burst that is under way ends. No other call may follow."""
        self._words[_STATE] = _IDLE
        self._longs[_TRAINING] = 0
        self.forget()

    def forget(self) -> None:
        """Leaves the slot to whoever else has it open: what a forked child does, whose parent owns it."""
        os.close(self._fd)
