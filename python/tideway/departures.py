# SPDX-License-Identifier: Apache-2.0
"""What is taken away from a checkpoint between the call that hands it over and the moment it is held: a trainer may clean up before the
queue's thread has looked, and what is left may look complete.

The kernel takes it down (inotify), so the call costs the trainer a few microseconds, however many files there are. A file that gets another
name in its directory, as writers do with what is for now, has not departed, and neither has one that came after the call. Of what lies
deeper than the checkpoint's own directory, departures are known from the first look of the thread on; where there is no inotify, none are.
Thread: made by any, then the queue's.
"""
from __future__ import annotations

import ctypes
import errno
import os
import struct
import threading
import weakref
from typing import Any, Dict, Iterable, Optional, Set, Tuple

DIRS_MAX = 256  # of one checkpoint
NAMES_MAX = 10_000  # that came or went
FOR_NOW = (".tmp", ".partial", ".incomplete")  # what writers remove themselves, when they are through with it

_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE, _ONLYDIR = 0x40, 0x80, 0x100, 0x200, 0x0100_0000
_HEAD = struct.Struct("iIII")
# The trainer's lookups do not give the interpreter to other threads: it may take them milliseconds to give it back. Those of the queue's
# thread do: a file system that stands still stops that thread alone.
_libc = ctypes.PyDLL(None, use_errno=True)
_libc_that_waits = ctypes.CDLL(None, use_errno=True)


def led_to(path: str) -> str:
    """Where a name that is a link leads to; else the name. The trainer's."""
    is_link = int(_libc.readlink(os.fsencode(path), ctypes.create_string_buffer(1), ctypes.c_size_t(1))) >= 0
    return os.path.realpath(path) if is_link else path


class _Notices:
    """What the kernel tells of all directories that this process follows."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._lock = threading.RLock()  # never held while waiting; a collector may call leave() anywhere
        self._followed: Dict[int, Dict[int, "weakref.ref[Departures]"]] = {}
        self._idle: Set[int] = set()  # nobody's any more
        self._lookups = 0  # under way
        try:
            self._fd = int(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        except AttributeError:
            self._fd = -1

    def follow(self, one: "Departures", folder: str, name: str, libc: ctypes.CDLL) -> bool:
        """Whether something of that name is there, a directory or not."""
        if self._fd < 0:
            return False
        path = os.fsencode(folder)
        with self._lock:
            self._lookups += 1
        watch = int(libc.inotify_add_watch(self._fd, path, ctypes.c_uint32(_CREATE | _DELETE | _MOVED_FROM | _MOVED_TO | _ONLYDIR)))
        is_there = watch >= 0 or ctypes.get_errno() == errno.ENOTDIR
        with self._lock:
            self._lookups -= 1
            self.drain()  # what happened before is told to those who followed it then
            if watch >= 0:
                one.dirs.setdefault(watch, name)
                self._followed.setdefault(watch, {})[id(one)] = weakref.ref(one)
            self._end_idle()
        return is_there

    def leave(self, one: "Departures") -> None:
        with self._lock:
            for watch in one.dirs:
                others = self._followed.get(watch, {})
                others.pop(id(one), None)
                if not others and self._followed.pop(watch, None) is not None:
                    self._idle.add(watch)
            self._end_idle()

    def _end_idle(self) -> None:
        """A lookup under way may be about to find one of them again."""
        while self._idle and not self._lookups:
            watch = self._idle.pop()
            if watch not in self._followed:
                _libc.inotify_rm_watch(self._fd, watch)

    def drain(self) -> None:
        with self._lock:
            while self._fd >= 0:
                try:
                    told = os.read(self._fd, 16384)
                except OSError:
                    return
                at = 0
                while at < len(told):
                    watch, mask, cookie, size = _HEAD.unpack_from(told, at)
                    at += _HEAD.size + size
                    for known in list(self._followed.get(watch, {}).values()):
                        one = known()
                        if one is not None and size:
                            one.on_event(watch, mask, cookie, os.fsdecode(told[at - size:at].rstrip(b"\0")))


_known: Optional[_Notices] = None


def _notices() -> _Notices:
    global _known
    if _known is None or _known.pid != os.getpid():  # a forked child shares nothing with its parent
        _known = _Notices()
    return _known


class Departures:
    """`path`: of the checkpoint, from now on."""

    def __init__(self, path: str) -> None:
        self.dirs: Dict[int, str] = {}  # by the numbers of inotify
        self._departed: Set[str] = set()
        self._came: Set[str] = set()
        self._renames: Dict[int, Tuple[str, bool]] = {}  # that left and did not arrive yet; whether they were there at the call
        self._notices = _notices()
        self.was_there = self._notices.follow(self, path, "", _libc)  # at the call; False where there is no inotify

    def __del__(self) -> None:
        notices: Any = getattr(self, "_notices", None)
        if notices is not None and notices.pid == os.getpid():
            notices.leave(self)

    def follow(self, path: str, files: Iterable[str]) -> bool:
        """From now on the directories below, too. True: there are some that were not followed before."""
        below: Set[str] = set()
        for name in files:
            folder = os.path.dirname(name)
            while folder and folder + "/" not in below and len(below) < DIRS_MAX:
                below.add(folder + "/")
                folder = os.path.dirname(folder)
        before = len(self.dirs)
        for name in below:
            self._notices.follow(self, os.path.join(path, name), name, _libc_that_waits)
        return len(self.dirs) > before

    def missing_in(self, files: Iterable[str]) -> Optional[str]:
        """One that was there at the call and is not among these any more; a directory is there as long as something in it is."""
        self._notices.drain()
        if not self._departed:
            return None
        there = set(files)
        for name in files:
            while "/" in name:
                name = os.path.dirname(name)
                there.add(name)
        return min(self._departed - there, default=None)

    def on_event(self, watch: int, mask: int, cookie: int, last: str) -> None:
        if len(self._departed) + len(self._came) + len(self._renames) >= NAMES_MAX:
            return
        name = self.dirs.get(watch, "") + last
        if mask & _CREATE:
            if name in self._departed:
                self._departed.discard(name)
            else:
                self._came.add(name)
        elif mask & _MOVED_TO:
            before, was_there = self._renames.pop(cookie, ("", False))
            self._departed.discard(before)
            if not was_there:
                self._came.add(name)
        else:
            was_there = name not in self._came
            self._came.discard(name)
            if mask & _MOVED_FROM:
                self._renames[cookie] = (name, was_there)
            if was_there and not name.endswith(FOR_NOW) and not last.startswith(".tideway"):
                self._departed.add(name)
