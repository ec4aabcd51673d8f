# SPDX-License-Identifier: Apache-2.0
"""What the tests of libtideway share: the driver, which makes its calls from C, and cases with the fake gateway of the Python package's tests.

The environment names the folder of the programs (TIDEWAY_PROGRAMS), the build to install from (TIDEWAY_BUILD) and the compiler and
its flags (CC, CFLAGS).
"""
import contextlib
import os
import pathlib
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
from support import REPOSITORY, WAIT_S, Case  # noqa: E402, F401

PROGRAMS, BUILD = (pathlib.Path(os.environ[name]) for name in ("TIDEWAY_PROGRAMS", "TIDEWAY_BUILD"))
QUEUED, PINNED, STORED, ACCEPTED, PUBLISHED, FAILED, SUPERSEDED, DISABLED = range(8)
TO = "wisconsin:ckpt/run"


class Driver:
    def __init__(self):
        self.process = subprocess.Popen([PROGRAMS / "client_driver"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.call("open")[0] == 0

    def call(self, *words):
        """(returned, name of the error, text)"""
        self.process.stdin.write(" ".join(map(str, words)) + "\n")
        self.process.stdin.flush()
        returned, code, text = self.process.stdout.readline().rstrip("\n").split(" ", 2)
        return int(returned), code.strip("-"), text

    def counts(self):
        pairs = dict(pair.split("=") for pair in self.call("counts")[2].split())
        return {name: value if name == "latest" else int(value) for name, value in pairs.items()}

    def end(self):
        self.process.stdin.close()
        self.process.stdout.close()
        return self.process.wait(WAIT_S)


class ClientCase(Case):
    def driver(self):
        driver = Driver()
        self.addCleanup(driver.end)
        return driver

    @contextlib.contextmanager
    def returns_soon(self, driver):
        """What never returns fails the test instead of holding it up."""
        guard = threading.Timer(WAIT_S, driver.process.kill)
        guard.start()
        try:
            yield
        finally:
            guard.cancel()

    def wait_until(self, is_so):
        end = time.monotonic() + WAIT_S
        while not is_so():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.01)

    def root(self):
        """Without an inbox: a fake gateway that is slow for once is asked again, and not given up for it."""
        root = super().root()
        (root / ".tideway/inbox").rmdir()
        return root

    def root_with_inbox(self):
        return super().root()

    def checkpoint(self, root, name="run/step-7"):
        path = root / name
        path.mkdir(parents=True)
        (path / "__0_0.distcp").write_bytes(os.urandom(2 << 20))
        (path / "extra").mkdir()
        (path / "extra/common.pt").write_bytes(b"c" * 1000)
        (path / ".metadata").write_bytes(b"m")
        return path

    def takes(self, gateway, target="/v1/checkpoints", **fields):
        gateway.jobs["j1"] = {"id": "j1", "state": "published"}
        gateway.answers[f"POST {target}"] = lambda request, body: request.reply(202, {"id": "j1", **fields})
