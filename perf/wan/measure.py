# SPDX-License-Identifier: Apache-2.0
"""One command over a fresh link: seconds, bytes, CPU time of both ends, and the link's own troubles."""
import shutil
import subprocess
import time

import cells
from data import is_equal, size_of
from testbed import ideal_mbit

COUNTERS = ("frames_in", "dropped_loss", "dropped_queue", "queue_peak_bytes", "late_mean_s", "late_max_s", "mistakes")


def measure(system, cell, data, seed):
    """The result of one run as a dict; one that failed has an "error", one that took too long an "unfinished" as well."""
    link, what = cell
    source = None if what == cells.MEMORY else data.path(what)
    arrived = system.work / "arrived"
    shutil.rmtree(arrived, ignore_errors=True)
    arrived.mkdir()
    system.testbed.restart(*link.flags(system.options.rate, seed))
    try:
        system.start(arrived, link)
        result = run_command(system, source, arrived)
    except RuntimeError as error:
        result = {"error": str(error)}
    finally:
        system.stop()
        system.testbed.kill()
        counters = system.testbed.counters()
    if source and "error" not in result and not is_equal(source, arrived / source.name):
        result = {"error": "what arrived differs from the source"}
    shutil.rmtree(arrived)
    result["emulator"] = read_counters(counters)
    if "seconds" in result:
        result["mbit"] = result["bytes"] * 8 / result["seconds"] / 1e6
        result["of_ideal"] = result["mbit"] / ideal_mbit(system.options.rate * link.mean_rate, system.kind, link.loss.share)
    return result


def run_command(system, source, arrived):
    command = system.command(source, arrived)
    limit_s = system.options.limit
    before = system.testbed.cpu_seconds()
    start = time.monotonic()
    try:
        done = system.testbed.a.run(*command, limit_s=limit_s)
    except subprocess.TimeoutExpired:
        result = {"error": "not done in %g s" % limit_s, "unfinished": True}
        if source:
            result["mbit_less_than"] = size_of(source) * 8 / limit_s / 1e6
        return result
    seconds = time.monotonic() - start
    after = system.testbed.cpu_seconds()
    result = {"seconds": seconds, "bytes": size_of(source) if source else 0,
              "cpu_seconds": {side: after[side] - before[side] for side in after}}
    result.update(system.judge(done))
    return {"error": result["error"]} if "error" in result else result


def spared(system, cell, easier, data):
    """Instead of a run that could only take too long as well."""
    return {"error": "not run: not done at %s, which is easier" % easier, "unfinished": True, "emulator": read_counters({}),
            "mbit_less_than": size_of(data.path(cell[1])) * 8 / system.options.limit / 1e6}


def read_counters(counters):
    found = {"cpu_seconds": counters.get("cpu_seconds"), "seconds": counters.get("seconds")}
    for direction in ("ab", "ba"):
        part = counters.get(direction, {})
        found[direction] = {key: part.get(key) for key in COUNTERS}
    return found
