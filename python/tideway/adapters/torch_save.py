# SPDX-License-Identifier: Apache-2.0
"""torch.save: the file appears whole or not at all, and is handed over. Run against torch 1.13.1 of Debian 12.

Each step needs a name of its own: what is published under a name is not replaced. One that is saved again under a name without a step
is told (`fixed_name`), and none that waits gives way to it.
For a directory that plain torch.save writes to, a [[watch]] of the gateway with format "torch" needs no change of the training.
"""
from __future__ import annotations

import errno
import os
from typing import Any, Optional, Sequence, Union

from ..checkpoints import checked, hand_over
from ..layouts import step_in
from ..notes import note
from ..places import AnyPath
from ..tickets import Ticket
from .guard import Guard

_guard = Guard("torch_save")


def save(obj: object, path: AnyPath, to: Union[str, Sequence[str]], **options: Any) -> Optional[Ticket]:
    """torch.save(obj, path) through a temporary file beside it, on stable storage when it returns; then as replicate_checkpoint().

    Errors: those of torch.save and of the file system; ValueError for arguments, before anything is written.
    """
    import torch

    found = checked(to, **{"format": "torch", **options})
    name = os.fspath(path)
    if step_in(os.path.basename(name)) is None:
        found = found._replace(supersede="all")
        if os.path.exists(name):
            note("fixed_name", f"{name} is saved again: what is published under that name is not replaced, so give each step a name of its own")
    temporary = os.path.join(os.path.dirname(name), f".{os.path.basename(name)}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(obj, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, name)
        _sync_folder(os.path.dirname(name) or os.curdir)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    return _guard.call(hand_over, path, found)


def _sync_folder(folder: str) -> None:
    """Until then a loss of power may take the name away. Some network file systems know no such thing, and need it not."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as trouble:
        if trouble.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
