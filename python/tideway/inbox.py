# SPDX-License-Identifier: Apache-2.0
"""Requests as files, for a gateway that is away or whose socket is on another host: `<root>/.tideway/inbox/<submission_id>.json`.

The file is the body of the API's request. It appears whole or not at all, and outlives a crash of either side. The gateway answers
beside it in `<submission_id>.status.json`.
Thread: the queue's; read_status() any.
"""
from __future__ import annotations

import contextlib
import json
import os
from typing import Any, Dict, Mapping, Optional

REQUEST_MAX = 64 << 10  # bytes, as the gateway accepts
_MODE = 0o640  # the gateway reads it by its group


def write(inbox: str, submission_id: str, request: Mapping[str, Any]) -> None:
    """On stable storage when it returns. Errors: OSError; ValueError for one that the gateway would not take."""
    text = json.dumps(request).encode()
    if len(text) > REQUEST_MAX:
        raise ValueError(f"a request of {len(text)} bytes is more than the {REQUEST_MAX} that an inbox takes")
    name = os.path.join(inbox, submission_id)
    try:
        _write_whole(f"{name}.tmp", text)
        os.rename(f"{name}.tmp", f"{name}.json")
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(f"{name}.tmp")
        raise
    folder = os.open(inbox, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _write_whole(path: str, text: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, _MODE)
    try:
        os.fchmod(descriptor, _MODE)
        while text:  # a file system that is nearly full takes a part
            text = text[os.write(descriptor, text):]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_status(inbox: str, submission_id: str) -> Optional[Dict[str, Any]]:
    """What the gateway answered; None as long as it has not."""
    try:
        with open(os.path.join(inbox, f"{submission_id}.status.json"), "rb") as file:
            found = json.loads(file.read(REQUEST_MAX))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None
