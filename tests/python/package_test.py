#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The package as such: it installs without a network, is readable for the oldest Python it names, and brings no framework in."""
import ast
import base64
import configparser
import csv
import hashlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile

from support import REPOSITORY

PACKAGE = REPOSITORY / "python/tideway"


class Package(unittest.TestCase):
    def test_every_file_parses_with_the_oldest_python_it_is_for(self):
        text = (REPOSITORY / "python/pyproject.toml").read_text()
        self.assertIn('requires-python = ">=3.9"', text)
        for path in PACKAGE.rglob("*.py"):
            ast.parse(path.read_text(), str(path), feature_version=(3, 9))

    def test_its_version_is_the_programs(self):
        version = re.search(r"^project\(tideway VERSION ([0-9.]+)", (REPOSITORY / "CMakeLists.txt").read_text(), re.M).group(1)
        self.assertIn(f'version = "{version}"', (REPOSITORY / "python/pyproject.toml").read_text())

    @unittest.skipUnless(shutil.which("mypy"), "mypy is not installed")
    def test_its_types_hold(self):
        with tempfile.TemporaryDirectory(prefix="twpy") as cache:
            found = subprocess.run(["mypy", "--cache-dir", cache, "tideway"], cwd=PACKAGE.parent, capture_output=True, text=True, timeout=100)
        self.assertEqual(found.returncode, 0, found.stdout + found.stderr)

    def test_the_wheel_is_named_and_recorded_as_pip_wants_it(self):
        with tempfile.TemporaryDirectory(prefix="twpy") as folder:
            build = f"import offline_wheel; print(offline_wheel.build_wheel({folder!r}), offline_wheel.build_sdist({folder!r}))"
            names = subprocess.run([sys.executable, "-c", build], cwd=PACKAGE.parent, check=True, capture_output=True, text=True).stdout.split()
            self.assertRegex(names[0], r"^tideway-[\d.]+-py3-none-any\.whl$")
            with zipfile.ZipFile(f"{folder}/{names[0]}") as wheel:
                record = next(name for name in wheel.namelist() if name.endswith("/RECORD"))
                for name, digest, size in csv.reader(io.StringIO(wheel.read(record).decode())):
                    if name != record:
                        data = wheel.read(name)
                        own = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
                        self.assertEqual((digest, int(size)), (f"sha256={own}", len(data)), name)
                self.assertEqual({name for name in wheel.namelist() if name.endswith(".py")},
                                 {path.relative_to(PACKAGE.parent).as_posix() for path in PACKAGE.rglob("*.py")})
            with tarfile.open(f"{folder}/{names[1]}") as archive:
                self.assertTrue({"PKG-INFO", "pyproject.toml", "offline_wheel.py"} <= {os.path.basename(name) for name in archive.getnames()})

    def test_it_is_built_below_a_symbolic_link_too_and_can_be_led_to_where_it_is(self):
        with tempfile.TemporaryDirectory(prefix="twpy") as folder:
            os.symlink(PACKAGE.parent, f"{folder}/linked")
            build = f"import offline_wheel; print(offline_wheel.build_sdist({folder!r}), offline_wheel.build_editable({folder!r}))"
            names = subprocess.run([sys.executable, "-c", build], check=True, capture_output=True, text=True,
                                   env={**os.environ, "PYTHONPATH": f"{folder}/linked"}).stdout.split()
            with tarfile.open(f"{folder}/{names[0]}") as archive:
                self.assertIn("offline_wheel.py", {os.path.basename(name) for name in archive.getnames()})
            with zipfile.ZipFile(f"{folder}/{names[1]}") as wheel:
                self.assertEqual(wheel.read("tideway.pth").decode(), f"{PACKAGE.parent}\n")

    def test_adapters_are_small(self):
        for path in (PACKAGE / "adapters").glob("*.py"):
            self.assertLess(len(path.read_text().split("\n")), 100, path.name)

    def test_importing_it_imports_nothing_but_the_standard_library(self):
        program = "import sys, tideway; print(*sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names)))"
        found = subprocess.run([sys.executable, "-S", "-c", program], check=True, capture_output=True, text=True,
                               env={**os.environ, "PYTHONPATH": str(REPOSITORY / "python")})
        self.assertEqual(found.stdout.split(), ["__main__", "tideway"])

    @unittest.skipUnless(importlib.util.find_spec("pip"), "python3-pip is not installed")
    def test_it_installs_without_a_network_and_fsspec_finds_it(self):
        with tempfile.TemporaryDirectory(prefix="twpy") as folder:
            source, target = f"{folder}/python", f"{folder}/target"
            subprocess.run(["cp", "-r", str(REPOSITORY / "python"), source], check=True)
            subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-compile",
                            "--root-user-action=ignore", "--target", target, source], check=True, timeout=100)
            self.assertTrue(os.path.isfile(f"{target}/tideway/py.typed") and os.path.isfile(f"{target}/tideway/adapters/dcp.py"))
            entry_points, = (os.path.join(target, name, "entry_points.txt") for name in os.listdir(target) if name.endswith(".dist-info"))
            found = configparser.ConfigParser(delimiters="=")
            found.read(entry_points)
            self.assertEqual(found["fsspec.specs"]["tideway"], "tideway.fsspec:TidewayFileSystem")
            shown = subprocess.run([sys.executable, "-m", "tideway", "--help"], check=True, capture_output=True, text=True, cwd=folder,
                                   env={**os.environ, "PYTHONPATH": target})
            self.assertIn("replicate", shown.stdout)
            if importlib.util.find_spec("fsspec"):
                program = "import fsspec; fs = fsspec.filesystem('tideway'); print(type(fs).__module__, fs.spool)"
                shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True,
                                       env={**os.environ, "PYTHONPATH": target, "FSSPEC_TIDEWAY_SPOOL": folder})
                self.assertEqual(shown.stdout.split(), ["tideway.fsspec", os.path.realpath(folder)])


if __name__ == "__main__":
    unittest.main()
