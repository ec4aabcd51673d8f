# SPDX-License-Identifier: Apache-2.0
"""A job of the gateway, and the stream of its events.

Thread: one at a time per Job.
"""
from __future__ import annotations

import json
import time
from datetime import datetime
from typing import Any, Dict, Iterator, Mapping, Optional

from . import settings
from .connection import Gateway
from .errors import PASSING, TidewayError, error_of

OVER = frozenset(("published", "failed", "cancelled"))
DISABLED = "disabled"  # the state of a job that TIDEWAY_DISABLE kept from being one
SILENT_S = 40.0  # the gateway says something every 15 s, so a stream that is silent for longer is dead
LOOK_MIN_S, LOOK_MAX_S = 0.005, 0.5  # between two looks: a tenth of the time waited
RECONNECT_FOR_S = 60.0  # a gateway that starts again takes seconds; its jobs outlive that
_ALL_EVENTS = "0"  # they are numbered from 1


class _Outage:
    """How long the gateway has not answered."""

    def __init__(self) -> None:
        self._since: Optional[float] = None

    def ends(self) -> None:
        self._since = None

    def goes_on(self, trouble: TidewayError) -> None:
        """Raises what it is given when it will not pass, or has not for too long."""
        self._since = self._since or time.monotonic()
        if trouble.code not in PASSING or time.monotonic() > self._since + RECONNECT_FOR_S:
            raise trouble


class Job:
    """What the gateway knows of a job, as of the last call that asked it."""

    def __init__(self, fields: Mapping[str, Any], gateway: Optional[Gateway] = None) -> None:
        self._gateway = gateway or Gateway()
        self._fields: Dict[str, Any] = dict(fields)

    @property
    def id(self) -> str:
        return str(self._fields.get("id", ""))

    @property
    def state(self) -> str:
        """queued, running, waiting, paused, published, failed, cancelled; or disabled."""
        return str(self._fields.get("state", "queued"))

    @property
    def reason(self) -> str:
        """Why it waits or failed: an error code, or a word such as `every`."""
        for name, key in (("wait", "reason"), ("error", "code")):
            inner = self._fields.get(name)
            if isinstance(inner, dict) and inner.get(key):
                return str(inner[key])
        return ""

    @property
    def eta(self) -> Optional[datetime]:
        """When it is expected to be there, in UTC; None where the gateway does not say."""
        text = self._fields.get("eta")
        return datetime.fromisoformat(text.replace("Z", "+00:00")) if isinstance(text, str) else None

    @property
    def fields(self) -> Dict[str, Any]:
        """The whole job as in the API: spec, progress, outcome and the rest."""
        return self._fields

    def __repr__(self) -> str:
        return f"Job({self.id!r}, {self.state})"

    def refresh(self) -> "Job":
        """Asks the gateway. Errors: TidewayError."""
        return self._take(self._gateway.ask("GET", self._target()))

    def pause(self) -> None:
        self._take(self._gateway.ask("POST", self._target("/pause")))

    def resume(self) -> None:
        self._take(self._gateway.ask("POST", self._target("/resume")))

    def cancel(self) -> None:
        self._take(self._gateway.ask("POST", self._target("/cancel")))

    def wait(self, timeout: Optional[float] = None) -> "Job":
        """Until it is published; `timeout` in seconds. It goes on through a restart of the gateway of up to a minute.

        Errors: TidewayError with the job's own code when it failed or was cancelled, `deadline` when time is up.
        """
        begun = time.monotonic()
        outage = _Outage()
        while self.state not in OVER and not settings.is_disabled() and self.state != DISABLED:
            waited = time.monotonic() - begun
            if timeout is not None and waited >= timeout:
                raise TidewayError("deadline", f"job {self.id} is {self.state} after {timeout} s", "it goes on; wait again, or cancel it")
            try:
                if self.refresh().state in OVER:
                    break
                outage.ends()
            except TidewayError as trouble:
                outage.goes_on(trouble)
            pause = min(LOOK_MAX_S, max(LOOK_MIN_S, waited / 10))
            time.sleep(pause if timeout is None else max(0.0, min(pause, timeout - waited)))
        if self.state in ("failed", "cancelled"):
            error = self._fields.get("error")
            raise error_of(error) if isinstance(error, dict) else TidewayError("cancelled", f"job {self.id} was cancelled")
        return self

    def events(self) -> Iterator[Dict[str, Any]]:
        """Each change of state from its beginning (a day back at most), and progress each second while it runs, to its end:
        {"event": "state" or "progress", "id": number or None, "job": the job}. A broken connection goes on where it was.

        Errors: TidewayError.
        """
        last, outage = _ALL_EVENTS, _Outage()
        while not settings.is_disabled() and self.state != DISABLED:
            try:
                for event in self._read_events(last):
                    outage.ends()
                    last = event["id"] or last
                    self._take(event["job"])
                    yield event
                if self.refresh().state in OVER:
                    return
            except TidewayError as trouble:
                outage.goes_on(trouble)
            time.sleep(LOOK_MAX_S)

    def _target(self, verb: str = "") -> str:
        return f"/v1/jobs/{self.id}{verb}"

    def _take(self, answer: object) -> "Job":
        if isinstance(answer, dict):
            self._fields = answer
        return self

    def _read_events(self, last: str) -> Iterator[Dict[str, Any]]:
        with Gateway(self._gateway.path, SILENT_S).stream(self._target("/events"), last) as lines:
            kind, number, data = "", None, ""
            for line in lines:
                name, _, value = line.decode("utf-8", "replace").rstrip("\r\n").partition(": ")
                if name == "event":
                    kind = value
                elif name == "id":
                    number = value
                elif name == "data":
                    data += value
                elif not name and data:
                    yield {"event": kind, "id": number, "job": json.loads(data)}
                    kind, number, data = "", None, ""
