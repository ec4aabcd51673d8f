# SPDX-License-Identifier: Apache-2.0
"""What a run of the synthetic trainer came to, from its iterations and from the bytes that the emulated link delivered, and what
bulk cost it: in iterations, without what chance drew, in bursts, and on the link alone."""
import csv
import statistics

BIN_MS = 10.0  # of the link's counts
TRAINER_PORT = 6500


class Iteration:
    """In ms: when its burst began, what its compute time was meant to be and was late, how long the burst took, and all of it."""

    def __init__(self, row):
        drawn, compute = (int(row[key]) / 1e6 for key in ("drawn_ns", "compute_ns"))
        self.start, self.begin, self.burst, self.whole = (int(row[key]) / 1e6 for key in ("start_ns", "burst_start_ns", "burst_ns", "iteration_ns"))
        self.late = compute - drawn
        self.undrawn = self.whole - drawn


class Run:
    """One mode, once: the trainer's iterations and who used the link from the first to the last of them. `elsewhere` is what another
    link counted, when the bulk was there."""

    def __init__(self, said, iterations, counts, settings, elsewhere=None):
        self.late_timers, self.cpu = said["late_timers"], {}
        self.rate, self.way = settings["rate"] * 1e6 / 8e3, settings["rtt"] / 2  # bytes per ms; ms
        self.iterations = [Iteration(row) for row in csv.DictReader(iterations.open())][settings["skipped"]:]
        self.first = self.iterations[0].start
        self.last = self.iterations[-1].start + self.iterations[-1].whole
        self.bins = {"training": {}, "bulk": {}}
        self.take(counts, {True: "training", False: "bulk"})
        self.link = [self.link_time(one) for one in self.iterations]
        if elsewhere is not None:
            self.bins["bulk"] = {}
            self.take(elsewhere, {False: "bulk"})

    def take(self, counts, kinds):
        for row in csv.DictReader(counts.open()):
            at = float(row["ms"])
            kind = kinds.get(int(row["port"]) == TRAINER_PORT)
            if kind and row["direction"] == "ab" and self.first <= at < self.last:
                self.bins[kind][at] = self.bins[kind].get(at, 0) + int(row["bytes"])

    def link_time(self, one):
        """For how long the link carried bulk, in ms, from when the burst could first have arrived to its last byte. In a queue
        served in order that is all that bulk can cost the burst there; the rest of what it lost is the machine's. In the first bin bulk is
        taken to have filled the link from its start: where it did not, a little less is told, at most the part of that bin before the burst."""
        training, bulk = self.bins["training"], self.bins["bulk"]
        came = one.begin + self.way
        bins = [at for at in training if came - BIN_MS < at < one.begin + one.burst]
        if not bins:
            return 0.0
        sent = 0.0
        for step in range(int((max(bins) - came // BIN_MS * BIN_MS) / BIN_MS) + 1):
            at = came // BIN_MS * BIN_MS + step * BIN_MS
            took = bulk.get(at, 0) / self.rate
            # What left before the burst could: bulk is ahead of it in this bin.
            sent += took if step else max(0.0, took - (came - at))
        return sent

    def mbit_of(self, kind):
        return sum(self.bins[kind].values()) * 8 / 1e3 / (self.last - self.first)

    def trace(self, seconds=6.0):
        """Mbit/s of both in bins of 10 ms, the last few seconds."""
        steps = int(seconds * 1000 / BIN_MS)
        begin = int((self.last - seconds * 1000) / BIN_MS) * BIN_MS
        return {kind: [round(bins.get(begin + BIN_MS * i, 0) * 8 / (BIN_MS * 1e3), 2) for i in range(steps)] for kind, bins in self.bins.items()}


def percentile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))]


def spread(runs, what):
    """Median and 99th percentile of that member of all iterations."""
    values = [getattr(one, what) for run in runs for one in run.iterations]
    return statistics.median(values), percentile(values, 0.99)


def summary(mode, runs, alone, rate):
    """What runs of a mode came to beside those without bulk; shares of the median iteration of the latter, where not said otherwise."""
    base, base_p99 = spread(alone, "whole")
    median, p99 = spread(runs, "whole")
    fixed = spread(alone, "undrawn")[0]
    fixed_now = spread(runs, "undrawn")
    burst = spread(alone, "burst")
    burst_now = spread(runs, "burst")
    link = [time for run in runs for time in run.link]
    bulk = statistics.mean(run.mbit_of("bulk") for run in runs)
    foreground = statistics.mean(run.mbit_of("training") for run in alone)
    shares = {"inflation": median / base - 1, "inflation_p99": p99 / base - 1, "inflation_p99_of_alone_p99": p99 / base_p99 - 1,
              "undrawn": (fixed_now[0] - fixed) / base, "undrawn_p99": (fixed_now[1] - fixed) / base,
              "burst": (burst_now[0] - burst[0]) / base, "burst_p99": (burst_now[1] - burst[0]) / base, "burst_p99_of_alone_p99": (burst_now[1] - burst[1]) / base,
              "link": statistics.median(link) / base, "link_p99": percentile(link, 0.99) / base}
    return {"mode": mode, "iterations": len(link), "median_ms": round(median, 2), "p99_ms": round(p99, 2),
            **{key: round(value, 5) for key, value in shares.items()},
            "training_mbit": round(statistics.mean(run.mbit_of("training") for run in runs), 2), "bulk_mbit": round(bulk, 2),
            "utilisation": round(bulk / (rate - foreground), 4), "late_timers": sum(run.late_timers for run in runs),
            "late_p99_ms": round(spread(runs, "late")[1], 3),
            "cores": {name: round(statistics.mean(run.cpu[name] for run in runs), 3) for name in runs[0].cpu}}


COLUMNS = (("iteration", "inflation"), ("undrawn", "undrawn"), ("burst", "burst"), ("link", "link"))


def show(rows):
    """Tables in Markdown: what bulk cost, and who used the processor."""
    print("\n| mode | " + " | ".join(name for name, _ in COLUMNS) + " | p99 over p99 alone | of the leftover | late timers |")
    print("|---" * (len(COLUMNS) + 4) + "|")
    for row in rows:
        cells = ["%.2f %%, p99 %.2f" % (100 * row[key], 100 * row[key + "_p99"]) for _, key in COLUMNS]
        print("| %s | %s | %.2f %% | %.1f %% | %d |" % (row["mode"], " | ".join(cells), 100 * row["inflation_p99_of_alone_p99"], 100 * row["utilisation"], row["late_timers"]))
    names = sorted({name for row in rows for name in row["cores"]})
    print("\n| cores used | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for row in rows:
        print("| %s | %s |" % (row["mode"], " | ".join("%.2f" % row["cores"][name] if name in row["cores"] else "" for name in names)))
