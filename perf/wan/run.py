#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures whole commands over an emulated wide-area link, and their peers in the same run.

For each loss rate: a null test of the emulator, iperf3 over TCP (memory to memory, a ceiling), an rsync daemon, and
Tideway, with one large random file, one file as large as the tree, and a tree of small files. Repetitions are
interleaved. Files are on tmpfs, what arrived is compared, and the emulator starts anew for each command, so that its
counters belong to it. Prints a table and writes perf/results/wan-<commit>-<time>.json. Needs root, iperf3 and rsync;
what is missing is left out by name.
"""
import argparse
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "perf"))
import record  # noqa: E402
TESTBED = REPO / "scripts" / "testbed.sh"
MIB = 1 << 20
LINK_OVERHEAD = 38            # Ethernet header, FCS, preamble and gap, per IP packet
PAYLOAD = {"tideway": 1408, "tcp": 1448, "udp": 1448}  # of a full packet at MTU 1500
RSYNC_PORT = 8730
COMMAND_LIMIT_S = 300         # a peer that takes longer is reported as not done


def ideal_mbit(rate_mbit, kind, loss):
    """What a link that is never idle carries in payload; resends cost the share that is lost."""
    ip_packet = 1484 if kind == "tideway" else 1500
    return rate_mbit * PAYLOAD[kind] / (ip_packet + LINK_OVERHEAD) * (1 - loss)


class Site:
    """Runs commands at one end of the testbed."""

    def __init__(self, testbed, name):
        self.prefix = [str(TESTBED), "exec", name]
        self.env = testbed.env

    def run(self, *command, **kwargs):
        return subprocess.run(self.prefix + list(map(str, command)), env=self.env, capture_output=True, text=True,
                              timeout=COMMAND_LIMIT_S, **kwargs)

    def start(self, *command, **kwargs):
        return subprocess.Popen(self.prefix + list(map(str, command)), env=self.env, text=True, **kwargs)


class Testbed:
    def __init__(self, work):
        name = "twperf%d" % os.getpid()
        self.env = dict(os.environ, TIDEWAY_TESTBED=name, TIDEWAY_TESTBED_STATE=str(work / "testbed"))
        self.state = work / "testbed" / name
        self.a, self.b = Site(self, "a"), Site(self, "b")

    def call(self, verb, *flags):
        done = subprocess.run([str(TESTBED), verb, *flags], env=self.env, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit("perf: testbed %s failed: %s" % (verb, done.stderr.strip()))

    def counters(self):
        """The emulator's last second of statistics, after it has seen the last frame."""
        time.sleep(1.1)
        lines = (self.state / "stats.jsonl").read_text().splitlines()
        return json.loads(lines[-1]) if lines else {}


def cpu_of(pid):
    """User and system seconds of a process and its dead children."""
    try:
        fields = pathlib.Path("/proc/%d/stat" % pid).read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return sum(int(value) for value in fields[11:15]) / os.sysconf("SC_CLK_TCK")


def wait_for(what, limit_s=10.0):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.05)
    return False


# ---- data ------------------------------------------------------------------------------------------------------------

def make_data(folder, options):
    source = folder / "source"
    source.mkdir()
    with open(source / "large.bin", "wb") as out:
        for _ in range(options.size_mib):
            out.write(os.urandom(MIB))
    choice = random.Random(1)
    total = 0
    for i in range(options.files):
        name = source / "tree" / ("d%03d" % (i // 100)) / ("f%05d.bin" % i)
        name.parent.mkdir(parents=True, exist_ok=True)
        size = choice.randrange(1, 26_200)   # 13.1 kB on average: 10,000 files are 131 MB
        total += size
        name.write_bytes(os.urandom(size))
    (source / "same.bin").write_bytes(os.urandom(total))
    return source


def size_of(path):
    if path.is_file():
        return path.stat().st_size
    return sum(entry.stat().st_size for entry in path.rglob("*") if entry.is_file())


def is_equal(left, right):
    return subprocess.run(["diff", "-rq", "--exclude=.tideway-manifest", left, right], capture_output=True).returncode == 0


# ---- what is measured ------------------------------------------------------------------------------------------------

class Iperf:
    """TCP from memory to memory: a ceiling, not a peer."""

    def __init__(self, testbed, congestion, streams, seconds):
        self.testbed, self.congestion, self.streams, self.seconds = testbed, congestion, streams, seconds
        self.name = "iperf3 %s x%d" % (congestion, streams)
        self.kind = "tcp"

    def measure(self, _what, _repeat):
        server = self.testbed.b.start("iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
        time.sleep(0.3)
        done = self.testbed.a.run("iperf3", "-c", "10.77.0.2", "-t", self.seconds, "-C", self.congestion,
                                  "-P", self.streams, "-J")
        server.wait(timeout=30)
        report = json.loads(done.stdout)
        if "error" in report:
            return {"error": report["error"]}
        received = report["end"]["sum_received"]
        return {"seconds": received["seconds"], "bytes": received["bytes"], "mbit": received["bits_per_second"] / 1e6}


class NullTest:
    """UDP under the link's rate: what is lost here, the emulator lost."""
    name, kind = "null: iperf3 UDP", "udp"

    def __init__(self, testbed, mbit, seconds):
        self.testbed, self.mbit, self.seconds = testbed, mbit, seconds

    def measure(self, _what, _repeat):
        server = self.testbed.b.start("iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
        time.sleep(0.3)
        done = self.testbed.a.run("iperf3", "-c", "10.77.0.2", "-u", "-b", "%dM" % self.mbit, "-l", 1448, "-w", "4M",
                                  "--pacing-timer", 200, "-t", self.seconds, "-J")
        server.wait(timeout=30)
        total = json.loads(done.stdout)["end"]["sum"]
        lost = total["lost_percent"] / 100
        return {"seconds": total["seconds"], "bytes": total["bytes"], "lost_share": lost,
                "mbit": total["bits_per_second"] / 1e6 * (1 - lost)}


class Rsync:
    name, kind = "rsync daemon (clear text)", "tcp"

    def __init__(self, testbed, work, source):
        self.testbed, self.source = testbed, source
        self.root = work / "rsync"
        self.root.mkdir()
        config = work / "rsyncd.conf"
        config.write_text(f"port = {RSYNC_PORT}\nuse chroot = no\npid file = {work / 'rsyncd.pid'}\n[m]\npath = {self.root}\n"
                          f"read only = no\nuid = {os.getuid()}\ngid = {os.getgid()}\n")
        self.daemon = testbed.b.start("rsync", "--daemon", "--no-detach", "--config", config, stdout=subprocess.DEVNULL)
        if not wait_for((work / "rsyncd.pid").exists):
            sys.exit("perf: the rsync daemon did not start")

    def measure(self, what, repeat):
        target = "%s-%d" % (what, repeat)
        (self.root / target).mkdir()
        source = self.source / what
        command = ["rsync", "-rW", "--inplace", str(source) + ("/" if source.is_dir() else ""),
                   "rsync://10.77.0.2:%d/m/%s/" % (RSYNC_PORT, target)]
        measured = timed(lambda: self.testbed.a.run(*command), self.daemon)
        arrived = self.root / target if source.is_dir() else self.root / target / what
        return finish(measured, source, arrived, self.root / target)

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait(timeout=10)


class Tideway:
    name, kind = "tideway (encrypted, verified)", "tideway"

    def __init__(self, testbed, work, source, options):
        self.testbed, self.source, self.options = testbed, source, options
        self.program, daemon = options.bin / "tideway", options.bin / "tidewayd"
        for program in (self.program, daemon):
            if not program.exists():
                raise FileNotFoundError("%s is not built" % program)
        pki = work / "pki"
        self.pki("init", "--out", pki, "--trust-domain", "perf.example")
        self.configs = {}
        for site, peer, host, other in (("atlanta", "wisconsin", 1, 2), ("wisconsin", "atlanta", 2, 1)):
            self.configs[site] = self.configure(work, pki, site, peer, host, other)
        self.log = open(work / "tidewayd.log", "w+")
        self.daemon = testbed.b.start(daemon, "--config", self.configs["wisconsin"], stdout=self.log,
                                      stderr=subprocess.STDOUT)
        said = lambda: pathlib.Path(self.log.name).read_text()
        wait_for(lambda: re.search(r"^ready", said(), re.M) or self.daemon.poll() is not None, 15)
        if not re.search(r"^ready", said(), re.M):
            self.daemon.kill()
            raise RuntimeError("tidewayd did not become ready: " + said()[-500:])
        self.root = work / "wisconsin" / "data"

    def pki(self, *arguments):
        done = subprocess.run([str(self.program), "pki", *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError("tideway pki %s: %s" % (arguments[0], done.stderr.strip()))

    def configure(self, work, pki, site, peer, host, other):
        home = work / site
        (home / "data").mkdir(parents=True)
        self.pki("issue", "--ca", pki, "--site", site, "--gateway", "gw1", "--out", home / "tls")
        config = home / "tideway.toml"
        config.write_text(f'''[site]
name = "{site}"
gateway = "gw1"
trust_domain = "perf.example"
state_dir = "{home / "state"}"
[tls]
ca = "{home / "tls/ca.crt"}"
cert = "{home / "tls/gateway.crt"}"
key = "{home / "tls/gateway.key"}"
[listen]
control = "10.77.0.{host}:7400"
[data_plane]
address = "10.77.0.{host}:7401"
[[root]]
name = "data"
path = "{home / "data"}"
[[grant]]
peer = "spiffe://perf.example/site/{peer}/gw/*"
root = "data"
ops = ["read", "list", "write"]
[[peer]]
name = "{peer}"
control = "10.77.0.{other}:7400"
''')
        return config

    def measure(self, what, repeat):
        source, target = self.source / what, "%s-%d" % (what, repeat)
        command = [self.program, "--config", self.configs["atlanta"], "copy", "--direct", *self.options.tideway_flag,
                   source, "wisconsin:data/" + target]
        measured = timed(lambda: self.testbed.a.run(*command), self.daemon)
        return finish(measured, source, self.root / target, self.root / target)

    def stop(self):
        self.daemon.terminate()
        self.daemon.wait(timeout=30)


def children_cpu():
    times = os.times()
    return times.children_user + times.children_system


def timed(command, daemon):
    """Runs the command; with it the seconds and the CPU seconds of both ends."""
    before = children_cpu() + cpu_of(daemon.pid)
    start = time.monotonic()
    done = command()
    seconds = time.monotonic() - start
    return done, seconds, children_cpu() + cpu_of(daemon.pid) - before


def finish(measured, source, arrived, cleanup):
    done, seconds, cpu = measured
    if done.returncode != 0:
        result = {"error": "exit %d: %s" % (done.returncode, done.stderr.strip()[-300:])}
    elif not is_equal(source, arrived):
        result = {"error": "what arrived differs from the source"}
    else:
        size = size_of(source)
        result = {"seconds": seconds, "cpu_seconds": cpu, "bytes": size, "mbit": size * 8 / seconds / 1e6}
    if cleanup.is_dir():
        shutil.rmtree(cleanup)
    elif cleanup.exists():
        cleanup.unlink()
    return result


# ---- the run ---------------------------------------------------------------------------------------------------------

def measure_once(runner, what, repeat, link):
    """One command over a fresh link; the emulator's own troubles are part of the result."""
    testbed = runner.testbed
    testbed.call("restart", *link)
    try:
        result = runner.measure(what, repeat)
    except subprocess.TimeoutExpired:
        result = {"error": "not done in %d s" % COMMAND_LIMIT_S}
    counters = testbed.counters()
    result["emulator"] = {"cpu_seconds": counters.get("cpu_seconds"), "seconds": counters.get("seconds")}
    for direction in ("ab", "ba"):
        part = counters.get(direction, {})
        result["emulator"][direction] = {key: part.get(key) for key in (
            "frames_in", "dropped_loss", "dropped_queue", "queue_peak_bytes", "late_mean_s", "late_max_s", "mistakes")}
    return result


def summarise(results, options):
    rows = []
    for (loss, name, what), runs in results.items():
        good = [run for run in runs if "error" not in run]
        row = {"loss": loss, "system": name, "what": what, "runs": len(runs),
               "errors": [run["error"] for run in runs if "error" in run]}
        if good:
            rates = [run["mbit"] for run in good]
            kind = options.kinds[name]
            row.update(mbit=statistics.median(rates), mbit_min=min(rates), mbit_max=max(rates),
                       seconds=statistics.median(run["seconds"] for run in good),
                       of_ideal=statistics.median(rates) / ideal_mbit(options.rate, kind, loss))
            cpu = [run["cpu_seconds"] / run["bytes"] * 1e9 for run in good if "cpu_seconds" in run]
            if cpu:
                row["cpu_s_per_gb"] = statistics.median(cpu)
        mistakes = sum(sum((run["emulator"][d]["mistakes"] or {}).values()) for run in runs for d in ("ab", "ba"))
        row["emulator_mistakes"] = mistakes
        row["emulator_late_max_s"] = max((run["emulator"]["ab"]["late_max_s"] or 0) for run in runs)
        if options.kinds[name] == "udp":
            dropped = sum(run["emulator"]["ab"]["dropped_queue"] or 0 for run in runs)
            row["notes"] = ["emulator lost %d frames unasked, iperf3 itself %.2f %%" % (
                dropped + mistakes, 100 * statistics.median(run.get("lost_share", 0) for run in runs))]
        rows.append(row)
    return rows


def print_table(rows):
    print("%-6s %-31s %-10s %8s %17s %7s %7s %8s  %s" % (
        "loss", "system", "what", "Mbit/s", "min..max", "s", "ideal", "CPUs/GB", "notes"))
    for row in rows:
        notes = row["errors"][:1] + row.get("notes", [])
        if row["emulator_mistakes"]:
            notes.append("emulator made %d mistakes" % row["emulator_mistakes"])
        if row["emulator_late_max_s"] > 0.02:
            notes.append("emulator late by up to %.0f ms" % (row["emulator_late_max_s"] * 1e3))
        if "mbit" in row:
            print("%-6s %-31s %-10s %8.0f %17s %7.2f %7.3f %8s  %s" % (
                "%g%%" % (row["loss"] * 100), row["system"], row["what"], row["mbit"],
                "%.0f..%.0f" % (row["mbit_min"], row["mbit_max"]), row["seconds"], row["of_ideal"],
                "%.2f" % row["cpu_s_per_gb"] if "cpu_s_per_gb" in row else "-", "; ".join(notes)))
        else:
            print("%-6s %-31s %-10s %8s  %s" % (
                "%g%%" % (row["loss"] * 100), row["system"], row["what"], "-", "; ".join(notes)))
    by_key = {(row["loss"], row["system"], row["what"]): row for row in rows if "seconds" in row}
    for (loss, system, what), row in by_key.items():
        same = by_key.get((loss, system, "same.bin"))
        if what == "tree" and same:
            print("tree over one file of its size, %s, loss %g%%: %.2f" % (
                system, loss * 100, row["seconds"] / same["seconds"]))


def runners_for(options, testbed, work, source):
    """What can be measured here; the rest is named once."""
    runners, left_out = [], []
    runners.append(NullTest(testbed, int(0.95 * ideal_mbit(options.rate, "udp", 0)), options.seconds))
    available = pathlib.Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
    for congestion in ("cubic", "bbr"):
        if congestion in available:
            runners += [Iperf(testbed, congestion, streams, options.seconds) for streams in options.streams]
        else:
            left_out.append("iperf3 %s: not in this kernel" % congestion)
    files = []
    if shutil.which("rsync"):
        files.append(Rsync(testbed, work, source))
    else:
        left_out.append("rsync is not installed")
    try:
        files.append(Tideway(testbed, work, source, options))
    except (FileNotFoundError, RuntimeError) as error:
        left_out.append("tideway: %s" % error)
    return runners, files, left_out


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true",
                        help="smaller data, one repetition: a look, not a measurement")
    parser.add_argument("--rate", type=int, default=1000, metavar="MBIT", help="of the link (default 1000)")
    parser.add_argument("--rtt", type=float, default=50.0, metavar="MS", help="round trip (default 50)")
    parser.add_argument("--loss", default="0,0.1", metavar="PERCENT,...", help="one way (default 0,0.1)")
    parser.add_argument("--repeats", type=int, default=None, help="default 5, with --quick 1")
    parser.add_argument("--only", default="", metavar="TEXT", help="systems whose name contains this")
    parser.add_argument("--bin", type=pathlib.Path, default=REPO / "build" / "release" / "bin",
                        help="where tideway and tidewayd are")
    parser.add_argument("--tideway-flag", action="append", default=[],
                        help="given to tideway copy, such as --tideway-flag=--flows=4")
    options = parser.parse_args()
    options.size_mib, options.files, options.seconds = (128, 2000, 5) if options.quick else (512, 10_000, 10)
    options.streams = (1,) if options.quick else (1, 8)
    options.repeats = options.repeats or (1 if options.quick else 5)
    options.losses = [float(value) / 100 for value in options.loss.split(",")]
    return options


def run(options, testbed, work):
    source = make_data(work, options)
    testbed.call("up", "--rate", "%dMbit" % options.rate)
    runners, files, left_out = runners_for(options, testbed, work, source)
    plan = [(runner, "memory") for runner in runners]
    plan += [(runner, what) for runner in files for what in ("large.bin", "same.bin", "tree")]
    plan = [(runner, what) for runner, what in plan if options.only in runner.name]
    options.kinds = {runner.name: runner.kind for runner, _ in plan}
    results = {}
    try:
        for loss in options.losses:
            for repeat in range(options.repeats):
                for runner, what in plan:
                    link = ["--rate", "%dMbit" % options.rate, "--delay", "%gms" % (options.rtt / 2),
                            "--loss", "%g%%" % (loss * 100), "--seed", str(repeat + 1)]
                    result = measure_once(runner, what, repeat, link)
                    results.setdefault((loss, runner.name, what), []).append(result)
                    print("  %s %s, loss %g%%: %s" % (runner.name, what, loss * 100,
                          result.get("error") or "%.0f Mbit/s" % result["mbit"]), file=sys.stderr)
    finally:
        for runner in files:
            runner.stop()
    return results, left_out


def main():
    options = parse_options()
    if os.geteuid() != 0:
        sys.exit("perf: network namespaces need root")
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    work = pathlib.Path(tempfile.mkdtemp(prefix="tideway-perf-", dir=memory))
    testbed = Testbed(work)
    before = record.machine()
    try:
        results, left_out = run(options, testbed, work)
    finally:
        testbed.call("down")
        shutil.rmtree(work, ignore_errors=True)
    rows = summarise(results, options)
    print("link %d Mbit/s, RTT %g ms, MTU 1500; %d MiB random file, %d small files, one file of their size, median of %d"
          % (options.rate, options.rtt, options.size_mib, options.files, options.repeats))
    print_table(rows)
    for line in left_out:
        print("left out: " + line)
    raw = [{"loss": loss, "system": name, "what": what, "runs": runs} for (loss, name, what), runs in results.items()]
    record.write("wan", before, rows, raw, left_out)


if __name__ == "__main__":
    main()
