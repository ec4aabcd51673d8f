# SPDX-License-Identifier: Apache-2.0
"""What the environment says. Read at each use, so that a test or a launcher may set it after the import.

TIDEWAY_API               socket of the gateway                        /run/tideway/api.sock
TIDEWAY_INBOX             folder for requests while there is no socket  <root>/.tideway/inbox above the checkpoint
TIDEWAY_TRAINING          name of the [[training]] for phase()
TIDEWAY_BOARD             phase board                                  /run/tideway/phase.board
TIDEWAY_BEACON            host:port of gateways, with commas between
TIDEWAY_BEACON_KEY_FILE   the site's beacon key
TIDEWAY_DISABLE=1         every call does nothing
"""
from __future__ import annotations

import os
from typing import List, Optional, Tuple

API_DEFAULT = "/run/tideway/api.sock"
BOARD_DEFAULT = "/run/tideway/phase.board"
BEACON_PORT = 7399


def is_disabled() -> bool:
    return os.environ.get("TIDEWAY_DISABLE", "") not in ("", "0")


def api_socket() -> str:
    return os.environ.get("TIDEWAY_API") or API_DEFAULT


def inbox() -> Optional[str]:
    return os.environ.get("TIDEWAY_INBOX") or None


def training() -> str:
    return os.environ.get("TIDEWAY_TRAINING", "")


def board() -> str:
    return os.environ.get("TIDEWAY_BOARD") or BOARD_DEFAULT


def beacon_key_file() -> str:
    return os.environ.get("TIDEWAY_BEACON_KEY_FILE", "")


def beacon_targets() -> List[Tuple[str, int]]:
    """Of `host`, `host:port` and `[v6]:port`, each with the port of the gateways when it names none.

    Errors: ValueError for a port that is no number from 1 to 65535.
    """
    targets = []
    for text in filter(None, (part.strip() for part in os.environ.get("TIDEWAY_BEACON", "").split(","))):
        host, colon, port = text.rpartition(":")
        if not colon or "]" in port or (":" in host and not host.endswith("]")):
            host, port = text, str(BEACON_PORT)
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"TIDEWAY_BEACON: {text!r} has no port from 1 to 65535")
        targets.append((host.strip("[]"), int(port)))
    return targets


def member() -> Tuple[int, int]:
    """(who announces, of how many), from RANK and WORLD_SIZE as torchrun sets them, so that no rank's end ends another's burst."""
    rank, size = os.environ.get("RANK", ""), os.environ.get("WORLD_SIZE", "")
    if rank.isdecimal() and size.isdecimal() and int(rank) < int(size) < 65536:
        return int(rank), int(size)
    return 0, 1
