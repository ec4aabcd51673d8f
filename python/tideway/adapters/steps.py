# SPDX-License-Identifier: Apache-2.0
"""Optimizers: what their steps tell of a training.

    ddp.report_steps(optimizer, training="llm7")      # how long iterations take
    ddp.announce_steps(outer_optimizer, "llm7")       # whose step() communicates, as the outer one of DiLoCo

Run against torch 1.13.1 of Debian 12, with a scheduler of learning rates on top; the hooks of torch 2 were met only in its source.
"""
from __future__ import annotations

import functools
import types
from typing import Any, Callable, Optional

from ..phases import phase
from .guard import Guard, StepEdges


def _wrap_step(optimizer: Any, around: Callable[[Callable[[], Any]], Any]) -> None:
    """Puts `around` about step(), as a method: schedulers of learning rates wrap it once more, and ask whose it is."""
    step = optimizer.step

    @functools.wraps(getattr(step, "__func__", step))
    def wrapped(_: Any, *arguments: Any, **words: Any) -> Any:
        return around(lambda: step(*arguments, **words))
    optimizer.step = types.MethodType(wrapped, optimizer)


def announce_steps(optimizer: Any, training: Optional[str] = None, *, dst: str = "", ttl: float = 0.0) -> None:
    """A burst from the begin of each step() to its end, however it ends; the rest is phase()'s."""
    guard, announcer = Guard("announce"), phase(training, dst=dst, ttl=ttl)

    def around(step: Callable[[], Any]) -> Any:
        guard.call(announcer.begin)
        try:
            return step()
        finally:
            guard.call(announcer.end)
    _wrap_step(optimizer, around)


def report_steps(optimizer: Any, training: Optional[str] = None) -> None:
    """Reports the time from step to step as the length of an iteration: by a hook of torch 2, else by wrapping step()."""
    guard, edges = Guard("steps"), StepEdges(training)

    def around(step: Callable[[], Any]) -> Any:
        result = step()
        guard.call(edges.edge)
        return result
    if hasattr(optimizer, "register_step_post_hook"):
        optimizer.register_step_post_hook(lambda *_: guard.call(edges.edge))
    else:
        _wrap_step(optimizer, around)
