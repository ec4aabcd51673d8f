# SPDX-License-Identifier: Apache-2.0
"""Two sites and an emulated link between them (scripts/testbed.sh), with the CPU time that each site uses."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "perf"))
import cgroup  # noqa: E402

SCRIPT = REPO / "scripts" / "testbed.sh"
ADDRESS = {"a": "10.77.0.1", "b": "10.77.0.2"}
PORT = "wan0"                 # of each site
LINK_OVERHEAD = 38            # Ethernet header, FCS, preamble and gap, per IP packet
# Payload of a full packet at MTU 1500, and that packet with its IP header.
PACKET = {"tideway": (1408, 1484), "tcp": (1448, 1500), "udp": (1448, 1500)}
SERVER_START_S = 15.0


def ideal_mbit(rate_mbit, kind, loss):
    """What a link that is never idle carries in payload; resends cost the share that is lost."""
    payload, ip_packet = PACKET[kind]
    return rate_mbit * payload / (ip_packet + LINK_OVERHEAD) * (1 - loss)


class Site:
    """One end. What runs here runs in its network namespace and in a cgroup of its own."""

    def __init__(self, testbed, side, home):
        self.address = ADDRESS[side]
        self.group = cgroup.Group.create("%s-%s" % (testbed, side))
        # The cgroup first: inside the namespace /sys is another one.
        self.inside = ["ip", "netns", "exec", "%s-%s" % (testbed, side)]
        self.prefix = self.group.prefix + self.inside
        # A home below the work folder: no peer reads or writes the user's own files.
        self.env = dict(os.environ, HOME=str(home), XDG_CONFIG_HOME=str(home), LC_ALL="C")

    def run(self, *command, limit_s, group=None):
        """To its end. A subprocess.TimeoutExpired ends everything at this site. In `group`, if there is one, instead of the site's."""
        group = group or self.group
        try:
            return subprocess.run(group.prefix + self.inside + list(map(str, command)), env=self.env, capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL, timeout=limit_s)
        except subprocess.TimeoutExpired:
            self.group.kill()
            group.kill()
            raise

    def start(self, *command, log, group=None):
        return subprocess.Popen((group or self.group).prefix + self.inside + list(map(str, command)), env=self.env, text=True, stdin=subprocess.DEVNULL,
                                stdout=log, stderr=subprocess.STDOUT)

    def is_listening(self, port, is_udp=False):
        done = subprocess.run(self.prefix + ["ss", "-Hlnu" if is_udp else "-Hlnt", "sport = :%d" % port],
                              capture_output=True, text=True)
        return done.stdout.strip() != ""


class Testbed:
    def __init__(self, work, suffix=""):
        """`suffix` tells one testbed of a process from another."""
        self.name = "twperf%d%s" % (os.getpid(), suffix)
        self.env = dict(os.environ, TIDEWAY_TESTBED=self.name, TIDEWAY_TESTBED_STATE=str(work / "testbed"))
        self.state = work / "testbed" / self.name
        home = work / "home"
        home.mkdir(exist_ok=True)
        self.a = Site(self.name, "a", home)
        try:
            self.b = Site(self.name, "b", home)
        except OSError:
            self.a.group.end()
            raise
        self.sites = {"a": self.a, "b": self.b}
        self.counts_receiving = False

    def up(self, *flags):
        before = receiving_threads()
        self.call("up", *flags)
        # What arrives at a site is handled by a kernel thread of its interface: its time is the site's.
        fresh = sorted(set(receiving_threads()) - set(before))
        if len(fresh) == 2:
            for site, (_, pid) in zip((self.a, self.b), fresh):
                site.group.adopt(pid)
            self.counts_receiving = True

    def restart(self, *flags):
        self.call("restart", *flags)

    def call(self, verb, *flags):
        # In a session of its own, and to its end also when this process is told to end meanwhile: of half a testbed nobody knows the parts.
        with subprocess.Popen([str(SCRIPT), verb, *flags], env=self.env, text=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, start_new_session=True) as script:
            try:
                _, said = script.communicate()
            except BaseException:
                script.communicate()
                raise
        if script.returncode != 0:
            raise RuntimeError("testbed %s failed: %s" % (verb, said.strip()))

    def counters(self):
        """Ends the link; what it counted from its start to its end."""
        self.call("cut")
        lines = (self.state / "stats.jsonl").read_text().splitlines()
        return json.loads(lines[-1]) if lines else {}

    def kill(self):
        for site in self.sites.values():
            site.group.kill()

    def down(self):
        self.kill()
        try:
            self.call("down")
        finally:
            for site in self.sites.values():
                site.group.end()

    def cpu_seconds(self):
        return {side: site.group.seconds() for side, site in self.sites.items()}


def receiving_threads():
    """(NAPI id, pid) of the kernel threads that serve interfaces of the sites' name, of whatever namespace."""
    found = []
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            match = re.match(r"napi/%s-(\d+)$" % PORT, comm.read_text().strip())
        except OSError:
            continue
        if match:
            found.append((int(match.group(1)), int(comm.parent.name)))
    return found


def wait_for(what, limit_s=SERVER_START_S):
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.02)
    return False


def sweep(folder):
    """Removes what a run left that was killed before it could clean up."""
    for work in folder.glob("tideway-perf-*-*"):
        pid = int(work.name.split("-")[2])
        if pathlib.Path("/proc/%d" % pid).exists():
            continue
        root = cgroup.v2_root()
        groups = [cgroup.Group(path) for path in root.glob("twperf%d-*" % pid)] if root else []
        for group in groups:
            group.kill()
        for state in (work / "testbed").glob("*"):  # a run may have had several
            env = dict(os.environ, TIDEWAY_TESTBED=state.name, TIDEWAY_TESTBED_STATE=str(work / "testbed"))
            subprocess.run([str(SCRIPT), "down"], env=env, capture_output=True)
        for group in groups:
            group.end()
        shutil.rmtree(work, ignore_errors=True)
        print("perf: removed what an earlier run left in %s" % work, file=sys.stderr)
