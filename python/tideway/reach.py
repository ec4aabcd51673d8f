# SPDX-License-Identifier: Apache-2.0
"""The gateway as the queue's thread sees it: asked with little patience, and left alone for a while after it did not answer.

Thread: the queue's.
"""
from __future__ import annotations

import time
from typing import Any, Dict, List, Mapping, Optional

from . import settings
from .connection import Gateway
from .errors import TidewayError
from .places import Root, roots_of

TIMEOUT_S = 0.2  # a gateway that is well answers a submission in milliseconds
PAUSE_MIN_S, PAUSE_MAX_S = 1.0, 60.0  # after no answer; doubled each time
ROOTS_GOOD_FOR_S = 60.0  # they change with a reload of the gateway


class Reach:
    def __init__(self, path: str) -> None:
        self.gateway = Gateway(path, TIMEOUT_S)
        self.roots: List[Root] = []  # as last heard
        self._roots_until = self._silent_until = 0.0
        self._pause = PAUSE_MIN_S

    def ask(self, method: str, target: str, body: Optional[Mapping[str, Any]] = None) -> Any:
        """Errors: TidewayError, at once while the gateway is left alone."""
        now = time.monotonic()
        if now < self._silent_until:
            raise TidewayError("daemon_unreachable", f"the gateway at {self.gateway.path} did not answer lately")
        try:
            answer = self.gateway.ask(method, target, body)
        except TidewayError as trouble:
            if trouble.code == "daemon_unreachable":
                self._silent_until = time.monotonic() + self._pause
                self._pause = min(PAUSE_MAX_S, 2 * self._pause)
            raise
        self._pause = PAUSE_MIN_S
        return answer

    def refresh_roots(self) -> None:
        """Errors: TidewayError; `roots` stays as it was."""
        if time.monotonic() >= self._roots_until:
            self.roots = roots_of(self)
            self._roots_until = time.monotonic() + ROOTS_GOOD_FOR_S

    def retry(self) -> None:
        self._silent_until = 0.0


_known: Dict[str, Reach] = {}


def reach() -> Reach:
    """Of the socket that the environment names now."""
    path = settings.api_socket()
    return _known.setdefault(path, Reach(path))


def retry() -> None:
    for known in list(_known.values()):
        known.retry()
