# SPDX-License-Identifier: Apache-2.0
"""torch.distributed.checkpoint: a writer that hands over what it finished, and a reader that first brings back what is missing.

    save_state_dict(state, wrap_writer(FileSystemWriter, to="wisconsin:ckpt/runs/llm7")(path))

DCP's own format stays. Run against torch 1.13.1 of Debian 12 (torch.distributed._shard.checkpoint, one process and two over gloo);
the names of torch 2 are the same and were met only in its source.
"""
from __future__ import annotations

import fcntl
import os
from typing import Any, Callable, Dict, Optional, Sequence, Tuple, Union

from ..checkpoints import Hook, Options, checked, hand_over
from ..restoring import restore
from .guard import Guard

_begun = 0  # saves of which this process was the coordinator


def wrap_writer(cls: type, to: Union[str, Sequence[str]], **options: Any) -> type:
    """A subclass of a StorageWriter with a `path`. The other arguments are those of replicate_checkpoint().

    DCP calls finish() on the coordinator alone, when the results of all ranks are in; with async_save in another thread or process,
    so nothing is shared with the caller but what is in the instance. It makes the plan of a save there, too, before any rank writes. So until
    the next one begins the marker is known to be the last, whatever the clocks of the ranks say; who saves into one directory again does so
    by such a writer each time.
    """
    return _writer_class(cls, checked(to, **{"format": "dcp", **options}))


def _writer_class(cls: type, options: Options) -> type:
    guard = Guard("dcp")

    class Writer(cls):  # type: ignore[misc]
        def prepare_global_plan(self, *arguments: Any, **words: Any) -> Any:
            global _begun
            _begun += 1
            self.tideway_save = _begun
            return super().prepare_global_plan(*arguments, **words)

        def finish(self, *arguments: Any, **words: Any) -> Any:
            result = super().finish(*arguments, **words)
            own = getattr(self, "tideway_save", None) if getattr(self, "use_collectives", True) else None  # without, each rank ends by itself
            self.tideway_ticket = guard.call(lambda: hand_over(self.path, options, Hook(is_last=lambda: own == _begun)))
            return result

        def __reduce__(self) -> Tuple[Callable[..., Any], Tuple[Any, ...]]:
            state = {name: value for name, value in self.__dict__.items() if not name.startswith("tideway_")}
            return _revive, (cls, options, state)

    Writer.__name__ = Writer.__qualname__ = f"Tideway{cls.__name__}"
    return Writer


def _revive(cls: type, options: Options, state: Dict[str, Any]) -> Any:
    made: Any = _writer_class(cls, options)
    instance = made.__new__(made)
    instance.__dict__.update(state)
    return instance


def wrap_reader(cls: type, series: str, *, step: Optional[int] = None, fallback: bool = False, timeout: Optional[float] = None) -> type:
    """A subclass of a StorageReader with a `path` below a root of the gateway. What is not there is restored when DCP asks for the
    metadata; it blocks, and raises TidewayError when there is nothing to load. Of the ranks that share a file system one restores."""

    class Reader(cls):  # type: ignore[misc]
        def read_metadata(self, *arguments: Any, **words: Any) -> Any:
            _bring(os.fspath(self.path), lambda: restore(series, self.path, step=step, fallback=fallback, timeout=timeout))
            return super().read_metadata(*arguments, **words)

    Reader.__name__ = Reader.__qualname__ = f"Tideway{cls.__name__}"
    return Reader


def _bring(path: str, restores: Callable[[], Any]) -> None:
    marker = os.path.join(path, ".metadata")
    if os.path.exists(marker):
        return
    parent, name = os.path.split(os.path.abspath(path))
    os.makedirs(parent, exist_ok=True)
    with open(os.path.join(parent, f".{name}.restoring"), "w", encoding="ascii") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        if not os.path.exists(marker):
            restores()
