# SPDX-License-Identifier: Apache-2.0
"""HTTP over the gateway's unix socket; the kernel tells the gateway who asks.

A connection per request: a local one costs tens of microseconds, and none is left over for a fork to share.
Thread: any; a Gateway has no state but its settings.
"""
from __future__ import annotations

import http.client
import json
import socket
from contextlib import contextmanager
from typing import Any, Dict, Iterator, Mapping, Optional

from . import settings
from .errors import TidewayError, error_of_answer

TIMEOUT_S = 30.0  # of calls that may block
ANSWER_MAX = 16 << 20  # bytes; a page of 1,000 jobs has a tenth of it


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("tideway", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Gateway:
    """The API at `path`, by default the one the environment names. `timeout`: seconds, for each wait of a request."""

    def __init__(self, path: Optional[str] = None, timeout: float = TIMEOUT_S) -> None:
        self.path = path or settings.api_socket()
        self.timeout = timeout

    def ask(self, method: str, target: str, body: Optional[Mapping[str, Any]] = None) -> Any:
        """The answer's JSON; None when it has no body.

        Errors: TidewayError, with daemon_unreachable when there is no answer within the timeout.
        """
        headers = {} if body is None else {"Content-Type": "application/json"}
        with self._open(method, target, json.dumps(body) if body is not None else None, headers) as answer:
            text = answer.read(ANSWER_MAX + 1)
        if len(text) > ANSWER_MAX:
            raise TidewayError("protocol_error", f"{method} {target} at {self.path} was answered with more than {ANSWER_MAX} bytes")
        if answer.status >= 300:
            raise error_of_answer(answer.status, text)
        if not text:
            return None
        try:
            return json.loads(text)
        except ValueError:
            raise TidewayError("protocol_error", f"{method} {target} at {self.path} was not answered with JSON") from None

    @contextmanager
    def stream(self, target: str, last_event_id: str) -> Iterator[Iterator[bytes]]:
        """Lines of a stream of events, behind the one named.

        Errors: TidewayError, also out of the lines, when the connection ends in the middle or is silent for the timeout.
        """
        with self._open("GET", target, None, {"Last-Event-ID": last_event_id}) as answer:
            if answer.status != 200:
                raise error_of_answer(answer.status, answer.read(ANSWER_MAX))
            yield iter(answer.readline, b"")

    @contextmanager
    def _open(self, method: str, target: str, body: Optional[str], headers: Dict[str, str]) -> Iterator[http.client.HTTPResponse]:
        connection = _UnixConnection(self.path, self.timeout)
        try:
            connection.request(method, target, body, headers)
            yield connection.getresponse()
        except (OSError, http.client.HTTPException) as trouble:
            raise TidewayError("daemon_unreachable", f"no answer from the gateway at {self.path}: {trouble or type(trouble).__name__}",
                               "is tidewayd running, and TIDEWAY_API right?") from trouble
        finally:
            connection.close()
