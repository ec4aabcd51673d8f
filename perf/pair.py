# SPDX-License-Identifier: Apache-2.0
"""Certificates and configurations of two gateways, atlanta and wisconsin, below a work folder."""
import dataclasses
import re
import shutil
import subprocess
import time

START_S = 15.0
SITES = ("atlanta", "wisconsin")
PROGRAMS = ("tideway", "tidewayd")

CONFIG = '''[site]
name = "{site}"
gateway = "gw1"
trust_domain = "perf.example"
state_dir = "{home}/state"
[tls]
ca = "{home}/tls/ca.crt"
cert = "{home}/tls/gateway.crt"
key = "{home}/tls/gateway.key"
[listen]
control = "{here.address}:{here.control}"
api = "{here.api}"
[data_plane]
address = "{here.address}:{here.data}"
[[root]]
name = "data"
path = "{root}"
[[grant]]
peer = "spiffe://perf.example/site/{peer}/gw/*"
root = "data"
ops = ["read", "list", "write"]
[[peer]]
name = "{peer}"
control = "{there.address}:{there.control}"
'''


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a gateway listens; 64 UDP ports from `data` on. Without the socket `api` it has no queue, and a command copies by itself."""
    address: str
    control: int = 7400
    data: int = 7401
    api: str = ""


class Pair:
    def __init__(self, programs, work):
        """`programs` is the folder with tideway and tidewayd."""
        self.programs, self.work = programs, work

    def why_not(self):
        missing = [program for program in PROGRAMS if not (self.programs / program).exists()]
        return "%s: not built" % ", ".join(missing) if missing else None

    def issue(self):
        """Certificates, once; whoever asks again gets the same ones."""
        authority = self.work / "pki"
        if authority.exists():
            return
        self.call("pki", "init", "--out", authority, "--trust-domain", "perf.example")
        for site in SITES:
            self.call("pki", "issue", "--ca", authority, "--site", site, "--gateway", "gw1", "--out", self.work / site / "tls")

    def call(self, *arguments):
        done = subprocess.run([str(self.programs / "tideway"), *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError("tideway %s: %s" % (" ".join(map(str, arguments[:2])), done.stderr.strip()[-300:]))

    def configure(self, places, roots, more=""):
        """The files of both sites, in order of SITES, without what a gateway may have remembered of an earlier run."""
        for i, site in enumerate(SITES):
            home = self.work / site
            shutil.rmtree(home / "state", ignore_errors=True)
            roots[i].mkdir(exist_ok=True)
            self.config(site).write_text(CONFIG.format(site=site, peer=SITES[1 - i], home=home, root=roots[i], here=places[i],
                                                       there=places[1 - i]) + more)

    def config(self, site):
        return self.work / site / "tideway.toml"

    def serve(self, site):
        """The command that runs a gateway."""
        return [self.programs / "tidewayd", "--config", self.config(site)]

    def copy(self, *arguments):
        """The command that copies from atlanta."""
        return self.ask("copy", *arguments)

    def ask(self, verb, *arguments):
        """The command of a user at atlanta."""
        return [self.programs / "tideway", "--config", self.config("atlanta"), verb, *arguments]


def wait_until_ready(gateway, log_path):
    """Errors: RuntimeError with the last words of a gateway that is not ready in time."""
    end = time.monotonic() + START_S
    while time.monotonic() < end and gateway.poll() is None:
        if re.search(r"^ready", log_path.read_text(), re.M):
            return
        time.sleep(0.02)
    raise RuntimeError("tidewayd did not become ready: " + log_path.read_text().strip()[-300:])
