# SPDX-License-Identifier: Apache-2.0
"""What submit() and its relatives give at once: where a request has got to, and how to wait for the rest.

Thread: any.
"""
from __future__ import annotations

import threading
import time
from typing import List, Optional

from . import inbox
from .connection import Gateway
from .errors import TidewayError, error_of
from .jobs import DISABLED, LOOK_MAX_S, OVER, Job

#: In this order, but for `stored`, which stands for `accepted` while there is no gateway. disabled: TIDEWAY_DISABLE was set.
STATES = ("queued", "pinned", "stored", "accepted", "published", "failed", "superseded", DISABLED)
ENDS = frozenset(("published", "failed", "superseded", DISABLED))


class Ticket:
    def __init__(self, submission_id: str, state: str = "queued") -> None:
        self.submission_id = submission_id
        self._changed = threading.Condition()
        self._state = state
        self._jobs: List[Job] = []  # one per destination
        self._inbox = ""
        self._error: Optional[TidewayError] = None

    @property
    def state(self) -> str:
        """As of the last that this process heard; wait() asks for more."""
        return self._state

    @property
    def job(self) -> Optional[Job]:
        """What the gateway made of it, for the first destination; None until it is known to have accepted it."""
        return self._jobs[0] if self._jobs else None

    def __repr__(self) -> str:
        return f"Ticket({self.submission_id!r}, {self._state})"

    def wait(self, state: str = "published", timeout: Optional[float] = None) -> bool:
        """Until it has got to that state or further; False when time (in seconds) is up first, or it was superseded.

        Errors: TidewayError, when the request was refused or its job failed.
        """
        if state not in STATES:
            raise ValueError(f"there is no state {state!r}; one of {', '.join(STATES)}")
        ends = None if timeout is None else time.monotonic() + timeout
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._has_reached(state) or self._state in ("stored", "accepted"), _left(ends))
                if self._error is not None:
                    raise self._error
                if self._has_reached(state):
                    return self._state not in ("superseded", DISABLED)
            if ends is not None and time.monotonic() >= ends:
                return False
            self.refresh()
            if not self._has_reached(state):
                time.sleep(LOOK_MAX_S if ends is None else max(0.0, min(LOOK_MAX_S, ends - time.monotonic())))

    def _has_reached(self, state: str) -> bool:
        return self._state in ENDS or STATES.index(self._state) >= STATES.index(state)

    def refresh(self) -> None:
        """Asks the gateway, or looks into the inbox where it answers; a gateway that is away changes nothing. Errors: TidewayError."""
        try:
            if not self._jobs:
                answer = inbox.read_status(self._inbox, self.submission_id)
                if answer is not None:
                    self.on_answer(answer, Gateway())
            for job in self._jobs:
                if job.state not in OVER and job.refresh().state in OVER and job.state != "published":
                    return self._on_unpublished(job)
            if self._jobs and all(job.state == "published" for job in self._jobs):
                self.on_state("published")
        except TidewayError as trouble:
            if trouble.code != "daemon_unreachable":
                raise

    # ---- events, from the queue's thread ----

    def on_state(self, state: str) -> None:
        with self._changed:
            self._state = state
            self._changed.notify_all()

    def on_stored(self, folder: str) -> None:
        self._inbox = folder
        self.on_state("stored")

    def on_answer(self, answer: object, gateway: Gateway) -> None:
        """Of the API or in the inbox: a problem, or at least the id of the job, of several destinations also their `jobs`."""
        fields = answer if isinstance(answer, dict) else {}
        if "code" in fields or "id" not in fields:
            return self.on_error(error_of(fields))
        names = fields.get("jobs") or [fields["id"]]
        self._jobs = [Job({**fields, "id": name}, gateway) for name in names]
        self.on_state("accepted")

    def _on_unpublished(self, job: Job) -> None:
        if job.fields.get("superseded_by"):
            return self.on_state("superseded")
        error = job.fields.get("error")
        self.on_error(error_of(error) if isinstance(error, dict) else TidewayError("cancelled", f"job {job.id} was cancelled"))

    def on_error(self, error: TidewayError) -> None:
        self._error = error
        self.on_state("failed")


def _left(ends: Optional[float]) -> Optional[float]:
    return None if ends is None else max(0.0, ends - time.monotonic())
