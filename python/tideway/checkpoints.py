# SPDX-License-Identifier: Apache-2.0
"""replicate_checkpoint(): the call costs the training one item in a queue; the thread waits until the checkpoint is complete, pins
it, and hands it to the gateway.
"""
from __future__ import annotations

import operator
import os
import time
from datetime import datetime
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from . import outbox, pins, settings
from .copying import time_text
from .departures import Departures, led_to
from .errors import PASSING, TidewayError
from .jobs import DISABLED
from .layouts import Incomplete, Listing, assess, check_format, late_markers, step_in
from .looks import list_files, look_at
from .notes import note
from .places import AnyPath, Place, inbox_above
from .reach import Reach, reach
from .submissions import Request, certain_place, new_submission_id
from .tickets import Ticket

INCOMPLETE_MAX_S = 6 * 3600.0  # an asynchronous save of terabytes takes most of an hour
INCOMPLETE_TOLD_S = 60.0  # longer than behind a barrier; what is wrong for good is told while somebody may still look
LOOK_MIN_S, LOOK_MAX_S = 0.05, 2.0  # between two looks: a fifth of the time waited
SETTLE_S = 2.0  # without change, where a hook comes before the framework is through
_CHANGING = Incomplete("changing", "it goes on changing")


class Options(NamedTuple):
    """The arguments of replicate_checkpoint(), checked."""

    to: Tuple[str, ...]
    series: Optional[str] = None
    step: Optional[int] = None
    keep: Optional[int] = None
    deadline: Optional[datetime] = None
    format: str = "auto"
    rpo: Optional[str] = None
    pin: str = "auto"
    publish: str = "rename"
    pointers: Tuple[str, ...] = ()
    supersede: str = "latest"
    member: Tuple[int, int] = (0, 1)
    labels: Mapping[str, str] = {}


class Hook(NamedTuple):
    """What an adapter knows of the moment it is called in. `settle`: seconds without change to wait for, 0 behind the framework's
    closing barrier; `world`: processes that save, 0 when not known; `is_last`: whether nothing was written since the framework's marker, of an
    adapter that would have seen a save begin."""

    settle: float = 0.0
    world: int = 0
    is_last: Callable[[], bool] = lambda: False


def _whole(name: str, value: Any, least: int) -> Optional[int]:
    """Whatever counts as a whole number, those of numpy, too. Errors: TypeError, ValueError."""
    if value is None:
        return None
    try:
        number = int(operator.index(value))
    except TypeError:
        raise TypeError(f"{name}={value!r}: it has to be a whole number") from None
    if number < least:
        raise ValueError(f"{name}={value!r}: at least {least}")
    return number


def checked(to: Union[str, Sequence[str]], **options: Any) -> Options:
    """Errors: ValueError, TypeError."""
    targets = (to,) if isinstance(to, str) else tuple(to)
    if not targets or any(":" not in target for target in targets):
        raise ValueError(f"to={to!r}: name at least one peer:root/path")
    pointers = options.get("pointers", ())
    found = Options(targets, **options)._replace(pointers=(pointers,) if isinstance(pointers, str) else tuple(pointers),
                                                 labels=dict(options.get("labels") or {}))
    found = found._replace(step=_whole("step", found.step, 0), keep=_whole("keep", found.keep, 1))
    for name, value, kind in (("series", found.series, str), ("rpo", found.rpo, str), ("deadline", found.deadline, datetime)):
        if value is not None and not isinstance(value, kind):
            raise TypeError(f"{name}={value!r}: it has to be a {kind.__name__}")
    for name, value, known in (("pin", found.pin, ("auto", "off")), ("publish", found.publish, ("rename", "marker")),
                               ("supersede", found.supersede, ("latest", "all"))):
        if value not in known:
            raise ValueError(f"{name}={value!r}: one of {', '.join(known)}")
    if not 0 <= found.member[0] < found.member[1]:
        raise ValueError(f"member={found.member!r}: (i, n) with i from 0 to n - 1")
    check_format(found.format)
    return found


class CheckpointRequest(Request):
    target = "/v1/checkpoints"

    def __init__(self, ticket: Ticket, path: str, options: Options, hook: Hook) -> None:
        super().__init__(ticket)
        self.key = options.series or os.path.dirname(path)
        self.path = path
        self._options = options
        self._hook = hook
        self._departures: Optional[Departures] = None  # until it is held
        self._begun = self._same_since = time.monotonic()
        self._seen: Optional[Listing] = None
        self._is_held = self._is_told = False  # complete, and pinned where that can be; told to be incomplete
        self._pin_path = ""

    def follow(self) -> None:
        """What is taken away from now on makes it another checkpoint, and so does another target where its name is a link."""
        self.path = led_to(self.path)
        self._departures = Departures(self.path)
        self._begun = time.monotonic()

    def step(self) -> Optional[float]:
        pause = None if self._is_held else self._hold()
        if pause is not None or self.ticket.state == "failed":
            return pause
        return self.send()

    def body(self, line: Reach) -> Dict[str, Any]:
        place = certain_place(self.path, line)
        options = self._options
        step = options.step if options.step is not None else step_in(os.path.basename(self.path))
        body: Dict[str, Any] = {"submission_id": self.ticket.submission_id, "path": str(place), "to": list(options.to),
                                "series": options.series or os.path.dirname(place.below) or place.root.name or "checkpoints",
                                "format": options.format, "publish": options.publish, "supersede": options.supersede}
        optional = {"step": step, "world": self._hook.world or None, "pin": os.path.basename(self._pin_path), "rpo": options.rpo, "keep": options.keep,
                    "deadline": time_text(options.deadline) if options.deadline else None, "pointers": list(options.pointers),
                    "labels": dict(options.labels), "member": list(options.member) if options.member != (0, 1) else None}
        body.update((name, value) for name, value in optional.items() if value not in (None, "", [], {}))
        return body

    def places(self, body: Mapping[str, Any]) -> List[str]:
        return [body["path"]]

    def inbox(self) -> Optional[str]:
        return inbox_above(self.path)

    def spill(self) -> None:
        if not self._is_held:
            self._hold()
        if self.ticket.state != "failed":  # of what is not complete the gateway asks the rule of its format
            super().spill()

    def spills_at_once(self) -> bool:
        return self._is_held

    def on_refused(self) -> None:
        if self._pin_path:
            pins.drop(self._pin_path)
            self._pin_path = ""

    def _hold(self) -> Optional[float]:
        """Seconds until the next look, or None: it is complete and held, or failed."""
        try:
            listing, read = look_at(self.path)
            if self._departures is not None and self._departures.follow(self.path, listing.names()):
                listing, read = look_at(self.path)  # what left in between is told by neither
            gone = self._departures.missing_in(listing.names()) if self._departures is not None else None
            if gone is not None:
                self._refuse_departed(f"{self.path}: {gone}")
                return None
            times = late_markers(listing) if self._hook.is_last() else {}
            assess(listing.with_times(times), read, self._options.format, world=self._hook.world)
            if self._seen != listing:
                self._seen, self._same_since = listing, time.monotonic()
            left = self._same_since + self._hook.settle - time.monotonic()
            if left > 0:
                return left if self._look_again(_CHANGING) is not None else None
            if self._options.pin == "auto" and not self._pin(certain_place(self.path, reach()), listing, times):
                return self._look_again(_CHANGING)
        except (OSError, Incomplete) as reason:
            if self._departures is not None and self._departures.was_there and _is_missing(self.path):
                self._refuse_departed(self.path)
                return None
            return self._look_again(reason)
        except ValueError as trouble:
            self.refuse(TidewayError("usage", str(trouble)))
            return None
        except TidewayError as trouble:
            if trouble.code not in PASSING:
                self.refuse(trouble)
                return None
            note("unheld", f"where {self.path} is to be held neither a gateway nor an inbox says: {trouble}")
            return self.stay()  # and what departs until then makes it another one
        self._is_held = True
        self._departures = None
        if self._pin_path:
            self.ticket.on_state("pinned")
        return None

    def _refuse_departed(self, what: str) -> None:
        self.refuse(TidewayError("source_vanished", f"{what} was taken away before it could be held", "let the trainer keep more checkpoints than the last one"))

    def _look_again(self, reason: Exception) -> Optional[float]:
        waited = time.monotonic() - self._begun
        if waited > INCOMPLETE_MAX_S:
            self.refuse(TidewayError("not_complete", f"{self.path} is not complete after {INCOMPLETE_MAX_S:.0f} s: {reason}"))
            return None
        if waited > INCOMPLETE_TOLD_S and not self._is_told:
            self._is_told = True
            note("incomplete", f"{self.path} is not complete after {waited:.0f} s: {reason}")
        return min(LOOK_MAX_S, max(LOOK_MIN_S, waited / 5))

    def _pin(self, place: Place, listing: Listing, times: Mapping[str, int]) -> bool:
        """False: it changed meanwhile. Where it cannot be pinned the gateway reads it in place, and tells when it changes. A marker that is known
        to be the last gets a time that says so, since the gateway has nothing else to go by."""
        pin_path = os.path.join(pins.pins_of(place.root.path), self.ticket.submission_id)
        try:
            pins.pin(self.path, listing, pin_path, times)
        except FileNotFoundError as trouble:
            if os.path.isdir(os.path.dirname(pin_path)):
                return False  # the trainer took a file away
            note("unpinned", trouble)
            return True
        except OSError as trouble:
            note("unpinned", trouble)
            return True
        if list_files(self.path) != listing or (times and not self._hook.is_last()):
            pins.drop(pin_path)
            return False
        self._pin_path = pin_path
        return True


def _is_missing(path: str) -> bool:
    """Surely, which it is not when the file system is in trouble."""
    try:
        os.lstat(path)
    except FileNotFoundError:
        return True
    except OSError:
        pass
    return False


def hand_over(path: AnyPath, options: Options, hook: Hook = Hook()) -> Ticket:
    """For adapters: as replicate_checkpoint(), with what they know of the moment."""
    name = new_submission_id()
    if settings.is_disabled():
        return Ticket(name, DISABLED)
    ticket = Ticket(name)
    request = CheckpointRequest(ticket, os.path.abspath(path), options, hook)
    request.follow()
    outbox.put(request)
    return ticket


def replicate_checkpoint(path: AnyPath, to: Union[str, Sequence[str]], *, series: Optional[str] = None, step: Optional[int] = None,
                         keep: Optional[int] = None, deadline: Optional[datetime] = None, format: str = "auto", rpo: Optional[str] = None,
                         pin: str = "auto", publish: str = "rename", pointers: Sequence[str] = (), supersede: str = "latest",
                         member: Tuple[int, int] = (0, 1), labels: Optional[Mapping[str, str]] = None) -> Ticket:
    """Brings a checkpoint that the caller has finished to other sites. Returns at once, whatever state gateway, network and disk are
    in. `to`: peer:root/path, one or several; `series`: which run, by default the parent's path below its root; `step`: by default the
    number in its name; `keep`: newest ones to keep at the target; `rpo`: such as "30m"; `pointers`: files beside it, such as `latest`.

    Errors: ValueError and TypeError for arguments, at once. Everything later is the ticket's.
    """
    return hand_over(path, checked(to, series=series, step=step, keep=keep, deadline=deadline, format=format, rpo=rpo, pin=pin, publish=publish,
                                   pointers=pointers, supersede=supersede, member=member, labels=labels))
