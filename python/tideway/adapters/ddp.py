# SPDX-License-Identifier: Apache-2.0
"""Torch DDP: when gradients cross the network, announced with no change to the loop. Optimizers are steps.py's.

    model.register_comm_hook(*ddp.comm_hook(training="llm7"))
    ddp.report_steps(optimizer, training="llm7")

Run against torch 1.13.1 of Debian 12, two processes over gloo. A future of gloo is done when the data is there. One of NCCL is done
when the work is on its stream, so with NCCL the end comes too early; its profiler plug-in is the source to use there.
"""
from __future__ import annotations

import functools
import threading
from typing import Any, Callable, Optional, Tuple

from ..phases import Phase, phase
from .guard import Guard
from .steps import announce_steps, report_steps

__all__ = ["announce_steps", "comm_hook", "report_steps"]


class _Bursts:
    """The state that DDP hands to the hook. A burst lasts from its first bucket, and DDP sends them in order, to the end of the last
    one, which another thread tells; that may be late, and must not end the next burst."""

    def __init__(self, announcer: Phase, hook: Callable[[Any, Any], Any], hook_state: Any) -> None:
        self.hook, self.hook_state = hook, hook_state
        self.guard = Guard("ddp")
        self._announcer = announcer
        self._turn = threading.Lock()
        self._number = 0
        self._size = self._size_before = 0  # bytes of gradients, in this burst and in the one before

    def on_bucket(self, bucket: Any) -> None:
        if bucket.index() == 0:
            with self._turn:
                self._number += 1
                self._size_before, self._size = self._size, 0
                self._announcer.begin(self._size_before)
        buffer = bucket.buffer()
        self._size += buffer.numel() * buffer.element_size()

    def end_with(self, future: Any) -> None:
        future.add_done_callback(functools.partial(self.guard.call, self._on_last, self._number))

    def _on_last(self, number: int, _: Any) -> None:
        with self._turn:
            if number == self._number:
                self._announcer.end()


def _announced(state: _Bursts, bucket: Any) -> Any:
    state.guard.call(state.on_bucket, bucket)
    future = state.hook(state.hook_state, bucket)
    if bucket.is_last():
        state.guard.call(state.end_with, future)
    return future


_announced.__annotations__ = {}  # DDP refuses a hook with others than its own


def comm_hook(training: Optional[str] = None, *, dst: str = "", ttl: float = 0.0, hook: Optional[Callable[[Any, Any], Any]] = None,
              hook_state: Any = None) -> Tuple[Any, Callable[[Any, Any], Any]]:
    """(state, hook) for register_comm_hook(). `hook`, by default DDP's own all-reduce, does the work; the rest is phase()'s."""
    if hook is None:
        from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
        hook = allreduce_hook
    return _Bursts(phase(training, dst=dst, ttl=ttl), hook, hook_state), _announced
