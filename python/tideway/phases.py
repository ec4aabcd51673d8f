# SPDX-License-Identifier: Apache-2.0
"""phase() and report_iteration(): when a training communicates, told to the gateway so that bulk makes room.

By the phase board if there is one, else by beacons if the environment names whom to tell, else not at all: once in the log, and
tried again each minute. No call raises or blocks.
Thread: one per training and process at a time; a second one that begins and ends counts as the same announcer.
"""
from __future__ import annotations

import atexit
import functools
import os
import socket
import time
from typing import Any, Callable, Dict, Optional, Tuple, TypeVar, Union

from . import outbox, settings
from .beacon import BeaconLine, read_key
from .board import SLOTS, BoardSlot, microseconds
from .errors import TidewayError
from .notes import note
from .reach import reach

RETRY_OPEN_S = 60.0
ITERATIONS_MAX = 64  # that wait at once
PHASES_MAX = SLOTS  # of one process: a board has no more
_Function = TypeVar("_Function", bound=Callable[..., Any])


class _Nowhere:
    """Stands where a board or beacons would be, and looks for them now and then."""

    def __init__(self, phase: "Phase", retry_at: float) -> None:
        self._phase = phase
        self._retry_at = retry_at

    def _is_open(self) -> bool:
        return time.monotonic() >= self._retry_at and self._phase._open()

    def begin(self, size: int) -> None:
        if self._is_open():
            self._phase._line.begin(size)

    def end(self) -> None:
        pass

    def predict(self, begin_in: float, duration: float, period: float, jitter: float) -> None:
        if self._is_open():
            self._phase._line.predict(begin_in, duration, period, jitter)

    def close(self) -> None:
        pass

    def forget(self) -> None:
        pass


class Phase:
    """A training's communication: `with tideway.phase("llm7"): dist.all_reduce(...)`, or as a decorator of a function."""

    def __init__(self, training: str, dst: str, ttl: float) -> None:
        self.training = training
        self._dst, self._ttl = dst, ttl
        self._line: Union[BoardSlot, BeaconLine, _Nowhere] = _Nowhere(self, 0.0)

    def begin(self, bytes: int = 0) -> None:
        """Communication begins; `bytes` is what this site will send, 0 when not known. Of a burst that lasts longer than its time to
        live, call it again."""
        self._line.begin(bytes)

    def end(self) -> None:
        """Communication is over: every byte of it has arrived."""
        self._line.end()

    def predict(self, begin_in: float, *, duration: float = 0.0, period: float = 0.0, jitter: float = 0.0) -> None:
        """The next burst is expected to begin in so many seconds; how long it lasts, from begin to begin, and one sigma."""
        self._line.predict(begin_in, duration, period, jitter)

    def __enter__(self) -> "Phase":
        self._line.begin(0)
        return self

    def __exit__(self, *_: object) -> None:
        self._line.end()

    def __call__(self, function: _Function) -> _Function:
        @functools.wraps(function)
        def announced(*arguments: Any, **options: Any) -> Any:
            with self:
                return function(*arguments, **options)
        return announced  # type: ignore[return-value]

    def close(self) -> None:
        """Gives the slot of the board back, as the end of the process does. A later begin() takes one again."""
        self._line.close()
        self._line = _Nowhere(self, 0.0)

    def _open(self) -> bool:
        self._line = _Nowhere(self, time.monotonic() + RETRY_OPEN_S)
        if settings.is_disabled():
            return False
        if not self.training:
            note("phase", "no training is named; set TIDEWAY_TRAINING")
            return False
        try:
            self._line = BoardSlot(settings.board(), self.training, self._dst, self._ttl)
            return True
        except OSError as trouble:
            board_trouble = trouble
        try:
            if settings.beacon_targets():
                self._line = self.by_beacon(socket.AI_NUMERICHOST)
                return True
            note("phase", f"phases of {self.training} go nowhere: board {settings.board()}: {board_trouble.strerror}; TIDEWAY_BEACON names nobody")
        except socket.gaierror:
            outbox.put(_Lookup(self))
        except (OSError, ValueError) as trouble:
            note("phase", f"phases of {self.training} go nowhere: {trouble}")
        return False

    def by_beacon(self, flags: int) -> BeaconLine:
        """Errors: OSError, ValueError."""
        return BeaconLine(settings.beacon_targets(), read_key(settings.beacon_key_file()), self.training, self._dst, self._ttl, flags)


class _Lookup(outbox.Item):
    """Of names of gateways: the queue's thread waits for a name server, and no training does. Until then what is said goes nowhere."""

    is_small = True

    def __init__(self, phase: Phase) -> None:
        self.key = f"lookup {id(phase)}"
        self._phase = phase
        self._before = phase._line

    def step(self) -> None:
        try:
            line = self._phase.by_beacon(0)
        except (OSError, ValueError) as trouble:
            return note("phase", f"phases of {self._phase.training} go nowhere: {trouble}")
        if self._phase._line is self._before:
            self._phase._line = line
        else:  # it was closed, or is looked for anew
            line.forget()

    def absorb(self, newer: outbox.Item) -> None:
        assert isinstance(newer, _Lookup)
        self._before = newer._before


_phases: Dict[Tuple[str, str, float], Phase] = {}


def phase(name: Optional[str] = None, *, dst: str = "", ttl: float = 0.0) -> Phase:
    """The announcer of a [[training]], by default the one TIDEWAY_TRAINING names; the same object for the same arguments. `dst`:
    the far site, "" for every link of the training; `ttl`: seconds until a burst that nobody ends counts as over, 0 for the
    gateway's 2 s."""
    key = (name or settings.training(), dst, ttl)
    known = _phases.get(key)
    if known is None:
        known = Phase(*key)
        if len(_phases) < PHASES_MAX:
            _phases[key] = known
        else:
            note("phases", f"more than {PHASES_MAX} phases in one process: {key} is closed with its last reference")
    return known


class _Iterations(outbox.Item):
    is_small = True

    def __init__(self, training: str, seconds: float) -> None:
        self.key = f"iteration {training}"
        self._training = training
        self._seconds = [seconds]

    def absorb(self, newer: outbox.Item) -> None:
        assert isinstance(newer, _Iterations)
        self._seconds = (self._seconds + newer._seconds)[-ITERATIONS_MAX:]

    def step(self) -> None:
        try:
            for seconds in self._seconds:
                reach().ask("POST", "/v1/phase", {"training": self._training, "kind": "iteration", "duration_us": microseconds(seconds)})
        except TidewayError as trouble:  # more come with the next iterations
            note("iteration", trouble)


def report_iteration(seconds: float, *, name: Optional[str] = None) -> None:
    """How long one iteration took, from begin to begin: it feeds the interference budget."""
    announcer = phase(name)
    if not announcer.training or settings.is_disabled():
        return
    if isinstance(announcer._line, _Nowhere):
        announcer._line._is_open()
    if isinstance(announcer._line, BeaconLine):
        announcer._line.iteration(seconds)
    else:
        outbox.put(_Iterations(announcer.training, seconds))


def _after_fork() -> None:
    """What is open belongs to the parent; the child takes a slot of its own when it begins itself."""
    for known in _phases.values():
        known._line.forget()
        known._line = _Nowhere(known, 0.0)


def _at_exit() -> None:
    for known in _phases.values():
        known.close()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_at_exit)
