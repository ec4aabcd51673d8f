# SPDX-License-Identifier: Apache-2.0
"""What every measured system has in common."""
import shutil
import subprocess

from testbed import wait_for

STOP_LIMIT_S = 10.0
OURS, PEER, CEILING, NULL_TEST = "ours", "peer", "ceiling", "null test"


class System:
    """Moves something from site a to site b. Servers live for one command only, so that no system sees another's.

    prepare() is called once, where the system can be measured at all; start() and stop() around each command.
    """
    name = ""
    kind = "tcp"            # of the ideal payload rate, see testbed.PACKET
    role = PEER
    is_encrypted = False
    programs = ()           # without one of them it is left out by name
    what = ("file", "checkpoint", "tree", "same")

    def __init__(self, testbed, work, options):
        self.testbed, self.work, self.options = testbed, work, options
        self.servers = []

    def why_not(self):
        """Why it cannot be measured here, or None."""
        missing = [program for program in self.programs if not find(program)]
        return "%s: not installed" % ", ".join(missing) if missing else None

    def prepare(self):
        pass

    def start(self, arrived, link):
        """Whatever must serve at site b. `arrived` is an empty folder, where a source of any name ends up below its name."""

    def command(self, source, arrived):
        """What a user at site a would type."""
        raise NotImplementedError

    def judge(self, done):
        """What the finished command says of itself, beside time and bytes; by default that it failed."""
        return {"error": "exit %d: %s" % (done.returncode, said(done))} if done.returncode != 0 else {}

    def serve(self, port, *command, is_udp=False):
        """Starts a server at site b and waits until it listens. Errors: RuntimeError with its last words."""
        log_path = self.work / "server.log"
        with open(log_path, "w") as log:
            server = self.testbed.b.start(*command, log=log)
        self.servers.append(server)
        wait_for(lambda: server.poll() is not None or self.testbed.b.is_listening(port, is_udp))
        if server.poll() is not None or not self.testbed.b.is_listening(port, is_udp):
            raise RuntimeError("its server did not start: " + log_path.read_text().strip()[-300:])

    def stop(self):
        for server in self.servers:
            server.terminate()
        for server in self.servers:
            try:
                server.wait(timeout=STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
        self.servers = []


def choose(systems, only):
    """Those whose name has one of the texts in `only`, prepared; and by name, with the reason, what cannot be measured here."""
    chosen, left_out = [], []
    for system in systems:
        if not any(text in system.name for text in only.split(",")):
            continue
        reason = system.why_not()
        if reason:
            left_out.append("%s: %s" % (system.name, reason))
            continue
        system.prepare()
        chosen.append(system)
    return chosen, left_out


def find(program):
    return shutil.which(program, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")


def said(done):
    return (done.stderr.strip() or done.stdout.strip())[-300:]
