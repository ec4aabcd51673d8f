# SPDX-License-Identifier: Apache-2.0
"""What goes wrong, with the codes and exit codes of the command line.

The table is the gateway's own (include/tideway/result.h); a test compares the two. A code that a newer gateway sends and
this table lacks keeps its name and exits with 1.
"""
from __future__ import annotations

import json
from typing import Any, Mapping, Optional, Tuple

_CODES_BY_EXIT = {
    1: "entries_failed name_collision type_conflict dest_exists dest_too_big cancelled unsupported submission_conflict",
    2: "usage",
    3: "config_invalid name_reserved verify_unavailable no_hugepages state_newer",
    4: "daemon_unreachable peer_unreachable peer_lost protocol_version protocol_error udp_blocked",
    5: "auth_failed denied limit_exceeded",
    6: "source_missing source_changed source_vanished source_io not_complete",
    7: "dest_full dest_quota dest_inodes dest_io dest_readonly dest_unmounted dest_stalled dest_denied dest_cross_device",
    8: "hash_mismatch source_corrupt manifest_mismatch bad_compression",
    9: "nothing_to_do",
    10: "dest_busy overloaded no_memory lease_lost store_unavailable state_locked",
    11: "deadline",
    12: "unsafe_link special_file",
}
EXIT_CODES = {code: exit_code for exit_code, codes in _CODES_BY_EXIT.items() for code in codes.split()}
EXIT_OTHER = 1
#: The same request may succeed a little later, without anybody doing anything.
PASSING = frozenset(("daemon_unreachable", "overloaded", "no_memory", "store_unavailable"))


class TidewayError(Exception):
    """A failure with its stable `code`, the `exit_code` of the command line, and in `next` what a person can do."""

    def __init__(self, code: str, detail: str, next: str = "") -> None:
        super().__init__(f"{detail} ({code})" + (f"; {next}" if next else ""))
        self.code = code
        self.detail = detail
        self.next = next

    def __reduce__(self) -> Tuple[Any, ...]:
        """It goes from one process to another whole, as out of a worker of a pool."""
        return type(self), (self.code, self.detail, self.next)

    @property
    def exit_code(self) -> int:
        return EXIT_CODES.get(self.code, EXIT_OTHER)


def error_of(fields: Mapping[str, Any]) -> TidewayError:
    """From an object with `code`, `detail` and `next`: a problem (RFC 9457), or the error of a job."""
    code = fields.get("code")
    detail = fields.get("detail") or fields.get("title") or "the gateway gave no reason"
    return TidewayError(code if isinstance(code, str) and code else "daemon_unreachable", str(detail), str(fields.get("next") or ""))


def error_of_answer(status: int, body: bytes) -> TidewayError:
    """From an answer of the API that is none of success, whatever its body."""
    fields: Optional[object] = None
    try:
        fields = json.loads(body)
    except ValueError:
        pass
    if isinstance(fields, dict) and isinstance(fields.get("code"), str):
        return error_of(fields)
    return TidewayError("daemon_unreachable", f"the gateway answered with status {status}", "look at its log")
