# SPDX-License-Identifier: Apache-2.0
"""From a path of this machine to `root:path`, as the API wants it, and to the inbox of that root.

Thread: any.
"""
from __future__ import annotations

import os
from typing import Any, List, NamedTuple, Optional, Protocol, Union

from . import settings
from .connection import Gateway
from .errors import TidewayError

AnyPath = Union[str, "os.PathLike[str]"]


class Root(NamedTuple):
    name: str
    path: str  # absolute


class Place(NamedTuple):
    """A path below a root; `root.name` is empty as long as only the root's inbox is known, and no gateway was asked."""

    root: Root
    below: str  # without a slash in front

    def __str__(self) -> str:
        return f"{self.root.name}:{self.below}" if self.root.name else self.below


class Asker(Protocol):
    def ask(self, method: str, target: str) -> Any: ...


def roots_of(gateway: Asker) -> List[Root]:
    """Errors: TidewayError."""
    answer = gateway.ask("GET", "/v1/roots")
    rows = answer.get("roots", []) if isinstance(answer, dict) else []
    return [Root(str(row["name"]), os.path.realpath(row["path"])) for row in rows if isinstance(row, dict) and "name" in row and "path" in row]


def place_below(path: str, roots: List[Root]) -> Optional[Place]:
    """Below the innermost root that holds it; `path` is resolved."""
    best = None
    for root in roots:
        top = root.path.rstrip("/")
        if (path == root.path or path.startswith(top + "/")) and (best is None or len(root.path) > len(best.root.path)):
            best = Place(root, path[len(top):].strip("/"))
    return best


def is_named(text: str) -> bool:
    """Whether it is `root:path` or `peer:root/path` already, and no path of this machine."""
    head, colon, _ = text.partition(":")
    return bool(colon) and "/" not in head


def address_of(path: AnyPath, gateway: Gateway) -> str:
    """What the API calls it; a slash at the end, which means into this directory, stays.

    Errors: TidewayError, with usage when no root of the gateway holds it.
    """
    text = os.fspath(path)
    if is_named(text):
        return text
    place = place_below(os.path.realpath(text), roots_of(gateway))
    if place is None:
        raise TidewayError("usage", f"{text} lies below no root of the gateway at {gateway.path}", "see GET /v1/roots, or write root:path")
    return str(place) + ("/" if text.endswith("/") and place.below else "")


def inbox_above(path: str) -> Optional[str]:
    """The inbox of the root that holds it: the one the environment names, else the nearest `.tideway/inbox` further up."""
    named = settings.inbox()
    if named:
        return named
    while True:
        inbox = os.path.join(path, ".tideway", "inbox")
        if os.path.isdir(inbox):
            return inbox
        above = os.path.dirname(path)
        if above == path:
            return None
        path = above


def root_of_inbox(inbox: str) -> str:
    return os.path.dirname(os.path.dirname(os.path.realpath(inbox)))
