# SPDX-License-Identifier: Apache-2.0
"""Hugging Face Trainer: Trainer(..., callbacks=[hf.callback(to="wisconsin:ckpt/runs/llm7")]).

Not run against transformers, which Debian 12 lacks: tested with fakes that call it and write files in the order read in its source.
on_save comes before the other ranks are through and, in older versions, before the rng files, so the queue waits for the rule of
the format and for two quiet seconds.
"""
from __future__ import annotations

import os
from typing import Any, Optional, Sequence, Union

from ..checkpoints import SETTLE_S, Hook, checked, hand_over
from .guard import Guard, StepEdges


def callback(to: Union[str, Sequence[str]], series: Optional[str] = None, *, training: Optional[str] = None, **options: Any) -> Any:
    """A TrainerCallback. `training`: also report the length of steps for this [[training]]; the rest as replicate_checkpoint()."""
    from transformers import TrainerCallback

    found = checked(to, series=series, **{"format": "hf", **options})
    guard, edges = Guard("hf"), StepEdges(training)

    class TidewayCallback(TrainerCallback):  # type: ignore[misc]
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                guard.call(_saved, args, state)

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if training and state.is_world_process_zero:
                guard.call(edges.edge)

    def _saved(args: Any, state: Any) -> None:
        path = os.path.join(args.output_dir, f"checkpoint-{state.global_step}")
        hook = Hook(settle=SETTLE_S, world=int(getattr(args, "world_size", 0) or 0))
        hand_over(path, found._replace(step=int(state.global_step)), hook)

    return TidewayCallback()
