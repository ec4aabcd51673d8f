# SPDX-License-Identifier: Apache-2.0
"""What the queue hands to the gateway: by the socket, else by the inbox, else again later. And submit().

A request carries its submission_id from the start, so sending it twice, or by both ways, is one job.
Thread: the queue's, but for submit().
"""
from __future__ import annotations

import os
import time
import uuid
from abc import abstractmethod
from typing import Any, Dict, List, Mapping, Optional, Sequence

from . import inbox, outbox, settings
from .errors import PASSING, TidewayError
from .jobs import DISABLED, LOOK_MAX_S, LOOK_MIN_S
from .notes import note
from .places import Place, Root, inbox_above, is_named, place_below, root_of_inbox
from .reach import PAUSE_MAX_S, PAUSE_MIN_S, Reach, reach
from .tickets import ENDS, Ticket


def new_submission_id() -> str:
    return uuid.uuid4().hex


class Request(outbox.Item):
    """Something that gets a ticket."""

    target = ""  # of the API

    def __init__(self, ticket: Ticket) -> None:
        self.ticket = ticket
        self._pause = PAUSE_MIN_S

    @abstractmethod
    def body(self, line: Reach) -> Dict[str, Any]:
        """What is sent. Errors: TidewayError."""

    @abstractmethod
    def places(self, body: Mapping[str, Any]) -> List[str]:
        """What of it names places of files."""

    @abstractmethod
    def inbox(self) -> Optional[str]:
        """Where it is left while there is no gateway."""

    def on_refused(self) -> None:
        """It will not be sent; what was kept for it may go."""

    def part(self) -> Optional[float]:
        self.on_refused()
        return None

    def end(self, state: str, reason: str) -> None:
        if state == "failed":
            self.ticket.on_error(TidewayError("overloaded", reason))
        else:
            self.ticket.on_state(state)

    def send(self) -> Optional[float]:
        """A step: seconds until the next try, or None when it is through. Where the gateway knows the files by another path than we do, as
        from within a container, only the inbox among them says to it which they are."""
        line = reach()
        try:
            body = self.body(line)
            if all(map(is_named, self.places(body))):
                self.ticket.on_answer(line.ask("POST", self.target, body), line.gateway)
                return None
            line.ask("GET", "/v1/roots")  # if it does not answer, that is told
        except TidewayError as trouble:
            if trouble.code not in PASSING:
                self.refuse(trouble)
                return None
            note("gateway_away", trouble)
        return None if self.store() else self.stay()

    def stay(self) -> float:
        """In memory; seconds until the next try."""
        pause, self._pause = self._pause, min(PAUSE_MAX_S, 2 * self._pause)
        return pause

    def refuse(self, trouble: TidewayError) -> None:
        note("refused", trouble)
        self.on_refused()
        self.ticket.on_error(trouble)

    def store(self) -> bool:
        """To the inbox."""
        folder = self.inbox()
        if folder is None:
            note("no_inbox", f"no gateway answers at {settings.api_socket()}, and there is no inbox: it stays in memory")
            return False
        try:
            inbox.write(folder, self.ticket.submission_id, self.body(reach()))
        except (OSError, ValueError, TidewayError) as trouble:
            note("inbox", trouble)
            return False
        self.ticket.on_stored(folder)
        return True

    def spill(self) -> None:
        if not self.store():
            self.end("failed", "the process ended before gateway or inbox took it")
            self.on_refused()


def place_of(path: str, line: Reach) -> Optional[Place]:
    """Below which root it lies: as the gateway says, else by the inbox above it. None: neither knows one."""
    path = os.path.realpath(path)
    try:
        line.refresh_roots()
    except TidewayError as trouble:
        if trouble.code not in PASSING:
            note("roots", trouble)
    known = place_below(path, line.roots)
    if known is not None:
        return known
    folder = inbox_above(path)
    return place_below(path, [Root("", root_of_inbox(folder))]) if folder is not None else None


def certain_place(path: str, line: Reach) -> Place:
    """Errors: TidewayError: why the gateway does not answer, or usage when no root of it holds the path."""
    place = place_of(path, line)
    if place is None:
        line.ask("GET", "/v1/roots")  # if it does not answer, that is the reason
        place = place_of(path, line)  # it does, by now, and only what it says counts
    if place is None:
        raise TidewayError("usage", f"{path} lies below no root of the gateway", "see GET /v1/roots, or write root:path")
    return place


class _Submission(Request):
    target = "/v1/jobs"

    def __init__(self, ticket: Ticket, spec: Mapping[str, Any]) -> None:
        super().__init__(ticket)
        self._spec = dict(spec)

    def step(self) -> Optional[float]:
        return self.send()

    def body(self, line: Reach) -> Dict[str, Any]:
        return {**self._spec, "sources": [self._address(source, line) for source in self._spec["sources"]],
                "destination": self._address(self._spec["destination"], line), "submission_id": self.ticket.submission_id}

    def places(self, body: Mapping[str, Any]) -> List[str]:
        return [*body["sources"], body["destination"]]

    def inbox(self) -> Optional[str]:
        paths = [os.fspath(path) for path in (*self._spec["sources"], self._spec["destination"])]
        local = next((path for path in paths if not is_named(path)), None)
        return inbox_above(os.path.realpath(local)) if local is not None else settings.inbox()

    @staticmethod
    def _address(path: Any, line: Reach) -> str:
        text = os.fspath(path)
        if is_named(text):
            return str(text)
        place = certain_place(text, line)
        return str(place) + ("/" if text.endswith("/") and place.below else "")


class _BehindOthers(_Submission):
    """Goes when others have ended, well or not."""

    def __init__(self, ticket: Ticket, spec: Mapping[str, Any], others: Sequence[Ticket]) -> None:
        super().__init__(ticket, spec)
        self._others = list(others)
        self._begun = time.monotonic()

    def step(self) -> Optional[float]:
        for other in self._others:
            try:
                other.refresh()
            except TidewayError as trouble:
                note("behind_others", trouble)
        self._others = [other for other in self._others if other.state not in ENDS]
        if self._others:
            return min(LOOK_MAX_S, max(LOOK_MIN_S, (time.monotonic() - self._begun) / 10))
        return self.send()


def submit_behind(others: Sequence[Ticket], spec: Mapping[str, Any]) -> Ticket:
    """As submit(), when all the others have ended; at the end of the process it does not wait for them."""
    ticket = Ticket(new_submission_id(), DISABLED if settings.is_disabled() else "queued")
    if ticket.state != DISABLED:
        outbox.put(_BehindOthers(ticket, spec, others))
    return ticket


def submit(spec: Mapping[str, Any], *, submission_id: Optional[str] = None) -> Ticket:
    """Leaves a job to the gateway, as POST /v1/jobs takes it: at least {"sources": [...], "destination": ...}; places as in
    copy(). Returns at once. The same submission_id with the same spec is the same job.

    Errors: ValueError, for a spec without these two or an id that is no file name of at most 128 bytes.
    """
    if not spec.get("sources") or isinstance(spec["sources"], (str, bytes)) or not spec.get("destination"):
        raise ValueError('a spec needs "sources", a list, and "destination"')
    name = submission_id or new_submission_id()
    if not 0 < len(name.encode()) <= 128 or "/" in name or name.startswith("."):
        raise ValueError(f"{name!r} is no submission id: a name without / of at most 128 bytes")
    if settings.is_disabled():
        return Ticket(name, DISABLED)
    ticket = Ticket(name)
    outbox.put(_Submission(ticket, spec))
    return ticket
