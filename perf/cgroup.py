# SPDX-License-Identifier: Apache-2.0
"""CPU time of whole groups of processes, forks included, by cgroup v2.

`cpu.stat` of a group counts everything that ever ran in it, which no sum over processes does: peers fork, and what
their children's children used is lost when nobody waits for it.
"""
import os
import pathlib
import signal
import time

STOP_LIMIT_S = 10.0


def v2_root():
    """Where cgroup v2 is mounted and may be written, or None."""
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        _, where, kind = line.split()[:3]
        if kind == "cgroup2" and os.access(where, os.W_OK):
            return pathlib.Path(where)
    return None


class Group:
    """A cgroup of our own. `prefix` before a command runs it inside; end() ends what is left there and removes it."""

    def __init__(self, path):
        self.path = path
        self.prefix = ["sh", "-c", "echo $$ > %s/cgroup.procs && exec \"$@\"" % self.path, "sh"]

    @classmethod
    def create(cls, name):
        root = v2_root()
        if root is None:
            raise RuntimeError("no cgroup v2 that may be written: CPU time of forks cannot be measured (needs root)")
        (root / name).mkdir()
        return cls(root / name)

    def adopt(self, pid):
        (self.path / "cgroup.procs").write_text(str(pid))

    def seconds(self):
        """User and system time so far."""
        fields = dict(line.split() for line in (self.path / "cpu.stat").read_text().splitlines())
        return (int(fields["user_usec"]) + int(fields["system_usec"])) / 1e6

    def processes(self):
        """Kernel threads, which have no program, are not listed: they end with what they serve."""
        pids = [int(line) for line in (self.path / "cgroup.procs").read_text().split()]
        return [pid for pid in pids if is_program(pid)]

    def kill(self):
        """Ends every process inside, at once."""
        end = time.monotonic() + STOP_LIMIT_S
        while (left := self.processes()) and time.monotonic() < end:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            time.sleep(0.02)

    def end(self):
        limit = time.monotonic() + STOP_LIMIT_S
        while time.monotonic() < limit:
            self.kill()  # each time: what was only just started comes in late
            try:
                self.path.rmdir()
                return
            except OSError:  # a kernel thread is still on its way out
                time.sleep(0.05)
        print("perf: the cgroup %s is still in use; remove it with rmdir" % self.path)


def is_program(pid):
    try:
        stat = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
        return stat[0] not in "ZX" and os.readlink("/proc/%d/exe" % pid) != ""
    except OSError:
        return False
