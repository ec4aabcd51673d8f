# SPDX-License-Identifier: Apache-2.0
"""copy(): a job from the call to its end. It may block and raise; for a training loop there is submit()."""
from __future__ import annotations

import contextlib
import os
from datetime import datetime, timezone
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Union

from . import settings
from .connection import Gateway
from .jobs import DISABLED, Job
from .places import AnyPath, address_of


def time_text(moment: datetime) -> str:
    """RFC 3339 in UTC; a time without a zone counts as local."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def bytes_below(paths: Iterable[AnyPath]) -> int:
    """What lies there in bytes, so that a gateway can say whether it can be moved in time; what cannot be read counts nothing."""
    total = 0
    for path in (os.fspath(one) for one in paths):
        files = [path] if os.path.isfile(path) else [os.path.join(above, name) for above, _, names in os.walk(path) for name in names]
        for file in files:
            with contextlib.suppress(OSError):
                total += os.lstat(file).st_size
    return total


def copy(src: Union[AnyPath, Sequence[AnyPath]], dst: AnyPath, *, job_class: str = "best-effort", deadline: Optional[datetime] = None,
         compress: str = "auto", verify: Optional[str] = None, labels: Optional[Mapping[str, str]] = None, wait: bool = True,
         timeout: Optional[float] = None) -> Job:
    """Copies files or trees to or from a peer. Places here are paths below a root of the gateway or `root:path`, those of a
    peer `peer:root/path`. `timeout` is in seconds and bounds the waiting, not the job. As `tideway copy`, one that is waited for ends
    where a person would have to put something right; one that is not (`wait=False`) waits for that in the queue.

    Errors: TidewayError; `unsupported` for a field that this gateway does not obey yet.
    """
    if settings.is_disabled():
        return Job({"state": DISABLED})
    gateway = Gateway()
    sources = [src] if isinstance(src, (str, os.PathLike)) else list(src)
    spec: Dict[str, Any] = {"sources": [address_of(source, gateway) for source in sources], "destination": address_of(dst, gateway),
                            "class": job_class, "compress": compress}
    if wait:
        spec["patience"] = "command"
    for name, value in (("verify", verify), ("labels", dict(labels) if labels else None), ("deadline", time_text(deadline) if deadline else None)):
        if value is not None:
            spec[name] = value
    if deadline:
        spec["bytes"] = bytes_below(sources)
    job = Job(gateway.ask("POST", "/v1/jobs", spec), gateway)
    return job.wait(timeout) if wait else job
