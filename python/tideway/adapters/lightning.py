# SPDX-License-Identifier: Apache-2.0
"""Lightning: Trainer(..., callbacks=[lightning.callback(to="wisconsin:ckpt/runs/llm7")]).

Not run against lightning, which Debian 12 lacks: tested with fakes that call it in the order read in its source. on_save_checkpoint
comes before the write and FSDP goes past CheckpointIO, so trainer.save_checkpoint itself is wrapped, on the instance: ModelCheckpoint
calls it there, and it ends in a barrier. Asynchronous I/O ends later still, which the rule of the format and two quiet seconds catch.
A name without a step, such as the last.ckpt of save_last=True, is left here, as a [[watch]] leaves it: it is written again and again,
and what is published under a name is not replaced.
"""
from __future__ import annotations

import functools
import os
import re
from typing import Any, Optional, Sequence, Union

from ..checkpoints import SETTLE_S, Hook, checked, hand_over
from ..layouts import step_in
from ..notes import note
from .guard import Guard, StepEdges

_VERSION = re.compile(r"-v[0-9]+$")  # behind a name that was taken, which is written again like any other


def callback(to: Union[str, Sequence[str]], *, training: Optional[str] = None, **options: Any) -> Any:
    """A Callback. `training`: also report the length of steps for this [[training]]; the rest as replicate_checkpoint()."""
    try:
        from lightning.pytorch import Callback
    except ImportError:
        from pytorch_lightning import Callback

    found = checked(to, **{"format": "lightning", **options})
    guard, edges = Guard("lightning"), StepEdges(training)

    class TidewayCallback(Callback):  # type: ignore[misc]
        def setup(self, trainer: Any, pl_module: Any, stage: Any = None) -> None:
            guard.call(_wrap, trainer)

        def teardown(self, trainer: Any, pl_module: Any, stage: Any = None) -> None:
            trainer.__dict__.pop("save_checkpoint", None)

        def on_train_batch_end(self, trainer: Any, *_: Any, **__: Any) -> None:
            if training and trainer.is_global_zero:
                guard.call(edges.edge)

    def _wrap(trainer: Any) -> None:
        if "save_checkpoint" in trainer.__dict__:
            return  # validated within a fit: setup comes twice
        save = trainer.save_checkpoint

        @functools.wraps(save)
        def save_checkpoint(filepath: Any, *arguments: Any, **words: Any) -> Any:
            result = save(filepath, *arguments, **words)
            if trainer.is_global_zero and "://" not in str(filepath):
                guard.call(_saved, trainer, filepath)
            return result
        trainer.save_checkpoint = save_checkpoint

    def _saved(trainer: Any, filepath: Any) -> None:
        stem = os.path.splitext(os.path.basename(os.path.abspath(filepath)))[0]
        if step_in(_VERSION.sub("", stem)) is None:
            return note("no_step_in_name", f"{filepath} stays here: what is published is not replaced, so its name must say which step it is")
        io = getattr(getattr(trainer, "strategy", None), "checkpoint_io", None)
        is_later = "Async" in type(io).__name__
        hook = Hook(settle=SETTLE_S if is_later else 0.0, world=int(getattr(trainer, "world_size", 0) or 0))  # DeepSpeed's files are one per process
        hand_over(filepath, found._replace(step=int(trainer.global_step)), hook)

    return TidewayCallback()
