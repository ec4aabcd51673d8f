# SPDX-License-Identifier: Apache-2.0
"""Two sites joined by a cable: a veth pair between two network namespaces, with the offloads that it comes with."""
import os
import subprocess

import testbed

PREFIX_BITS = 24


class Cable:
    """What the systems of perf/wan ask of a testbed, without an emulator."""

    def __init__(self, work, mtu):
        self.name = "twcable%d" % os.getpid()
        home = work / "home"
        home.mkdir()
        self.sites = {}
        try:
            for side in ("a", "b"):
                self.sites[side] = testbed.Site(self.name, side, home)
                ip("netns", "add", self.namespace(side))
            ip("link", "add", testbed.PORT, "mtu", mtu, "netns", self.namespace("a"), "type", "veth",
               "peer", "name", testbed.PORT, "mtu", mtu, "netns", self.namespace("b"))
            for side, site in self.sites.items():
                of_site = ("-n", self.namespace(side))
                ip(*of_site, "addr", "add", "%s/%d" % (site.address, PREFIX_BITS), "dev", testbed.PORT)
                for port in ("lo", testbed.PORT):
                    ip(*of_site, "link", "set", port, "up")
        except (OSError, RuntimeError):
            self.down()
            raise
        self.a, self.b = self.sites["a"], self.sites["b"]

    def namespace(self, side):
        return "%s-%s" % (self.name, side)

    def down(self):
        for side, site in self.sites.items():
            site.group.end()
            subprocess.run(["ip", "netns", "del", self.namespace(side)], capture_output=True)

    def cpu_seconds(self):
        """Of each site. What a packet costs the kernel on its way up is charged to whoever sends it: there is one machine."""
        return {side: site.group.seconds() for side, site in self.sites.items()}


def ip(*arguments):
    done = subprocess.run(["ip", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError("ip %s: %s" % (" ".join(map(str, arguments)), done.stderr.strip()))
