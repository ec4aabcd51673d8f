# SPDX-License-Identifier: Apache-2.0
"""stream_checkpoint(): a checkpoint that is sent while it is written, and is published only when it is complete.

    with tideway.stream_checkpoint(path, to="wisconsin:ckpt/runs/llm7") as stream:
        write(file); stream.declare(file, offset, length)

Leaving the block completes it, an exception aborts it. All calls go through the queue. Where the gateway is away, or knows no
streams, the checkpoint goes whole when it is complete, as with replicate_checkpoint().
"""
from __future__ import annotations

import os
import time
from collections import deque
from datetime import datetime
from typing import Any, Deque, Dict, Mapping, Optional, Sequence, Tuple, Union

from . import outbox, settings
from .checkpoints import CheckpointRequest, Hook, Options, checked
from .errors import PASSING, TidewayError
from .jobs import DISABLED
from .notes import note
from .places import AnyPath
from .reach import Reach, reach
from .submissions import new_submission_id
from .tickets import Ticket

RANGES_MAX = 4096  # that wait; what is not declared travels at the end
RANGES_PER_STEP = 64  # so that a stream holds up no other item for long
RETRY_S = 1.0  # until the gateway is asked again
IDLE_S = 60.0  # a declaration or the end of the block wakes it up
PART_MAX_S = 600.0  # by then the gateway has seen by itself that nothing is written any more


class _Range:
    def __init__(self, path: str, offset: int, length: int) -> None:
        self.path, self.offset, self.length = path, offset, length


class StreamRequest(CheckpointRequest):
    def __init__(self, ticket: Ticket, path: str, options: Options) -> None:
        super().__init__(ticket, path, options, Hook())
        self.ranges: Deque[_Range] = deque()
        self.verb = ""  # complete or abort, once the block has ended
        self._id = ""  # of the gateway, once it takes the stream
        self._left = ""  # what it may have of it still, though it goes whole now
        self._opened: Dict[str, Any] = {}  # what it answered then: with a job for each destination
        self._is_refused = self._is_silent = False
        self._parts_until = 0.0

    def step(self) -> Optional[float]:
        line = reach()
        self._is_silent = False
        try:
            if not self._id and not self._is_refused and not self.verb:
                self._open(line)
            for _ in range(min(len(self.ranges), RANGES_PER_STEP) if self._id else 0):
                first = self.ranges[0]
                line.ask("POST", f"{self.target}/{self._id}/ranges", {"path": first.path, "offset": first.offset, "length": first.length})
                self.ranges.popleft()
        except TidewayError as trouble:
            if trouble.code not in PASSING:
                note("stream", trouble)
                self._id, self._is_refused = "", True
            self._is_silent = True
        if self.verb == "abort":
            self._abort(line)
            return None
        if self.verb == "complete" and not (self._id and self.ranges and not self._is_silent):  # some came while others were sent
            return self._complete(line)
        if self._is_refused or (self._id and not self.ranges):
            return IDLE_S
        return 0.0 if self._id and not self._is_silent else RETRY_S

    def is_open(self) -> bool:
        return not self.verb

    def spill(self) -> None:
        if self.verb == "complete":
            super().spill()
        else:
            self.end("failed", "the process ended while it was being written")

    def _open(self, line: Reach) -> None:
        # An id of its own, so that the whole checkpoint can still be handed over under the ticket's.
        answer = line.ask("POST", self.target, {**self.body(line), "submission_id": f"{self.ticket.submission_id}-growing", "growing": True})
        self._opened = answer if isinstance(answer, dict) else {}
        self._id = str(self._opened.get("id", ""))
        self._is_refused = not self._id

    def part(self) -> Optional[float]:
        """One that was complete made room for a newer one: the gateway holds what came of it until it hears so."""
        super().part()
        left = self._id or self._left
        if not left:
            return None
        now = time.monotonic()
        self._parts_until = self._parts_until or now + PART_MAX_S
        try:
            reach().ask("POST", f"{self.target}/{left}/abort")
        except TidewayError as trouble:
            if trouble.code in PASSING and now < self._parts_until:
                return RETRY_S
            note("stream_unsaid", trouble)
        self._id = self._left = ""
        return None

    def _abandon(self, line: Reach) -> None:
        if self._id:
            try:
                line.ask("POST", f"{self.target}/{self._id}/abort")
            except TidewayError as trouble:  # nothing was published, and nothing will be
                note("stream", trouble)
            self._id = ""

    def _abort(self, line: Reach) -> None:
        self._abandon(line)
        self.ticket.on_error(TidewayError("cancelled", f"the writing of {self.path} was abandoned"))

    def _complete(self, line: Reach) -> Optional[float]:
        pause = None if self._is_held else self._hold()
        if self.ticket.state == "failed":
            self._abandon(line)
        if pause is not None or self.ticket.state == "failed":
            return pause
        if not self._id:
            return self.send()
        pin: Dict[str, Any] = {"pin": os.path.basename(self._pin_path)} if self._pin_path else {}
        try:
            line.ask("POST", f"{self.target}/{self._id}/complete", pin)
            self.ticket.on_answer(self._opened, line.gateway)
            return None
        except TidewayError as trouble:
            note("stream", trouble)
            self._id, self._left = "", self._id if trouble.code in PASSING else ""
            return self.send()


class Stream:
    """Thread: one. `ticket` follows the checkpoint as that of replicate_checkpoint() does."""

    def __init__(self, request: Optional[StreamRequest], ticket: Ticket) -> None:
        self._request = request
        self.ticket = ticket

    def declare(self, file: AnyPath, offset: int, length: int) -> None:
        """These bytes of the file, which lies below the checkpoint, will not change any more. Without any declaration a file
        counts as one that only grows."""
        if offset < 0 or length <= 0:
            raise ValueError(f"a range of {length} bytes at {offset} is none")
        request = self._request
        if request is None:
            return
        path = os.path.relpath(file, request.path) if os.path.isabs(file) else os.fspath(file)
        path = "" if path == os.curdir else path  # the checkpoint is that file itself
        last = request.ranges[-1] if request.ranges else None
        if last is not None and last.path == path and last.offset + last.length == offset and len(request.ranges) > 1:
            last.length += length  # not the first one, which may be on its way
        elif len(request.ranges) < RANGES_MAX:
            request.ranges.append(_Range(path, offset, length))
        else:
            note("ranges", f"{RANGES_MAX} ranges of {request.path} wait already; the rest is sent at the end")
        outbox.hurry(request)

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if self._request is not None:
            if kind is None:
                self._request.follow()
            self._request.verb = "complete" if kind is None else "abort"
            outbox.hurry(self._request)


def stream_checkpoint(path: AnyPath, to: Union[str, Sequence[str]], *, series: Optional[str] = None, step: Optional[int] = None,
                      keep: Optional[int] = None, deadline: Optional[datetime] = None, format: str = "auto", rpo: Optional[str] = None,
                      pin: str = "auto", publish: str = "rename", pointers: Sequence[str] = (), supersede: str = "latest",
                      member: Tuple[int, int] = (0, 1), labels: Optional[Mapping[str, str]] = None) -> Stream:
    """Begins to send what is being written to `path`; the other arguments are those of replicate_checkpoint(). Returns at once.

    Errors: ValueError and TypeError for arguments.
    """
    found = checked(to, series=series, step=step, keep=keep, deadline=deadline, format=format, rpo=rpo, pin=pin, publish=publish,
                    pointers=pointers, supersede=supersede, member=member, labels=labels)
    name = new_submission_id()
    if settings.is_disabled():
        return Stream(None, Ticket(name, DISABLED))
    request = StreamRequest(Ticket(name), os.path.abspath(path), found)
    outbox.put(request)
    return Stream(request, request.ticket)
