# SPDX-License-Identifier: Apache-2.0
"""restore(): GPUs wait for it, so it blocks, and its job is of the class that goes first."""
from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

from . import inbox, settings
from .connection import Gateway
from .errors import TidewayError, error_of
from .jobs import LOOK_MIN_S, Job
from .places import AnyPath, Root, address_of, inbox_above, is_named, place_below, root_of_inbox, roots_of
from .submissions import new_submission_id

ANSWERED_S = 60.0  # by then all peers have said what they have


def restore(series: str, dst: AnyPath, *, step: Optional[int] = None, include: Sequence[str] = ("**",), fallback: bool = False,
            timeout: Optional[float] = None) -> Path:
    """Brings the newest complete checkpoint of a series, or that of `step`, to `dst`, a path below a root of the gateway, from
    wherever it is published. Instead of a series: peer:root/run, or any:root/run for a run that any peer may have. `include`: only these
    names below it; `fallback`: the next good one when this cannot be verified; `timeout`: seconds. Returns where it is. Where the gateway knows the root by another path than we do, as from within a container, the
    inbox in it says which one is meant.

    Errors: TidewayError; hash_mismatch (8) names the next good step, deadline (11) leaves the job going on.
    """
    if settings.is_disabled():
        return Path(dst)
    begun = time.monotonic()
    gateway = Gateway()
    place, folder = _place(dst, gateway)
    request: Dict[str, Any] = {"from" if is_named(series) else "series": series, "step": "latest" if step is None else step, "dst": place,
                               "include": list(include), "fallback": fallback, "patience": "command"}
    answer = gateway.ask("POST", "/v1/restore", request) if folder is None else _ask_by_inbox(folder, request, timeout)
    Job(answer, gateway).wait(None if timeout is None else max(0.0, timeout - (time.monotonic() - begun)))
    return Path(_local(os.fspath(dst), gateway))


def _place(dst: AnyPath, gateway: Gateway) -> Tuple[str, Optional[str]]:
    """What the gateway calls it; below the root of an inbox, and that inbox, where it is no path of the gateway."""
    text = os.fspath(dst)
    path = os.path.realpath(text)
    folder = None if is_named(text) or place_below(path, roots_of(gateway)) is not None else inbox_above(path)
    below = place_below(path, [Root("", root_of_inbox(folder))]) if folder is not None else None
    return (str(below), folder) if below is not None and below.below else (address_of(text, gateway), None)


def _ask_by_inbox(folder: str, request: Mapping[str, Any], timeout: Optional[float]) -> Dict[str, Any]:
    """What the gateway answers. Errors: TidewayError."""
    name = new_submission_id()
    try:
        inbox.write(folder, name, {**request, "submission_id": name})
    except (OSError, ValueError) as trouble:
        raise TidewayError("usage", f"{request['dst']} lies below no root that the gateway calls so, and its inbox takes nothing: {trouble}",
                           "let this user write there, or write root:path") from None
    ends = time.monotonic() + (ANSWERED_S if timeout is None else min(timeout, ANSWERED_S))
    answer = inbox.read_status(folder, name)
    while answer is None:
        if time.monotonic() >= ends:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(folder, f"{name}.json"))
            if timeout is not None and timeout < ANSWERED_S:
                raise TidewayError("deadline", f"nobody has answered in the inbox {folder} after {timeout} s", "if the gateway has taken the request its job goes on")
            raise TidewayError("daemon_unreachable", f"nobody answers in the inbox {folder}", "is it that of the gateway?")
        time.sleep(LOOK_MIN_S)
        answer = inbox.read_status(folder, name)
    if "code" in answer or "id" not in answer:
        raise error_of(answer)
    return answer


def _local(dst: str, gateway: Gateway) -> str:
    """Of `root:path` the path of this machine."""
    if not is_named(dst):
        return dst
    name, _, below = dst.partition(":")
    rows = gateway.ask("GET", "/v1/roots").get("roots", [])
    return next((os.path.join(row["path"], below) for row in rows if row.get("name") == name), dst)
