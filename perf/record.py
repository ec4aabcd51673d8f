# SPDX-License-Identifier: Apache-2.0
"""What every measurement writes down beside its figures, and where."""
import functools
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parents[1]


def machine():
    commit()  # now, and kept
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    flags = re.search(r"^flags\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    simd = [flag for flag in ("avx2", "vaes", "avx512f") if flags and flag in flags.group(1).split()]
    return {"cpu": model.group(1) if model else platform.processor(), "simd": simd, "cores": os.cpu_count(),
            "kernel": platform.release(), "load": os.getloadavg()[0]}


def stolen_seconds():
    """Of all cores since the start: what the machine's host gave to somebody else while there was work."""
    fields = pathlib.Path("/proc/stat").read_text().splitlines()[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK") if len(fields) > 8 else 0.0


@functools.cache  # what was measured is what stood there when it began
def commit():
    done = subprocess.run(["git", "-C", str(REPO), "describe", "--always", "--dirty", "--abbrev=12"],
                          capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def where(name):
    """perf/results/NAME-<commit>-<time>.json."""
    path = REPO / "perf" / "results" / ("%s-%s-%s.json" % (name, commit(), now()))
    path.parent.mkdir(exist_ok=True)
    return path


def now():
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())


def save(path, content):
    """Puts `content` there with what goes into every file. Whole or not at all, so that it may be called again and again."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"v": 1, "commit": commit(), "command": sys.argv[1:], "time": now(), **content}, indent=1) + "\n")
    fresh.replace(path)


def write(name, before, rows, raw, left_out):
    """A whole result at once; `before` is the machine as it was when the measurement began."""
    path = where(name)
    save(path, {"machine": before, "rows": rows, "raw": raw, "left_out": left_out})
    print("written to " + str(path.relative_to(REPO)))
    return path
