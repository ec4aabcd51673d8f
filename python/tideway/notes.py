# SPDX-License-Identifier: Apache-2.0
"""Trouble that must not stop a training: told once per kind in the log `tideway`, and counted from then on.

Thread: any.
"""
from __future__ import annotations

import logging
from collections import Counter

_log = logging.getLogger("tideway")
#: How often each kind of trouble came, in this process.
counts: "Counter[str]" = Counter()


def note(kind: str, what: object) -> None:
    counts[kind] += 1
    if counts[kind] == 1:
        _log.warning("%s: %s (told once, then counted)", kind, what)
