# SPDX-License-Identifier: Apache-2.0
"""Looks at a checkpoint on the disk: what there is, and the parts of files that a rule asks for. The queue thread's."""
from __future__ import annotations

import os
from typing import Dict, List, Optional, Set, Tuple

from .layouts import HEADER_BYTES_MAX, JSON_BYTES_MAX, ZIP_TAIL, File, Listing, Reader

FILES_MAX = 200_000  # of one checkpoint; a rank has a few
_OURS = (".tideway", ".tideway-manifest", ".tideway-commit")  # at the top; the gateway leaves them out, too


def list_files(path: str) -> Listing:
    """Regular files, links and directories; what else there is no checkpoint has. Errors: OSError; ValueError when there are too many."""
    name = os.path.basename(path)
    if not os.path.isdir(path):
        status = os.stat(path)
        return Listing(name, {"": File(status.st_size, status.st_mtime_ns)})
    files: Dict[str, File] = {}
    links: Dict[str, str] = {}
    bare: Set[str] = set()
    folders: List[str] = [""]
    while folders:
        folder = folders.pop()
        is_bare = bool(folder)
        with os.scandir(os.path.join(path, folder)) as entries:
            for entry in entries:
                below = folder + entry.name
                if below in _OURS:
                    continue
                if entry.is_symlink():
                    links[below] = os.readlink(entry.path)
                elif entry.is_dir(follow_symlinks=False):
                    folders.append(below + "/")
                elif entry.is_file(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    files[below] = File(status.st_size, status.st_mtime_ns)
                else:
                    continue
                is_bare = False
        if is_bare:
            bare.add(folder)
        if len(files) + len(links) + len(bare) > FILES_MAX:
            raise ValueError(f"{path} has more than {FILES_MAX} files, which is no checkpoint")
    return Listing(name, files, links, bare)


def look_at(path: str) -> Tuple[Listing, Reader]:
    """What layouts.assess() wants. Errors: as list_files(); the reader has none."""
    return list_files(path), lambda name, part: _read(os.path.normpath(os.path.join(path, name)) if name else path, part)


def _read(path: str, part: str) -> Optional[bytes]:
    try:
        with open(path, "rb") as file:
            if part == "tail":
                file.seek(max(0, os.fstat(file.fileno()).st_size - ZIP_TAIL))
                return file.read(ZIP_TAIL)
            if part != "head":
                return file.read(JSON_BYTES_MAX + 1)
            length = file.read(8)
            size = int.from_bytes(length, "little")
            return length + file.read(size) if size <= min(HEADER_BYTES_MAX, os.fstat(file.fileno()).st_size) else length
    except OSError:
        return None
