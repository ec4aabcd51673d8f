# SPDX-License-Identifier: Apache-2.0
"""Megatron-LM: async_request.add_finalize_fn(megatron.finalizer(args.save, iteration, to=...)), or
save_checkpoint = megatron.wrap_save(save_checkpoint, args.save, to=...).

Not run against Megatron-LM, which Debian 12 lacks: tested with fakes that call it and write files in the order read in its source.
An asynchronous save returns before it is whole; then the rule waits: metadata.json is written by the finaliser only, and for the
legacy layout the tracker behind a barrier.
"""
from __future__ import annotations

import functools
import os
from typing import Any, Callable, Sequence, Union

from .. import settings
from ..checkpoints import Options, checked, hand_over
from ..layouts import MEGATRON_TRACKER
from ..places import AnyPath
from .guard import Guard

_guard = Guard("megatron")


def _options(to: Union[str, Sequence[str]], options: Any) -> Options:
    return checked(to, **{"format": "megatron", "pointers": (MEGATRON_TRACKER,), **options})


def _saved(root: AnyPath, iteration: int, found: Options) -> None:
    if settings.member()[0] == 0:  # every rank calls
        hand_over(os.path.join(root, f"iter_{iteration:07d}"), found._replace(step=iteration))


def finalizer(root: AnyPath, iteration: int, to: Union[str, Sequence[str]], **options: Any) -> Callable[[], None]:
    """What AsyncRequest calls behind its own finalisers. The other arguments are those of replicate_checkpoint()."""
    found = _options(to, options)
    return lambda: _guard.call(_saved, root, iteration, found)


def wrap_save(save_checkpoint: Callable[..., Any], root: AnyPath, to: Union[str, Sequence[str]], **options: Any) -> Callable[..., Any]:
    """A save_checkpoint(iteration, model, ...) that also hands over."""
    found = _options(to, options)

    @functools.wraps(save_checkpoint)
    def wrapped(iteration: int, *arguments: Any, **words: Any) -> Any:
        result = save_checkpoint(iteration, *arguments, **words)
        _guard.call(_saved, root, iteration, found)
        return result
    return wrapped
