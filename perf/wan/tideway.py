# SPDX-License-Identifier: Apache-2.0
"""Tideway itself: cold, where a command starts from nothing, and warm, on a session that stands already."""
import pathlib
import re
import shutil
import subprocess

from system import OURS, System, said
from testbed import wait_for, SERVER_START_S

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
control = "{address}:7400"
[data_plane]
address = "{address}:7401"
[[root]]
name = "data"
path = "{root}"
[[grant]]
peer = "spiffe://perf.example/site/{peer}/gw/*"
root = "data"
ops = ["read", "list", "write"]
[[peer]]
name = "{peer}"
control = "{peer_address}:7400"
'''
SITES = {"a": ("atlanta", "wisconsin"), "b": ("wisconsin", "atlanta")}


class Tideway(System):
    """The destination's gateway has just been started and knows nobody; the command dials it."""
    name = "tideway, cold"
    kind = "tideway"
    role = OURS
    is_encrypted = True

    def why_not(self):
        missing = [program for program in ("tideway", "tidewayd") if not (self.options.bin / program).exists()]
        return "%s: not built" % ", ".join(missing) if missing else None

    def prepare(self):
        self.pki = self.work / "pki"
        if self.pki.exists():
            return  # the other of the two made it
        self.call("pki", "init", "--out", self.pki, "--trust-domain", "perf.example")
        for site, _ in SITES.values():
            self.call("pki", "issue", "--ca", self.pki, "--site", site, "--gateway", "gw1", "--out", self.work / site / "tls")

    def call(self, *arguments):
        done = subprocess.run([str(self.options.bin / "tideway"), *map(str, arguments)], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError("tideway %s: %s" % (" ".join(map(str, arguments[:2])), said(done)))

    def config(self, side):
        return self.work / SITES[side][0] / "tideway.toml"

    def configure(self, side, root):
        """Written anew for each command, without what a gateway may have remembered of the last one."""
        site, peer = SITES[side]
        home = self.work / site
        shutil.rmtree(home / "state", ignore_errors=True)
        root.mkdir(exist_ok=True)
        self.config(side).write_text(CONFIG.format(
            site=site, peer=peer, home=home, root=root, address=self.testbed.sites[side].address,
            peer_address=self.testbed.sites["b" if side == "a" else "a"].address))

    def start(self, arrived, link):
        self.configure("a", self.work / "atlanta" / "data")
        self.configure("b", arrived)
        self.start_gateway("b")

    def start_gateway(self, side):
        log_path = self.work / ("tidewayd-%s.log" % side)
        with open(log_path, "w") as log:
            gateway = self.testbed.sites[side].start(self.options.bin / "tidewayd", "--config", self.config(side), log=log)
        self.servers.append(gateway)
        is_ready = lambda: re.search(r"^ready", log_path.read_text(), re.M)  # noqa: E731
        wait_for(lambda: is_ready() or gateway.poll() is not None, SERVER_START_S)
        if not is_ready():
            raise RuntimeError("tidewayd did not become ready: " + log_path.read_text().strip()[-300:])

    def command(self, source, arrived):
        return self.copy("--direct", *self.options.tideway_flag, source, "wisconsin:data/" + source.name)

    def copy(self, *arguments):
        return [self.options.bin / "tideway", "--config", self.config("a"), "copy", *arguments]


class TidewayWarm(Tideway):
    """Both gateways run, and one small copy has gone through their session before the one that is measured."""
    name = "tideway, warm"
    FIRST_MIB = 64  # enough for the rate to be found
    # What `tideway copy --help` says while every command dials anew. A version without this sentence is measured here.
    DIALS_ANEW = "always so in this version"

    def why_not(self):
        reason = super().why_not()
        if reason:
            return reason
        said_of_copy = subprocess.run([str(self.options.bin / "tideway"), "copy", "--help"], capture_output=True, text=True).stdout
        return "each copy of this version dials anew: there is no warm session yet" if self.DIALS_ANEW in said_of_copy else None

    def start(self, arrived, link):
        super().start(arrived, link)
        self.start_gateway("a")
        first = self.work / "first.bin"
        first.write_bytes(pathlib.Path("/dev/urandom").open("rb").read(self.FIRST_MIB << 20))
        done = self.testbed.a.run(*self.copy(first, "wisconsin:data/first.bin"), limit_s=self.options.limit)
        (arrived / "first.bin").unlink(missing_ok=True)
        if done.returncode != 0:
            raise RuntimeError("the copy before the measured one failed: " + said(done))

    def command(self, source, arrived):
        return self.copy(*self.options.tideway_flag, source, "wisconsin:data/" + source.name)


SYSTEMS = (Tideway, TidewayWarm)
