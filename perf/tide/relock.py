# SPDX-License-Identifier: Apache-2.0
"""How many iterations a gateway that sees a training in counters alone takes until it is locked: at first, and after a change of its period
in mid-run. For periods of a second and more: the gateway says four times a second what it knows."""
import csv
import http.client
import json
import socket
import statistics
import threading
import time

STEP_AT, AFTER = 25, 15  # iterations before the change, and from it on
FIRST_MOST, AGAIN_MOST = 10, 5
LOOK_S = 0.1
NEAR = 0.05  # of the period that it has to be locked with; more where begins stray by more


class Gateway(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("tideway", timeout=5)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Looker(threading.Thread):
    """What the gateway knows of the training, as (monotonic ns, predictor, period in s or None), until close()."""

    def __init__(self, api, training):
        super().__init__(daemon=True)
        self.api, self.training = api, training
        self.ended = threading.Event()
        self.seen = []

    def run(self):
        while not self.ended.wait(LOOK_S):
            try:
                gateway = Gateway(self.api)
                gateway.request("GET", "/v1/links")
                links = json.loads(gateway.getresponse().read())["links"]
                gateway.close()
            except (OSError, http.client.HTTPException):
                continue  # it is busy; the next look is near
            for one in (one for link in links for one in link["trainings"] if one["training"] == self.training):
                self.seen.append((time.monotonic_ns(), one["predictor"], one["period_s"]))

    def close(self):
        self.ended.set()
        self.join()
        return self.seen


def begins_of(iterations):
    """When each burst of a trainer's file began, in monotonic ns."""
    return [int(row["burst_start_ns"]) for row in csv.DictReader(iterations.open())]


def until_locked(begins, seen, period_s, near):
    """How many of these iterations had begun when it was locked with that period; None: it never was."""
    for at, predictor, period in seen:
        if at >= begins[0] and predictor == "locked" and period is not None and abs(period - period_s) <= near * period_s:
            return sum(begin <= at for begin in begins)
    return None


def show(found):
    """A table in Markdown: rounds, and how many of them were locked in time."""
    print("\n| period | locked after | rounds | in time |")
    print("|---|---|---|---|")
    for name, most, counts in (("unknown", FIRST_MOST, found["first"]), ("%+g %%" % (100 * found["share"]), AGAIN_MOST, found["again"])):
        known = [count for count in counts if count is not None]
        middle = "%g iterations, at most %d" % (statistics.median(known), max(known)) if known else "never"
        print("| %s | %s | %d | %d within %d |" % (name, middle, len(counts), sum(count <= most for count in known), most))
