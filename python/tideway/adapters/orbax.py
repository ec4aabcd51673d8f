# SPDX-License-Identifier: Apache-2.0
"""Orbax: AsyncOptions(post_finalization_callback=orbax.callback(directory, to="wisconsin:ckpt/runs/llm7")).

Not run against orbax, which Debian 12 lacks: tested with fakes that call it and write files in the order read in its source. The
callback takes no argument, so the newest finalised step of the directory is the one; unfinished ones have a longer name on POSIX, and
no commit_success.txt elsewhere. What else lies there under a name with a number has neither that nor _CHECKPOINT_METADATA.
"""
from __future__ import annotations

import os
import re
import sys
from typing import Any, Callable, Optional, Sequence, Union

from .. import settings
from ..checkpoints import checked, hand_over
from ..layouts import step_in
from ..places import AnyPath
from .guard import Guard

_UNFINISHED = ".orbax-checkpoint-tmp"
_MARKS = ("_CHECKPOINT_METADATA", "commit_success.txt")
_STEP = re.compile(r"(?:.*[^0-9])?([0-9]+)")


def callback(directory: AnyPath, to: Union[str, Sequence[str]], **options: Any) -> Callable[[], None]:
    """The other arguments are those of replicate_checkpoint()."""
    found = checked(to, **{"format": "orbax", **options})
    guard = Guard("orbax")

    def finalised() -> None:
        if _process() != 0:
            return
        name = newest_step(directory)
        if name is not None:
            hand_over(os.path.join(directory, name), found._replace(step=step_in(name)))
    return lambda: guard.call(finalised)


def newest_step(directory: AnyPath) -> Optional[str]:
    """Its name: a number, with or without a prefix. Errors: OSError."""
    with os.scandir(directory) as entries:
        found = [(_STEP.fullmatch(entry.name), entry) for entry in entries if _UNFINISHED not in entry.name and entry.is_dir()]
    steps = sorted(((int(number.group(1)), entry.path) for number, entry in found if number), reverse=True)
    return next((os.path.basename(path) for _, path in steps if any(os.path.exists(os.path.join(path, mark)) for mark in _MARKS)), None)


def _process() -> int:
    jax = sys.modules.get("jax")
    return int(jax.process_index()) if jax is not None else settings.member()[0]
