# SPDX-License-Identifier: Apache-2.0
"""Holds a checkpoint for as long as it takes to send it: trainers delete old ones on their own schedule.

A pin is `<root>/.tideway/pins/<id>/`, made by the trainer's user and removable by the gateway through the group of the folder above.
Small files are copied; large ones share their blocks where the file system can (XFS, Btrfs), else they are hard links, which
outlive the deletion of the original but not a rewrite in place: that the gateway detects. Symbolic links are made anew as they are: which
of them leave the tree the gateway sees when it reads the pin. Directories have the times and modes of the originals, since they arrive
with them, and besides let the gateway's group in.
Thread: the queue's.
"""
from __future__ import annotations

import fcntl
import os
import shutil
from typing import Dict, Mapping

from .layouts import Listing

COPY_MAX = 1 << 20  # bytes; markers, JSON and trackers are below it
_DRAFT = ".part"
_FICLONE = 0x40049409
_FOLDER_MODE = 0o2770  # at least; setgid, so that what is below belongs to the gateway's group, too


def pins_of(root: str) -> str:
    return os.path.join(root, ".tideway", "pins")


def pin(path: str, listing: Listing, into: str, times: Mapping[str, int]) -> None:
    """Makes `into`, which must not be there, under another name until it is whole. `times`: of files that get other ones than they have, in
    ns; they are copied. Errors: OSError, and nothing is left of it."""
    draft = into + _DRAFT
    os.mkdir(draft)
    try:
        os.chmod(draft, _FOLDER_MODE)
        made: Dict[str, None] = {"": None}  # each behind the one above it
        for name in listing.names():
            _make_folders(draft, os.path.dirname(name), made)
        for name, file in listing.files.items():
            source, target = os.path.join(path, name) if name else path, os.path.join(draft, name or listing.name)
            if name in times:
                _copy(source, target)
                os.utime(target, ns=(times[name], times[name]))
            else:
                _hold(source, target, file.size)
        for name, target in listing.links.items():
            os.symlink(target, os.path.join(draft, name))
        if "" not in listing.files:
            for name in reversed(made):
                _keep_attributes(os.stat(os.path.join(path, name)), os.path.join(draft, name), _FOLDER_MODE)
        os.rename(draft, into)
    except OSError:
        drop(draft)
        raise


def _make_folders(draft: str, folder: str, made: Dict[str, None]) -> None:
    if folder not in made:
        _make_folders(draft, os.path.dirname(folder), made)
        os.mkdir(os.path.join(draft, folder))
        os.chmod(os.path.join(draft, folder), _FOLDER_MODE)
        made[folder] = None


def drop(pin_path: str) -> None:
    shutil.rmtree(pin_path, ignore_errors=True)


def _hold(source: str, target: str, size: int) -> None:
    if size <= COPY_MAX:
        return _copy(source, target)
    try:
        _clone(source, target)
    except OSError:
        os.link(source, target, follow_symlinks=False)


def _clone(source: str, target: str) -> None:
    with open(source, "rb") as original:
        with open(target, "xb") as clone:
            try:
                fcntl.ioctl(clone.fileno(), _FICLONE, original.fileno())
            except OSError:
                os.unlink(target)
                raise
        _keep_attributes(os.fstat(original.fileno()), target)


def _copy(source: str, target: str) -> None:
    with open(source, "rb") as original, open(target, "xb") as copy:
        shutil.copyfileobj(original, copy)
        copy.flush()
        _keep_attributes(os.fstat(original.fileno()), target)


def _keep_attributes(status: os.stat_result, target: str, mode: int = 0) -> None:
    """Rules of completeness compare times. `mode`: what it has besides."""
    os.chmod(target, status.st_mode & 0o777 | mode)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
