# SPDX-License-Identifier: Apache-2.0
"""tideway://PEER/ROOT/PATH as a file system of fsspec: for DCP's FsspecWriter, Lightning and readers of data sets.

    fs = fsspec.filesystem("tideway", spool="/data/ckpt/spool")      or FSSPEC_TIDEWAY_SPOOL

The spool is a directory below a root of the gateway, in which PEER/ROOT/PATH mirrors what was written or read. Writing costs a
local file; its copy leaves through the queue when the file is closed, so a training never waits for the network. A name that ends
in .tmp stays here. A rename publishes the new name behind everything that was written beside it, as markers want it. Reading
opens the local replica, and pulls what is not there, which blocks. Listing, existence and removal know the spool only: the far
side is never listed, and nothing there is removed or replaced.
Run against fsspec 2022.11 of Debian 12.
"""
from __future__ import annotations

import io
import os
import shutil
import sys
import threading
from datetime import datetime, timezone
from typing import Any, Dict, List, Optional

from fsspec.spec import AbstractFileSystem

from .copying import copy
from .notes import note
from .submissions import submit, submit_behind
from .tickets import Ticket

UNFINISHED = ".tmp"  # as writers call what they will rename
TICKETS_MAX = 1024  # that wait_published() can still ask; older ones are the gateway's alone
WRITTEN_MAX = 4096  # files whose directory has seen no rename yet


class SpoolFile(io.BufferedWriter):
    """A file being written. It has a fileno(), because writers sync it; it leaves when it is closed without an exception. The `with` of
    fsspec.open(), and one about text, close it and say nothing of an exception: one that is in flight then, and was not when it was
    opened, came in between."""

    def __init__(self, fs: "TidewayFileSystem", path: str, mode: str, autocommit: bool) -> None:
        self._fs, self._path, self._autocommit = fs, path, autocommit
        self._here = fs.local(path) if autocommit else f"{fs.local(path)}.{os.getpid()}{UNFINISHED}"
        self._has_failed: Optional[bool] = None  # not told
        self._in_flight = sys.exc_info()[1]
        super().__init__(io.FileIO(self._here, mode))

    def __exit__(self, kind: Any, *rest: Any) -> None:
        self._has_failed = kind is not None
        super().__exit__(kind, *rest)

    def close(self) -> None:
        if self.closed:
            return
        if self._has_failed is None:
            now = sys.exc_info()[1]
            self._has_failed = now is not None and now is not self._in_flight
        self._in_flight = None
        super().close()
        if self._has_failed:
            note("not_sent", f"{self._path}: an exception came while it was written")
        elif self._autocommit:
            self._fs.on_written(self._path)

    def commit(self) -> None:
        """Of a transaction: it gets its name, and leaves; unless an exception came, which somebody has dealt with."""
        self.close()
        if self._has_failed:
            return os.unlink(self._here)
        os.replace(self._here, self._fs.local(self._path))
        self._fs.on_written(self._path)

    def discard(self) -> None:
        self.close()
        os.unlink(self._here)


class Replica(io.BufferedReader):
    """A file being read, with the `size` that fsspec asks for."""

    def __init__(self, here: str) -> None:
        super().__init__(io.FileIO(here))
        self.size = os.fstat(self.fileno()).st_size


class TidewayFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """Paths are PEER/ROOT/PATH. Errors: those of local files; TidewayError of what is pulled; ValueError without a spool."""

    protocol = "tideway"
    root_marker = ""
    cachable = True

    def __init__(self, spool: Optional[str] = None, job_class: str = "checkpoint", **options: Any) -> None:
        if not spool:
            raise ValueError('name a directory below a root of the gateway: spool="...", or FSSPEC_TIDEWAY_SPOOL')
        super().__init__(**options)
        self.spool = os.path.realpath(spool)
        self.job_class = job_class
        self.tickets: List[Ticket] = []
        self._turn = threading.Lock()  # of what is below
        self._written: Dict[str, Dict[str, Ticket]] = {}  # by directory and name: what a rename is published behind
        self._has_forgotten = False  # some of that: then a rename takes what lies in its directory

    def local(self, path: str) -> str:
        """Errors: ValueError for a path that leaves the spool."""
        name = self._strip_protocol(path)
        if ".." in name.split("/"):
            raise ValueError(f"{name} leaves its root")
        return os.path.join(self.spool, *name.split("/"))

    @staticmethod
    def remote(path: str) -> str:
        peer, _, rest = path.partition("/")
        if not peer or "/" not in rest:
            raise ValueError(f"tideway://{path}: write PEER/ROOT/PATH")
        return f"{peer}:{rest}"

    # ---- writing ----

    def on_written(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        if not name.endswith(UNFINISHED):
            ticket = submit({"class": self.job_class, "sources": [self.local(path)], "destination": self.remote(path)})
            with self._turn:
                if sum(map(len, self._written.values())) >= WRITTEN_MAX:
                    note("written", f"{WRITTEN_MAX} files were written and none was renamed: a marker will be published behind all that lies beside it")
                    self._written.clear()
                    self._has_forgotten = True
                self._written.setdefault(folder, {})[name] = ticket
            self._keep(ticket)

    def _beside(self, folder: str, before: Dict[str, Ticket]) -> List[str]:
        """Names of files that a marker is published behind."""
        names = os.listdir(self.local(folder)) if self._has_forgotten else list(before)
        return [name for name in names if not name.endswith(UNFINISHED)]

    def _on_renamed(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        with self._turn:
            before = self._written.pop(folder, {})
        spec = {"class": self.job_class, "sources": [self.local(path)], "destination": self.remote(path)}
        if os.path.isfile(self.local(path)):
            # With all that is beside it, so that what failed alone gets there before the marker.
            names = sorted(one for one in {*self._beside(folder, before), name} if os.path.isfile(self.local(f"{folder}/{one}")))
            spec.update(sources=[self.local(folder)], destination=self.remote(folder), only=names, publish="marker", last=[name])
        self._keep(submit_behind(list(before.values()), spec))

    def _keep(self, ticket: Ticket) -> None:
        with self._turn:
            self.tickets = [*self.tickets[1 - TICKETS_MAX:], ticket]

    def wait_published(self, timeout: Optional[float] = None) -> bool:
        """Whether all that was written by this object is there, after `timeout` seconds for each at most. Errors: TidewayError."""
        return all(ticket.wait("published", timeout) for ticket in self.tickets)

    def _open(self, path: str, mode: str = "rb", block_size: Any = None, autocommit: bool = True, **_: Any) -> Any:
        if mode == "rb":
            return self._reader(path)
        if mode not in ("wb", "ab", "xb"):
            raise ValueError(f"mode {mode!r}: one of rb, wb, ab, xb")
        self.remote(path)
        os.makedirs(os.path.dirname(self.local(path)), exist_ok=True)
        return SpoolFile(self, path, mode.replace("b", ""), autocommit)

    def mv(self, path1: str, path2: str, *_: Any, **__: Any) -> None:
        path1, path2 = self._strip_protocol(path1), self._strip_protocol(path2)
        self.remote(path2)
        os.makedirs(os.path.dirname(self.local(path2)), exist_ok=True)
        os.replace(self.local(path1), self.local(path2))
        if not path2.endswith(UNFINISHED):
            self._on_renamed(path2)

    def cp_file(self, path1: str, path2: str, **_: Any) -> None:
        if self.isdir(path1):
            return self.makedirs(path2, exist_ok=True)
        with self._reader(self._strip_protocol(path1)) as source, self.open(path2, "wb") as target:
            shutil.copyfileobj(source, target)

    def mkdir(self, path: str, create_parents: bool = True, **_: Any) -> None:
        (os.makedirs if create_parents else os.mkdir)(self.local(path))

    def makedirs(self, path: str, exist_ok: bool = False) -> None:
        os.makedirs(self.local(path), exist_ok=exist_ok)

    def rmdir(self, path: str) -> None:
        os.rmdir(self.local(path))

    def rm_file(self, path: str) -> None:
        os.unlink(self.local(path))

    def rm(self, path: Any, recursive: bool = False, maxdepth: Optional[int] = None) -> None:
        for one in path if isinstance(path, list) else [path]:
            if recursive and self.isdir(one):
                shutil.rmtree(self.local(one))
            else:
                self.rm_file(one)

    # ---- reading ----

    def _reader(self, path: str) -> Any:
        here = self.local(path)
        if not os.path.exists(here):
            self.pull(path)
        return Replica(here)

    def pull(self, path: str, timeout: Optional[float] = None) -> None:
        """Brings a file or a tree into the spool. Errors: TidewayError."""
        path = self._strip_protocol(path)
        os.makedirs(os.path.dirname(self.local(path)), exist_ok=True)
        copy(self.remote(path), self.local(path), job_class=self.job_class, timeout=timeout)

    def ls(self, path: str, detail: bool = True, **_: Any) -> List[Any]:
        path = self._strip_protocol(path)
        if os.path.isfile(self.local(path)):
            found = [path]
        else:
            found = [f"{path}/{name}".lstrip("/") for name in sorted(os.listdir(self.local(path)))]
        return [self.info(one) for one in found] if detail else found

    def info(self, path: str, **_: Any) -> Dict[str, Any]:
        path = self._strip_protocol(path)
        status = os.stat(self.local(path))
        is_folder = os.path.isdir(self.local(path))
        return {"name": path, "size": 0 if is_folder else status.st_size, "type": "directory" if is_folder else "file",
                "created": status.st_ctime, "mtime": status.st_mtime}

    def created(self, path: str) -> datetime:
        return datetime.fromtimestamp(self.info(path)["created"], timezone.utc)

    def modified(self, path: str) -> datetime:
        return datetime.fromtimestamp(self.info(path)["mtime"], timezone.utc)
