# SPDX-License-Identifier: Apache-2.0
"""Two sites for the demo: a gateway and trainers in a namespace each, an emulated link between them, and whoever looks at site B."""
import hashlib
import json
import mmap
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "perf"), str(REPO / "python")]
import pair  # noqa: E402
from tideway import board  # noqa: E402

ADDRESS = {"a": "10.77.0.1", "b": "10.77.0.2"}
SITE = dict(zip("ab", pair.SITES))
CONTROL = 7400
DATA = range(7401, 7401 + 64)  # of a gateway, see pair.Place
SOCKET_PATH_MAX = 107
LOOK_S = 0.002
STARTS_S, ENDS_S = 90.0, 10.0
RUN = "runs/gpt"
STATE_WORD, BURST = 1, 1  # of a slot of the phase board, docs/scheduling.md
PHASES = '''[[link]]
peer = "{peer}"
[phase]
board = "{home}/phase.board"
[[training]]
name = "gpt"
peers = ["{peer}"]
'''


class Sites:
    """Everything that runs. end() ends it, each process by its number."""

    def __init__(self, programs, work):
        self.work = work
        self.pair = pair.Pair(programs, work)
        self.programs = programs
        self.bed = "twdemo%d" % os.getpid()
        self.bed_env = dict(os.environ, TIDEWAY_TESTBED=self.bed, TIDEWAY_TESTBED_STATE=str(work / "testbed"), TIDEWAY_WAN=str(programs / "tideway-wan"))
        self.running = []
        self.text = work / "text"

    def prepare(self, flags):
        # As it is now: somebody may edit it while the demo runs.
        self.text.write_text("".join(path.read_text(encoding="utf-8") for path in sorted((REPO / "docs").glob("*.md"))), encoding="utf-8")
        for side in "ab":
            if len(self.api(side)) > SOCKET_PATH_MAX:
                raise RuntimeError("%s is too long for the name of a socket; use a tree with a shorter path" % self.api(side))
        self.pair.issue()
        places = [pair.Place(ADDRESS[side], CONTROL, DATA[0], api=str(self.api(side))) for side in "ab"]
        self.pair.configure(places, [self.root(side) for side in "ab"])
        for side, far in ("ab", "ba"):
            config = self.pair.config(SITE[side])
            config.write_text(config.read_text() + PHASES.format(peer=SITE[far], home=self.home(side)))
        ports = [flag for port in (CONTROL, *DATA) for flag in ("--count-port", str(port))]
        self.testbed("up", *flags, *ports, "--counts", str(self.work / "counts.csv"))

    def testbed(self, verb, *flags):
        done = subprocess.run([str(REPO / "scripts" / "testbed.sh"), verb, *flags], env=self.bed_env, capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError("testbed %s: %s" % (verb, done.stderr.strip()))

    def home(self, side):
        return self.work / SITE[side]

    def root(self, side):
        return self.work / ("root-" + side)

    def api(self, side):
        return str(self.home(side) / "api.sock")

    def start(self, side, name, command, **env):
        with open(self.work / (name + ".log"), "w") as log:
            process = subprocess.Popen(["ip", "netns", "exec", "%s-%s" % (self.bed, side), *map(str, command)], env=dict(os.environ, **env),
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        self.running.append(process)
        return process

    def serve(self, side):
        name = "gateway-" + side
        gateway = self.start(side, name, self.pair.serve(SITE[side]))
        pair.wait_until_ready(gateway, self.work / (name + ".log"))
        return gateway

    def train(self, name, sides, arguments, first=()):
        """The two ranks at `sides`, each with what a launcher at its site would set; rank 0 gets `first`, too."""
        (self.work / (name + ".meet")).unlink(missing_ok=True)
        ranks = []
        for rank, side in enumerate(sides):
            env = {"RANK": str(rank), "WORLD_SIZE": str(len(sides)), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1",
                   "PYTHONPATH": "%s:%s" % (REPO / "python", REPO / "tests" / "python"), "TIDEWAY_API": self.api(side),
                   "TIDEWAY_BOARD": str(self.home(side) / "phase.board"), "GLOO_SOCKET_IFNAME": "wan0" if len(set(sides)) > 1 else "lo"}
            command = [sys.executable, REPO / "examples" / "gpt" / "train.py", "--meet", self.work / (name + ".meet"), "--text", self.text,
                       "--log", self.log(name, rank), *arguments, *(first if rank == 0 else ())]
            ranks.append(self.start(side, "%s-%d" % (name, rank), command, **env))
        return ranks

    def log(self, name, rank):
        return self.work / ("%s-%d.jsonl" % (name, rank))

    def verify(self, path):
        """`tideway verify`: every byte against the manifest that came with it. Returns what is wrong, or nothing."""
        done = subprocess.run([str(self.programs / "tideway"), "verify", str(path)], capture_output=True, text=True)
        return "" if done.returncode == 0 else done.stderr.strip()[-300:] or "exit code %d" % done.returncode

    def say_why(self, process, name):
        return RuntimeError("%s ended with %s: %s" % (name, process.poll(), (self.work / (name + ".log")).read_text().strip()[-600:]))

    def end(self):
        for process in self.running:
            if process.poll() is None:
                process.terminate()
        for process in self.running:
            try:
                process.wait(ENDS_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.testbed("down")


def kill(*processes):
    """As a site is lost: all at once, without a word."""
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
    at = time.monotonic()
    for process in processes:
        process.wait()
    return at


def read_log(path):
    """(steps, saves): each by its number. The last line of a killed trainer may be half of one."""
    steps, saves = {}, {}
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        kind, key = (saves, "saved") if "saved" in row else (steps, "step")
        kind[row[key]] = row
    return steps, saves


class Bursts(threading.Thread):
    """When trainers of a site announced that they communicate, as its board showed it: [begin, end] each."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.found = path, []
        self.is_over = threading.Event()

    def run(self):
        words_per_slot = board.SLOT_SIZE // 4
        with open(self.path, "rb") as file, mmap.mmap(file.fileno(), board.SLOTS * board.SLOT_SIZE, access=mmap.ACCESS_READ) as shown:
            was_burst = False
            while not self.is_over.wait(LOOK_S):
                states = memoryview(shown).cast("I")[STATE_WORD::words_per_slot].tolist()
                is_burst, now = BURST in states, time.monotonic()
                if is_burst and not was_burst:
                    self.found.append([now, now])
                elif is_burst:
                    self.found[-1][1] = now
                was_burst = is_burst

    def end(self):
        self.is_over.set()
        self.join()


class Looker(threading.Thread):
    """Looks at what is visible at a site every few milliseconds, and reads each checkpoint the moment it sees it."""

    def __init__(self, folder):
        super().__init__(daemon=True)
        self.folder, self.looks, self.longest = folder, 0, 0.0
        self.seen = {}  # step: {"at": when, "files": name -> hash, as they were then}
        self.is_over = threading.Event()

    def run(self):
        last = time.monotonic()
        while not self.is_over.wait(LOOK_S):
            now = time.monotonic()
            self.longest, last = max(self.longest, now - last), now
            self.looks += 1
            for name in os.listdir(self.folder) if self.folder.exists() else ():
                if name.startswith("step-") and int(name[5:]) not in self.seen:
                    self.seen[int(name[5:])] = {"at": now, "files": hashes(self.folder / name)}

    def end(self):
        self.is_over.set()
        self.join()


def hashes(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir()) if not path.name.startswith(".tideway")}
