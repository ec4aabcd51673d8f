# SPDX-License-Identifier: Apache-2.0
"""Tideway itself: cold, where a command starts from nothing or knows the path, and warm, on a session that stands already."""
import dataclasses
import os

import pair
from system import OURS, System, said

SIDES = {"a": "atlanta", "b": "wisconsin"}


class Tideway(System):
    """The destination's gateway has just been started and knows nobody; the command dials it."""
    name = "tideway, cold"
    kind = "tideway"
    role = OURS
    is_encrypted = True
    set_up_rtts = 4  # round trips that such a command cannot do without

    def __init__(self, testbed, work, options):
        super().__init__(testbed, work, options)
        self.pair = pair.Pair(options.bin, work)

    def why_not(self):
        return self.pair.why_not()

    def prepare(self):
        self.pair.issue()

    def start(self, arrived, link):
        self.pair.configure(self.places(), [self.work / "source", arrived])
        self.start_gateway("b")

    def places(self):
        return [pair.Place(self.testbed.sites[side].address) for side in SIDES]

    def start_gateway(self, side):
        log_path = self.work / ("tidewayd-%s.log" % side)
        with open(log_path, "w") as log:
            gateway = self.testbed.sites[side].start(*self.pair.serve(SIDES[side]), log=log)
        self.servers.append(gateway)
        pair.wait_until_ready(gateway, log_path)

    def command(self, source, arrived):
        return self.pair.copy("--direct", *self.options.tideway_flag, source, "wisconsin:data/" + source.name)

    def copy_before(self, mib, *flags):
        """Another file, before the command that is measured. Errors: RuntimeError."""
        first = self.work / "source" / "first.bin"
        first.write_bytes(os.urandom(mib << 20))
        done = self.testbed.a.run(*self.pair.copy(*flags, first, "wisconsin:data/first.bin"), limit_s=self.options.limit)
        first.unlink()
        if done.returncode != 0:
            raise RuntimeError("the copy before the measured one failed: " + said(done))


class TidewayAgain(Tideway):
    """Cold, but not for the first time: what the path carried is remembered from an earlier command. Both ends have been started anew since."""
    name = "tideway, cold, path known"
    FIRST_MIB = 256  # some seconds at the rates of these links: the best one is remembered

    def start(self, arrived, link):
        super().start(arrived, link)
        self.copy_before(self.FIRST_MIB, "--direct")
        self.stop()
        self.start_gateway("b")


class TidewayWarm(Tideway):
    """Both gateways run, and one copy has gone through their session before the one that is measured. It is the gateway at site a that
    copies, so what is copied lies below its root."""
    name = "tideway, warm"
    FIRST_MIB = 64  # enough for the rate to be found
    set_up_rtts = 2  # the offer and its answer, the last data and the word that it is published

    def places(self):
        here, there = super().places()
        return [dataclasses.replace(here, api=str(self.work / "api.sock")), there]

    def start(self, arrived, link):
        super().start(arrived, link)
        self.start_gateway("a")
        self.copy_before(self.FIRST_MIB)
        self.check_is_warm()

    def check_is_warm(self):
        """Where no gateway answers, a command copies by itself, which is a cold start. Errors: RuntimeError."""
        done = self.testbed.a.run(*self.pair.ask("jobs", "list"), limit_s=self.options.limit)
        if done.returncode != 0 or "first.bin" not in done.stdout:
            raise RuntimeError("the copy before the measured one did not go through the gateway: " + said(done))

    def command(self, source, arrived):
        return self.pair.copy(*self.options.tideway_flag, source, "wisconsin:data/" + source.name)


SYSTEMS = (Tideway, TidewayAgain, TidewayWarm)
