# SPDX-License-Identifier: Apache-2.0
"""DeepSpeed: engine = deepspeed.wrap(engine, to="wisconsin:ckpt/runs/llm7"), once after initialize().

Not run against deepspeed, which Debian 12 lacks: tested with fakes that call it and write files in the order read in its source.
Rank 0 writes `latest` before the closing barrier, so only the return of save_checkpoint() on global rank 0 says complete; a decoupled
checkpoint engine is later still, which the rule of the format and two quiet seconds catch.
"""
from __future__ import annotations

import functools
import os
from typing import Any, Sequence, Union

from ..checkpoints import SETTLE_S, Hook, checked, hand_over
from ..layouts import DEEPSPEED_TRACKER
from .guard import Guard


def _savers(engine: Any) -> int:
    """How many processes save, 0 when not known: all with ZeRO, else the first data-parallel one of each model part."""
    saves_all = getattr(engine, "save_zero_checkpoint", True)
    return int(getattr(engine, "world_size" if saves_all else "mp_world_size", 0) or 0)


def wrap(engine: Any, to: Union[str, Sequence[str]], **options: Any) -> Any:
    """The same engine, whose save_checkpoint() also hands over. The other arguments are those of replicate_checkpoint()."""
    found = checked(to, **{"format": "deepspeed", **options})
    guard = Guard("deepspeed")
    save = engine.save_checkpoint

    def saved(save_dir: Any, tag: Any, saves_latest: bool) -> None:
        path = os.path.join(save_dir, str(tag) if tag is not None else f"global_step{engine.global_steps}")
        is_decoupled = getattr(getattr(engine, "checkpoint_engine", None), "is_decoupled", lambda: False)()
        pointers = found.pointers or ((DEEPSPEED_TRACKER,) if saves_latest else ())
        hook = Hook(settle=SETTLE_S if is_decoupled else 0.0, world=_savers(engine))
        hand_over(path, found._replace(step=int(engine.global_steps), pointers=pointers), hook)

    @functools.wraps(save)
    def save_checkpoint(save_dir: Any, tag: Any = None, client_state: Any = None, save_latest: bool = True, **words: Any) -> Any:
        result = save(save_dir, tag=tag, client_state={} if client_state is None else client_state, save_latest=save_latest, **words)
        if engine.global_rank == 0:
            guard.call(saved, save_dir, tag, save_latest)
        return result

    engine.save_checkpoint = save_checkpoint
    return engine
