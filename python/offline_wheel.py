# SPDX-License-Identifier: Apache-2.0
"""Builds the package for pip (PEP 517) with the standard library alone: where there is no network there may be no setuptools or wheel
either. It reads the plain lines of pyproject.toml that it needs; Python has a reader of TOML from 3.11 on only.
"""
from __future__ import annotations

import ast
import base64
import hashlib
import io
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

HERE = Path(__file__).resolve().parent
PACKAGE = "tideway"
TAG = "py3-none-any"
EPOCH = (1980, 1, 1, 0, 0, 0)  # of a zip: the same sources are the same wheel


def _tables() -> Dict[str, Dict[str, str]]:
    """Of pyproject.toml, each `name = "text"` by its table."""
    tables: Dict[str, Dict[str, str]] = {}
    table = ""
    for line in (HERE / "pyproject.toml").read_text(encoding="utf-8").splitlines():
        if line.startswith("["):
            table = line.strip("[] ").replace('"', "")
        elif found := re.fullmatch(r'([\w.-]+) = (".*")', line):
            tables.setdefault(table, {})[found[1]] = ast.literal_eval(found[2])
    return tables


def _sources() -> List[Path]:
    return sorted(path for path in (HERE / PACKAGE).rglob("*") if path.suffix == ".py" or path.name == "py.typed")


def _metadata() -> Tuple[str, str]:
    """Name and version as in file names, and the text of METADATA."""
    project = _tables()["project"]
    lines = ["Metadata-Version: 2.1", f"Name: {project['name']}", f"Version: {project['version']}", f"Summary: {project['description']}",
             "License: Apache-2.0", f"Requires-Python: {project['requires-python']}"]
    return f"{project['name']}-{project['version']}", "\n".join(lines) + "\n"


def build_wheel(wheel_directory: str, config_settings: Optional[Dict[str, Any]] = None, metadata_directory: Optional[str] = None) -> str:
    return _write_wheel(wheel_directory, {path.relative_to(HERE).as_posix(): path.read_bytes() for path in _sources()})


def build_editable(wheel_directory: str, config_settings: Optional[Dict[str, Any]] = None, metadata_directory: Optional[str] = None) -> str:
    """Of pip install -e (PEP 660): a line that leads the interpreter here."""
    return _write_wheel(wheel_directory, {f"{PACKAGE}.pth": f"{HERE}\n".encode()})


def _write_wheel(wheel_directory: str, files: Dict[str, bytes]) -> str:
    title, metadata = _metadata()
    info = f"{title}.dist-info"
    groups = {table.partition("entry-points.")[2]: points for table, points in _tables().items() if table.startswith("project.entry-points.")}
    entry_points = "".join(f"[{group}]\n" + "".join(f"{name} = {target}\n" for name, target in points.items()) for group, points in groups.items())
    files[f"{info}/METADATA"] = metadata.encode()
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nGenerator: {PACKAGE}\nRoot-Is-Purelib: true\nTag: {TAG}\n".encode()
    files[f"{info}/entry_points.txt"] = entry_points.encode()
    rows = [f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b'=').decode()},{len(data)}" for name, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,"]).encode() + b"\n"
    wheel = f"{title}-{TAG}.whl"
    with zipfile.ZipFile(Path(wheel_directory) / wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
    return wheel


def build_sdist(sdist_directory: str, config_settings: Optional[Dict[str, Any]] = None) -> str:
    title, metadata = _metadata()
    with tarfile.open(Path(sdist_directory) / f"{title}.tar.gz", "w:gz") as archive:
        for path in [HERE / "pyproject.toml", HERE / "offline_wheel.py", *_sources()]:
            archive.add(path, f"{title}/{path.relative_to(HERE).as_posix()}")
        entry = tarfile.TarInfo(f"{title}/PKG-INFO")
        entry.size = len(metadata)
        archive.addfile(entry, io.BytesIO(metadata.encode()))
    return f"{title}.tar.gz"
