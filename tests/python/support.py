# SPDX-License-Identifier: Apache-2.0
"""What the tests of the Python package share: a folder of their own, a clean environment, and a fake gateway.

FakeGateway speaks the API of docs/openapi.json over a real unix socket. It shows what the package sends and how it takes each
answer; that a real gateway answers so is shown by real_gateway.py, which tests/e2e/python_test.sh runs.
"""
import http.server
import json
import os
import pathlib
import socketserver
import sys
import tempfile
import threading
import time
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "python"))

WAIT_S = 10.0  # for what another thread does; a test that passes never waits so long


class _Request(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "FakeGateway"

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"

    def _answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else None
        self.server.take(self, body)

    do_GET = do_POST = do_PATCH = _answer

    def reply(self, status, fields, kind="application/json"):
        text = json.dumps(fields).encode() if status != 204 else b""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def problem(self, status, code, detail="it is so"):
        self.reply(status, {"type": "about:blank", "title": code, "status": status, "code": code, "detail": detail, "next": "do this"},
                   "application/problem+json")

    def stream(self, text):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(text.encode())
        self.close_connection = True


class FakeGateway(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """`answers` maps "METHOD /path" to a function of (request, body); roots, and jobs by their state, are there without."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, folder, root=None):
        self.path = os.path.join(folder, "api.sock")
        self.asked = []  # (method, path, body) in the order of arrival
        self.changed = threading.Condition()
        self.answers = {}
        self.jobs = {}
        self.roots = [{"name": "ckpt", "path": str(root), "bytes_free": 1}] if root else []
        super().__init__(self.path, _Request)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def handle_error(self, request, client_address):
        """A client that did not wait for the answer is what some tests are about."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def take(self, request, body):
        path = request.path.split("?")[0]
        with self.changed:
            self.asked.append((request.command, request.path, body))
            self.changed.notify_all()
        own = self.answers.get(f"{request.command} {path}")
        if own is not None:
            return own(request, body)
        parts = path.strip("/").split("/")
        if path == "/v1/roots":
            return request.reply(200, {"roots": self.roots})
        if parts[:2] == ["v1", "jobs"] and len(parts) > 2 and parts[2] in self.jobs:
            return self._answer_job(request, self.jobs[parts[2]], parts[3:])
        return request.problem(404, "usage", f"there is no {path}")

    def _answer_job(self, request, job, rest):
        if rest == ["events"]:
            return request.stream(event(1, job))
        if rest in (["pause"], ["resume"], ["cancel"]):
            job["state"] = {"pause": "paused", "resume": "queued", "cancel": "cancelled"}[rest[0]]
        return request.reply(202 if rest else 200, job)

    def wait_for(self, method, path, times=1):
        """The bodies of the first so many such requests, as soon as they are there."""
        def found():
            return [body for how, where, body in self.asked if how == method and where.split("?")[0] == path]
        with self.changed:
            if not self.changed.wait_for(lambda: len(found()) >= times, WAIT_S):
                raise AssertionError(f"no {method} {path} came, but {self.asked}")
            return found()[:times]

    def stop(self):
        """As a gateway that ended: the socket is there, nobody listens."""
        self.shutdown()
        self.server_close()
        self._thread.join()


def event(number, job, kind="state"):
    head = f"id: {number}\n" if number else ""
    return f"{head}event: {kind}\ndata: {json.dumps(job)}\n\n"


class Case(unittest.TestCase):
    """A folder, and an environment that names nothing of this machine."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="twpy")  # short: names of unix sockets end at 107 bytes
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(os.path.realpath(folder.name))
        for name in [name for name in os.environ if name.startswith("TIDEWAY_") or name in ("RANK", "WORLD_SIZE")]:
            self.setenv(name, None)
        self.setenv("TIDEWAY_API", str(self.folder / "api.sock"))
        self.setenv("TIDEWAY_BOARD", str(self.folder / "no.board"))

    def setenv(self, name, value):
        before = os.environ.get(name)

        def restore():
            os.environ.pop(name, None)
            if before is not None:
                os.environ[name] = before
        self.addCleanup(restore)
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value

    def gateway(self, root=None):
        gateway = FakeGateway(str(self.folder), root)
        self.addCleanup(gateway.stop)
        return gateway

    def root(self):
        """A root as a gateway prepares it for trainers."""
        root = self.folder / "root"
        for name in ("inbox", "pins"):
            (root / ".tideway" / name).mkdir(parents=True)
        return root

    def own_queue(self):
        """A queue of this test's own, whose thread has nothing left to do when the test is over."""
        from tideway import outbox, reach
        self.set_constant(outbox, "_outbox", outbox.Outbox())
        self.set_constant(reach, "_known", {})
        self.set_constant(reach, "TIMEOUT_S", WAIT_S)  # on a busy machine the fake gateway is no quicker than others
        box = outbox._outbox

        def is_clear():
            with box._lock:
                box._entries[:] = [entry for entry in box._entries if entry.in_work]
                return not box._entries
        self.addCleanup(self.wait_until, is_clear)

    def wait_until(self, is_so):
        ends = time.monotonic() + WAIT_S
        while not is_so():
            self.assertLess(time.monotonic(), ends, "it is not so in time")
            time.sleep(0.01)

    def set_constant(self, module, name, value):
        before = getattr(module, name)
        self.addCleanup(setattr, module, name, before)
        setattr(module, name, value)
