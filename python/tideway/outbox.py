# SPDX-License-Identifier: Apache-2.0
"""What a training hands over without waiting: a queue of at most ITEMS_MAX items and the one thread that works them off.

put() takes a lock that is never held across a system call. Everything that may block (looking, pinning, the socket, the inbox) is a
step of an item, in the thread. A step says how long until the next one, so an item that waits holds up no other. What comes too often for
an item, and must not wake the thread each time, is a tick: called every TICK_S, in between.
A forked child (a data loader's worker) starts with an empty queue and no thread; what the parent had is the parent's.
"""
from __future__ import annotations

import atexit
import os
import queue
import threading
import time
from abc import ABC, abstractmethod
from typing import Callable, List, Optional, Tuple

from . import reach
from .notes import note

ITEMS_MAX = 256
EXIT_FLUSH_S = 5.0  # then what is left goes to inboxes
EXIT_SPILL_S = 2.0
TICK_S = 0.02  # fifty times a second, some 5 µs each


class Item(ABC):
    """Work for the thread. `key`: of several with one key the older ones may be dropped when the queue is full. `is_small`: one that
    waits takes in the newer ones of its key, so that what comes often can never fill the queue."""

    key = ""
    is_small = False

    @abstractmethod
    def step(self) -> Optional[float]:
        """Does what can be done now. Seconds until it wants to go on; None: it is done."""

    def absorb(self, newer: "Item") -> None:
        """Takes over the work of a small one, while it waits itself. Called under the queue's lock."""

    def is_open(self) -> bool:
        """It waits for its owner alone: nobody else can bring it to an end, and it makes no room for others."""
        return False

    def spill(self) -> None:
        """The process ends: to stable storage with it, without a gateway."""

    def spills_at_once(self) -> bool:
        """With one file written; what may take longer gets its turn behind all others."""
        return True

    def end(self, state: str, reason: str) -> None:
        """It goes undone: superseded or failed. By any thread, so it asks neither disk nor gateway."""

    def part(self) -> Optional[float]:
        """A step behind end(): takes leave of whoever knows of it, and removes what was kept for it."""
        return None


class _Entry:
    def __init__(self, item: Item, due: float) -> None:
        self.item = item
        self.due = due  # on the monotonic clock
        self.in_work = False
        self.is_hurried = False  # while in work: what came may not have been seen
        self.is_parting = False  # it goes undone, and has only its leave to take


class Outbox:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._emptied = threading.Condition(self._lock)
        # What wakes the thread: it does not have to take the lock to wake up, so no caller meets it there.
        self._wake: "queue.SimpleQueue[None]" = queue.SimpleQueue()
        self._entries: List[_Entry] = []
        self._ticks: List[Callable[[], bool]] = []
        self._ticked_at = 0.0
        self._thread: Optional[threading.Thread] = None
        self._spills = False

    def put(self, item: Item, delay: float = 0.0) -> None:
        """Its first step comes after `delay` seconds. Never blocks and never raises."""
        dropped: Optional[Item] = None
        state, reason = "superseded", "a newer one of its series came while the queue was full"
        with self._lock:
            is_full = self._is_full()
            if item.is_small or is_full:
                old = next((entry for entry in self._entries if entry.item.key == item.key and not (entry.in_work or entry.is_parting or entry.item.is_open())), None)
                if item.is_small and old is not None:
                    return old.item.absorb(item)
            if is_full:
                if old is not None:
                    self._let_part(old)
                    dropped = old.item
                else:
                    dropped, state, reason = item, "failed", f"{ITEMS_MAX} others wait already"
            if dropped is not item:
                self._entries.append(_Entry(item, time.monotonic() + delay))
        self._awake()
        if dropped is not None:
            note("queue_full", reason)
            dropped.end(state, reason)

    def _is_full(self) -> bool:
        return len(self._entries) >= ITEMS_MAX and sum(not entry.is_parting for entry in self._entries) >= ITEMS_MAX

    def _let_part(self, old: _Entry) -> None:
        """What takes leave has as much room again; more than that stands still with the thread, and the oldest goes without."""
        old.is_parting, old.due = True, 0.0
        parting = [entry for entry in self._entries if entry.is_parting]
        if len(parting) > ITEMS_MAX:
            self._entries.remove(next(entry for entry in parting if not entry.in_work))
            note("left_unsaid", f"{ITEMS_MAX} others take leave already")

    def tick(self, work: Callable[[], bool]) -> None:
        """Has it called by the thread every TICK_S until it says False. Never blocks and never raises."""
        with self._lock:
            self._ticks.append(work)
            self._ticked_at = time.monotonic()
        self._awake()

    def _awake(self) -> None:
        thread = None
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    thread = self._thread = threading.Thread(target=self._run, name="tideway", daemon=True)
        self._wake.put(None)
        if thread is None:
            return
        try:
            thread.start()
        except RuntimeError as trouble:  # no more threads, or the interpreter ends
            note("no_thread", trouble)
            self._thread = None

    def flush(self, timeout: float) -> bool:
        """Tries now what waits for another try. True: nothing is left in memory, but for what is open or has made room."""
        ends = time.monotonic() + timeout
        with self._lock:
            for entry in self._entries:
                entry.due = 0.0
            self._wake.put(None)
            return self._emptied.wait_for(self._has_only_open, max(0.0, ends - time.monotonic()))

    def _has_only_open(self) -> bool:
        return all(entry.is_parting or entry.item.is_open() for entry in self._entries)

    def hurry(self, item: Item) -> None:
        """Something has come for an item that waits."""
        with self._lock:
            for entry in self._entries:
                if entry.item is item:
                    entry.due = 0.0
                    entry.is_hurried = entry.in_work
        self._wake.put(None)

    def spill(self, timeout: float) -> bool:
        """Nothing is tried any more; each item goes to its inbox. True: each had its turn. What only takes leave does so in the time that
        is left then."""
        with self._lock:
            if not self._entries:
                return True
            self._spills = True
            self._wake.put(None)
            self._emptied.wait_for(lambda: not self._entries, timeout)
            return all(entry.is_parting for entry in self._entries)

    def _run(self) -> None:
        while True:
            self._run_ticks()
            entry, left = self._first()
            if entry is None:
                self._sleep(left)
                continue
            pause = self._work(entry, self._spills)
            with self._lock:
                entry.in_work = False
                if pause is None:
                    self._entries.remove(entry)
                else:
                    entry.due = 0.0 if entry.is_hurried else time.monotonic() + pause
                    entry.is_hurried = False
                if self._has_only_open():
                    self._emptied.notify_all()

    def _run_ticks(self) -> None:
        now = time.monotonic()
        if not self._ticks or now < self._ticked_at + TICK_S:
            return
        self._ticked_at = now
        ended = [work for work in self._ticks if not work()]
        if ended:
            with self._lock:
                self._ticks = [work for work in self._ticks if work not in ended]

    def _first(self) -> Tuple[Optional[_Entry], Optional[float]]:
        """What is due, now in work; else how long until something is, None when there is nothing."""
        with self._lock:
            # At the end what is not with the gateway yet comes before leave of it is taken.
            first = min(self._entries, key=lambda entry: (self._spills and (entry.is_parting, not entry.item.spills_at_once()), entry.due), default=None)
            if first is None:
                return None, None
            left = first.due - time.monotonic()
            if left > 0 and not self._spills:
                return None, left
            first.in_work = True
            return first, None

    def _sleep(self, left: Optional[float]) -> None:
        if self._ticks:
            left = TICK_S if left is None else min(left, TICK_S)
        try:
            self._wake.get(timeout=left)
            while True:  # one look is enough for all that came
                self._wake.get_nowait()
        except queue.Empty:
            pass

    @staticmethod
    def _work(entry: _Entry, spills: bool) -> Optional[float]:
        item = entry.item
        try:
            if entry.is_parting:
                pause = item.part()
                return None if spills else pause
            if not spills:
                return item.step()
            item.spill()
        except Exception as trouble:  # a bug of ours must not end the thread, nor the training
            note("internal", repr(trouble))
            if not entry.is_parting:
                item.end("failed", repr(trouble))
                entry.is_parting = True
                return 0.0
        return None


_outbox = Outbox()


def put(item: Item, delay: float = 0.0) -> None:
    _outbox.put(item, delay)


def tick(work: Callable[[], bool]) -> None:
    _outbox.tick(work)


def hurry(item: Item) -> None:
    _outbox.hurry(item)


def flush(timeout: float = EXIT_FLUSH_S) -> bool:
    """Waits until nothing is left in memory, `timeout` seconds at most: it is with the gateway, or on stable storage in an inbox. It does
    not wait for streams that are open.

    False: something is left, because its checkpoint is not complete yet or neither gateway nor inbox takes it.
    """
    reach.retry()
    return _outbox.flush(timeout)


def _at_exit() -> None:
    flush(EXIT_FLUSH_S)
    if not _outbox.spill(EXIT_SPILL_S):
        note("lost_at_exit", "neither gateway nor inbox took what was left in the queue")


def _after_fork() -> None:
    global _outbox
    _outbox = Outbox()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)
