# SPDX-License-Identifier: Apache-2.0
"""Keeps our own trouble away from the training: caught, told once per kind, counted, and after FAILURES_MAX in a row the hook is off."""
from __future__ import annotations

import time
from typing import Any, Callable, Optional, TypeVar

from ..notes import note
from ..phases import report_iteration

FAILURES_MAX = 10
_Result = TypeVar("_Result")


class Guard:
    """Thread: one at a time per Guard; a hook has one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._failures = 0  # in a row

    def call(self, function: Callable[..., _Result], *arguments: Any, **options: Any) -> Optional[_Result]:
        """None when it failed, or is off."""
        if self._failures >= FAILURES_MAX:
            return None
        try:
            found = function(*arguments, **options)
            self._failures = 0
            return found
        except Exception as trouble:
            self._failures += 1
            note(f"adapter_{self._name}", repr(trouble))
            if self._failures == FAILURES_MAX:
                note("adapter_disabled", f"{self._name} failed {FAILURES_MAX} times in a row and is off now")
            return None


class StepEdges:
    """From edge to edge is an iteration, and reported as one."""

    def __init__(self, training: Optional[str]) -> None:
        self._training = training
        self._last = 0.0

    def edge(self) -> None:
        now = time.monotonic()
        if self._last:
            report_iteration(now - self._last, name=self._training)
        self._last = now
