# SPDX-License-Identifier: Apache-2.0
"""The grid: which links are measured, with what to copy, and in which order."""
import dataclasses
import re


@dataclasses.dataclass(frozen=True)
class Loss:
    """A share of the packets, one way, in runs of a mean length."""
    percent: float
    burst: int = 1

    @classmethod
    def parse(cls, text):
        match = re.fullmatch(r"(\d*\.?\d+)%?(?:x(\d+))?", text.strip())
        if not match:
            raise ValueError("loss \"%s\" is neither a percentage nor, in bursts, such as 0.1x10" % text)
        return cls(float(match.group(1)), int(match.group(2) or 1))

    @property
    def share(self):
        return self.percent / 100

    def __str__(self):
        return "%g%%" % self.percent + (" x%d" % self.burst if self.burst > 1 else "")


@dataclasses.dataclass(frozen=True)
class Link:
    rtt_ms: float
    loss: Loss
    queue_bdp: float = 1.0   # of the bottleneck; 1 is the emulator's default: one BDP, at least 5 ms
    reorder_ms: float = 0.0  # REORDER_SHARE of the packets come up to this much later
    halves_s: float = 0.0    # for so long the bottleneck has half of its rate, then for as long all of it, and so on

    REORDER_SHARE = "1%"

    @property
    def mean_rate(self):
        """Over that of a bottleneck which never changes."""
        return 0.75 if self.halves_s > 0 else 1.0

    def flags(self, rate_mbit, seed):
        flags = ["--rate", "%dMbit" % rate_mbit, "--delay", "%gms" % (self.rtt_ms / 2),
                 "--loss", "%g%%" % self.loss.percent, "--seed", str(seed)]
        if self.loss.burst > 1:
            flags += ["--loss-burst", str(self.loss.burst)]
        if self.queue_bdp != 1:
            flags += ["--queue", "%gms" % (self.rtt_ms * self.queue_bdp)]
        if self.reorder_ms > 0:
            flags += ["--reorder", "%s,%gms" % (self.REORDER_SHARE, self.reorder_ms)]
        if self.halves_s > 0:
            flags += ["--slowdown", "%gs+%gs/%gs=%dMbit" % (self.halves_s, self.halves_s, 2 * self.halves_s, rate_mbit / 2)]
        return flags

    def is_no_harder_than(self, other):
        """The same kind of link with neither more delay nor more loss."""
        return (self.rtt_ms <= other.rtt_ms and self.loss.percent <= other.loss.percent and self.loss.burst == other.loss.burst
                and self.queue_bdp == other.queue_bdp and self.reorder_ms == other.reorder_ms and self.halves_s == other.halves_s)

    def __str__(self):
        text = "%g ms, %s" % (self.rtt_ms, self.loss)
        if self.queue_bdp != 1:
            text += ", queue %g BDP" % self.queue_bdp
        if self.reorder_ms > 0:
            text += ", reorder %g ms" % self.reorder_ms
        if self.halves_s > 0:
            text += ", half of it each other %g s" % self.halves_s
        return text


RTTS = (1.0, 10.0, 50.0, 100.0, 200.0)
LOSSES = tuple(map(Loss.parse, ("0", "0.01", "0.1", "1", "3", "0.1x10")))
MEMORY = "memory"  # what iperf3 moves
WHAT = ("file", "checkpoint", "tree", "same")


def cross():
    """All delays at two losses, all losses at one delay; the tree and the checkpoint where it matters most."""
    links = [Link(50.0, loss) for loss in LOSSES]
    links += [Link(rtt, loss) for loss in (LOSSES[0], LOSSES[3]) for rtt in RTTS if rtt != 50.0]
    cells = [(link, "file") for link in links]
    for link in (Link(50.0, LOSSES[0]), Link(100.0, LOSSES[2])):
        cells += [(link, "tree"), (link, "same")]
    return cells + [(Link(50.0, LOSSES[0]), "checkpoint")]


def troubled():
    """Queues, reordering, and a rate that changes, at one delay."""
    links = [Link(50.0, LOSSES[0], queue_bdp=queue) for queue in (0.1, 1.0, 4.0)]
    links += [Link(50.0, LOSSES[0], reorder_ms=reorder) for reorder in (5.0, 20.0)]
    links += [Link(50.0, LOSSES[0], halves_s=1.0)]
    return [(link, "file") for link in links]


PRESETS = {"cross": cross, "troubled": troubled,
           "full": lambda: [(Link(rtt, loss), what) for what in WHAT for loss in LOSSES for rtt in RTTS]}


def numbers(text):
    return [float(part) for part in text.split(",")]


def grid(options):
    """The cells that the options choose: a preset, and instead of it whatever is named."""
    if not (options.rtt or options.loss or options.queue or options.reorder or options.halves):
        cells = PRESETS[options.preset]()
        wanted = options.what or WHAT
        return [cell for cell in cells if cell[1] in wanted]
    links = [Link(rtt, loss, queue, reorder, halves)
             for halves in numbers(options.halves or "0") for reorder in numbers(options.reorder or "0") for queue in numbers(options.queue or "1")
             for loss in map(Loss.parse, (options.loss or "0,0.1").split(",")) for rtt in numbers(options.rtt or "50")]
    return [(link, what) for what in (options.what or ("file", "same", "tree")) for link in links]
