# SPDX-License-Identifier: Apache-2.0
"""What reads, writes or copies one large file on a disk. Each measure() returns seconds and bytes, and copies are compared."""
import filecmp
import json
import os
import shutil
import subprocess
import time

import pair

FIO_BLOCK = "1M"
FIO_DEPTH = "32"  # of direct I/O: enough for any device to show what it has
DEVICE_BOTH, DEVICE_TWICE = "device, write and read", "device, write and read twice"
WAN_RATE = "1Gbit"  # of a link between sites, where the disk is not what limits
AT_WAN = "tideway at %s/s, --verify " % WAN_RATE
COMMAND_LIMIT_S = 900
STOP_LIMIT_S = 10


class Bench:
    """Folders of one run, and commands whose CPU time is counted where cgroups are there."""

    def __init__(self, work, size_mib, group):
        self.work, self.group = work, group
        self.size = size_mib << 20
        self.source, self.arrived = work / "source.bin", work / "arrived"

    def make_source(self):
        with open(self.source, "wb") as out:
            for _ in range(self.size >> 20):
                out.write(os.urandom(1 << 20))
            os.fsync(out.fileno())

    def set_cache(self, cache):
        """Cold: nothing of the source is in the page cache; warm: all of it. What was written before is on the disk."""
        shutil.rmtree(self.arrived, ignore_errors=True)
        self.arrived.mkdir()
        os.sync()
        with open(self.source, "rb") as file:
            if cache == "cold":
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            elif cache == "warm":
                while file.read(1 << 20):
                    pass

    def run(self, *command, check=True):
        prefix = self.group.prefix if self.group else []
        done = subprocess.run(prefix + list(map(str, command)), capture_output=True, text=True, timeout=COMMAND_LIMIT_S)
        if check and done.returncode != 0:
            raise RuntimeError("%s: exit %d: %s" % (os.path.basename(command[0]), done.returncode, (done.stderr or done.stdout).strip()[-300:]))
        return done

    def timed(self, *command):
        before = self.group.seconds() if self.group else None
        start = time.monotonic()
        self.run(*command)
        result = {"seconds": time.monotonic() - start, "bytes": self.size}
        if self.group:
            result["cpu_seconds"] = self.group.seconds() - before
        return result

    def compare(self, result):
        if not filecmp.cmp(self.source, self.arrived / self.source.name, shallow=False):
            return {"error": "what arrived differs from the source"}
        return result


class Fio:
    """Sequential, one job. Direct I/O with many requests under way is the device's own rate."""
    needs = ("fio",)

    def __init__(self, bench, name, direction, caches):
        self.bench, self.name, self.direction, self.caches = bench, name, direction, caches
        self.role = "device" if caches == ("direct",) else "limit"

    def prepare(self):
        pass

    def measure(self, cache):
        place = self.bench.source if self.direction == "read" else self.bench.arrived / "fio.bin"
        how = ["--direct=1", "--ioengine=io_uring", "--iodepth=" + FIO_DEPTH] if cache == "direct" else ["--ioengine=psync"]
        done = self.bench.run("fio", "--name=t", "--filename=%s" % place, "--rw=" + self.direction, "--bs=" + FIO_BLOCK,
                              "--size=%d" % self.bench.size, "--end_fsync=1", "--invalidate=0", "--output-format=json", *how)
        # A warning may stand in front of the JSON.
        job = json.loads(done.stdout[done.stdout.index("{"):])["jobs"][0]
        part = job[self.direction]
        return {"seconds": job["job_runtime"] / 1000, "bytes": part["io_bytes"],
                "cpu_seconds": (job["usr_cpu"] + job["sys_cpu"]) / 100 * job["job_runtime"] / 1000}

    def stop(self):
        pass


class FioBoth:
    """What the device does when it writes each byte once and reads as many, or twice as many, at the same time: all that a copy needs of it that reads back
    what it wrote, and, for twice, its source too."""
    needs = ("fio",)
    role = "device"
    caches = ("direct",)

    def __init__(self, bench, name, reads):
        self.bench, self.name, self.reads = bench, name, reads

    def prepare(self):
        pass

    def measure(self, cache):
        both = ["--bs=" + FIO_BLOCK, "--size=%d" % self.bench.size, "--direct=1", "--ioengine=io_uring", "--iodepth=" + FIO_DEPTH, "--end_fsync=1", "--invalidate=0"]
        done = self.bench.run("fio", "--output-format=json", "--name=w", "--filename=%s" % (self.bench.arrived / "fio.bin"), "--rw=write", *both,
                              "--name=r", "--filename=%s" % self.bench.source, "--rw=read", "--loops=%d" % self.reads, *both)
        jobs = json.loads(done.stdout[done.stdout.index("{"):])["jobs"]
        written, read = (sum(job[way]["io_bytes"] for job in jobs) for way in ("write", "read"))
        if (written, read) != (self.bench.size, self.reads * self.bench.size):
            raise RuntimeError("fio wrote %d bytes and read %d" % (written, read))
        return {"seconds": max(job["job_runtime"] for job in jobs) / 1000, "bytes": self.bench.size,
                "cpu_seconds": sum((job["usr_cpu"] + job["sys_cpu"]) / 100 * job["job_runtime"] / 1000 for job in jobs)}

    def stop(self):
        pass


class Cp:
    """`cp` leaves the bytes in the page cache; with sync it promises what Tideway promises."""
    needs = ("cp", "sync")
    role = "peer"
    caches = ("cold", "warm")

    def __init__(self, bench, name, after):
        self.bench, self.name, self.after = bench, name, after

    def prepare(self):
        pass

    def measure(self, cache):
        target = self.bench.arrived / self.bench.source.name
        script = "cp --reflink=never \"$1\" \"$2\" " + self.after
        return self.bench.compare(self.bench.timed("sh", "-c", script, "sh", self.bench.source, target))

    def stop(self):
        pass


class Tideway:
    """Two gateways of this machine over loopback: encrypted, verified, and on the disk before it says so."""
    needs = ()
    role = "ours"

    def __init__(self, bench, programs, name, variant, caches=("cold", "warm")):
        """`variant`: lines for both configurations, and flags of the copy."""
        self.bench, self.name, self.caches = bench, name, caches
        self.more, self.flags = variant
        self.pair = pair.Pair(programs, bench.work)
        self.gateway = None

    def prepare(self):
        reason = self.pair.why_not()
        if reason:
            raise RuntimeError(reason)
        self.pair.issue()

    def measure(self, cache):
        # Below the ports that the kernel gives to others, and apart for each process that measures.
        control = 12000 + os.getpid() % 8000
        self.pair.configure([pair.Place("127.0.0.1", control + 1, control + 10_100), pair.Place("127.0.0.1", control, control + 10_000)],
                            [self.bench.work / "atlanta" / "data", self.bench.arrived], self.more)
        log_path = self.bench.work / "tidewayd.log"
        with open(log_path, "w") as log:
            prefix = self.bench.group.prefix if self.bench.group else []
            self.gateway = subprocess.Popen(prefix + list(map(str, self.pair.serve("wisconsin"))), stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=subprocess.STDOUT)
        pair.wait_until_ready(self.gateway, log_path)
        return self.bench.compare(self.bench.timed(*self.pair.copy("--direct", *self.flags, self.bench.source,
                                                                   "wisconsin:data/" + self.bench.source.name)))

    def stop(self):
        if self.gateway is None:
            return
        self.gateway.terminate()
        try:
            self.gateway.wait(timeout=STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self.gateway.kill()
            self.gateway.wait()
        self.gateway = None


def systems(bench, programs):
    fio = [Fio(bench, "device, read", "read", ("direct",)), Fio(bench, "device, write", "write", ("direct",)),
           FioBoth(bench, DEVICE_BOTH, 1), FioBoth(bench, DEVICE_TWICE, 2), Fio(bench, "fio read", "read", ("cold", "warm")), Fio(bench, "fio write, fsync", "write", ("buffered",))]
    copies = [Cp(bench, "cp", ""), Cp(bench, "cp, then sync", "&& sync \"$2\"")]
    at_wan = [Tideway(bench, programs, AT_WAN + level, ("", ["--bwlimit", WAN_RATE, "--verify", level]), ("warm",))
              for level in ("wire", "memory", "readback")]
    return fio + copies + at_wan + [Tideway(bench, programs, *kind) for kind in (
        ("tideway", ("", [])),
        ("tideway --verify wire", ("", ["--verify", "wire"])),
        ("tideway --verify readback", ("", ["--verify", "readback"])),
        ("tideway, direct_io = off", ("[storage]\ndirect_io = \"off\"\n", [])),
        ("tideway, io = threads", ("[storage]\nio = \"threads\"\n", [])))]
