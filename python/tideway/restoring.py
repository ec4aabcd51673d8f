# SPDX-License-Identifier: Apache-2.0
"""restore(): GPUs wait for it, so it blocks, and its job is of the class that goes first."""
from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Dict, Optional, Sequence

from . import settings
from .connection import Gateway
from .jobs import Job
from .places import AnyPath, address_of, is_named


def restore(series: str, dst: AnyPath, *, step: Optional[int] = None, include: Sequence[str] = ("**",), fallback: bool = False,
            timeout: Optional[float] = None) -> Path:
    """Brings the newest complete checkpoint of a series, or that of `step`, to `dst`, a path below a root of the gateway, from
    wherever it is published. Instead of a series: peer:root/run, or any:root/run for a run that any peer may have. `include`: only these names below it; `fallback`: the next good one when this cannot be verified;
    `timeout`: seconds. Returns where it is.

    Errors: TidewayError; hash_mismatch (8) names the next good step, deadline (11) leaves the job going on.
    """
    if settings.is_disabled():
        return Path(dst)
    gateway = Gateway()
    request: Dict[str, Any] = {"from" if is_named(series) else "series": series, "step": "latest" if step is None else step, "dst": address_of(dst, gateway),
                               "include": list(include), "fallback": fallback, "patience": "command"}
    Job(gateway.ask("POST", "/v1/restore", request), gateway).wait(timeout)
    return Path(_local(os.fspath(dst), gateway))


def _local(dst: str, gateway: Gateway) -> str:
    """Of `root:path` the path of this machine."""
    if not is_named(dst):
        return dst
    name, _, below = dst.partition(":")
    rows = gateway.ask("GET", "/v1/roots").get("roots", [])
    return next((os.path.join(row["path"], below) for row in rows if row.get("name") == name), dst)
