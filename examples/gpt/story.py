# SPDX-License-Identifier: Apache-2.0
"""What the demo saw, as figures: what held, what did not, and what is drawn."""
import csv
import statistics

from sites import CONTROL, DATA

FRAME_SHARE = 1408 / (1484 + 38)  # of what the link is charged, payload of a full packet
BIN_MS = 10
BIN_S = BIN_MS / 1000
IDEAL_MAX_S = 60.0
BURST_SHARE = 0.2  # of the link: a bin in which the training uses more belongs to a burst
LOSS_TOLERANCE = 1e-5  # of the loss; 0 is expected
BULK_MIN_BYTES = 10_000  # of a step beside which a checkpoint crosses


def read_counts(path):
    """What the link carried, from A to B and back: number of the bin -> [training, bulk] in bytes as the link is charged."""
    ways = {"ab": {}, "ba": {}}
    with open(path, encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            is_bulk = int(row["port"]) in DATA or int(row["port"]) == CONTROL
            ways[row["direction"]].setdefault(int(row["ms"]) // BIN_MS, [0, 0])[is_bulk] += int(row["bytes"])
    return ways


def losses(logs):
    """Step -> the mean of both ranks; each logs its own."""
    ranks = [{step: row["loss"] for step, row in steps.items()} for steps, _ in logs]
    return {step: (ranks[0][step] + ranks[1][step]) / 2 for step in sorted(ranks[0].keys() & ranks[1].keys())}


def ideal_seconds(save, counts, bursts, link):
    """From the end of the save on, with half a round trip: on the link alone; in what the training left of it; and in what it left
    outside of the bursts that it announced."""
    bytes_max = link.rate * 1e6 / 8 * BIN_S
    wire = save["bytes"] / FRAME_SHARE

    def seconds(room_of):
        first = number = int(save["end"] / BIN_S)
        left = wire
        while number < first + IDEAL_MAX_S / BIN_S and room_of(number) < left:
            left, number = left - room_of(number), number + 1
        return (number - first + min(1.0, left / bytes_max)) * BIN_S + link.rtt / 2000

    def left_over(number):
        return max(0.0, bytes_max - counts.get(number, (0, 0))[0])
    announced = {number for begin, end in bursts for number in range(int(begin / BIN_S), int(end / BIN_S) + 1)}
    return seconds(lambda _: bytes_max), seconds(left_over), seconds(lambda number: 0.0 if number in announced else left_over(number))


def iterations(steps, counts, lost):
    """(ms of iterations beside which a checkpoint crossed, of the others); the first is a warm-up."""
    beside, alone = [], []
    for row in list(steps.values())[1:]:
        if row["end"] > lost:
            continue
        bulk = sum(pair[1] for number, pair in counts.items() if row["begin"] <= number * BIN_S < row["end"])
        (beside if bulk > BULK_MIN_BYTES else alone).append(1000 * (row["end"] - row["begin"]))
    return beside, alone


def bulk_in_bursts(counts, rate):
    """The share of bulk that crossed in bins in which the training was sending."""
    bursts = [pair for pair in counts.values() if pair[0] > BURST_SHARE * rate * 1e6 / 8 * BIN_S]
    return sum(pair[1] for pair in bursts) / max(1, sum(pair[1] for pair in counts.values()))


def differences(curve, reference):
    return max((abs(loss - reference[step]) / abs(reference[step]) for step, loss in curve.items()), default=float("inf"))


def median(values, unit="ms"):
    return "%.0f %s (median of %d)" % (statistics.median(values), unit, len(values)) if values else "none"


def tell(chosen, logs, counts, happened):
    lost, looker, restored = happened["lost"], happened["looker"], happened["restored"]
    curves = {name: losses(ranks) for name, ranks in logs.items()}
    steps, saves = logs["first"][0]
    visible = {step: seen for step, seen in looker.seen.items() if step in saves}
    apart = {name: differences(curves[name], curves["reference"]) for name in ("first", "second")}
    ways = [(seen["at"] - saves[step]["end"], *ideal_seconds(saves[step], counts["ab"], happened["bursts"], chosen)) for step, seen in visible.items()]
    beside, alone = iterations(steps, counts["ab"], lost)
    last = max(curves["first"])
    not_whole = [step for step, seen in looker.seen.items() if step not in saves or seen["files"] != saves[step]["files"]]
    training, bulk = (sum(pair[kind] for pair in counts["ab"].values()) / 1e6 for kind in (0, 1))
    in_bursts = bulk_in_bursts(counts["ab"], chosen.rate)
    announced = sum(end - begin for begin, end in happened["bursts"])
    report = [
        ("steps", "%d; %d before the site was lost" % (chosen.steps, last)),
        ("checkpoints saved at A", "%d of %.1f MB" % (len(saves), saves[max(saves)]["bytes"] / 1e6)),
        ("  visible at B, on the way, replaced by a newer", "%d, %d, %d" % (len(visible), max(saves) not in visible, len(saves.keys() - visible.keys() - {max(saves)}))),
        ("looks at B, partial checkpoints seen", "%d, %d" % (looker.looks, len(not_whole))),
        ("a save by torch, on the training thread", median([1000 * (save["end"] - save["begin"]) for save in saves.values()])),
        ("end of save to visible at B", median([1000 * way[0] for way in ways])),
        ("  ideal: on the link alone", median([1000 * way[1] for way in ways])),
        ("  ideal: in what the training left of it", median([1000 * way[2] for way in ways])),
        ("  ideal: and outside of the announced bursts", median([1000 * way[3] for way in ways])),
        ("time announced as bursts", "%.0f %% of the training" % (100 * announced / (lost - steps[1]["begin"]))),
        ("iterations beside a checkpoint that crosses", median(beside)),
        ("iterations with the link to themselves", median(alone)),
        ("over the WAN from A to B: training, bulk", "%.0f MB, %.0f MB; %.1f %% of bulk within bursts" % (training, bulk, 100 * in_bursts)),
        ("site A lost (kill -9: both ranks, its gateway)", "after step %d%s" % (last, "" if max(saves) in visible else ", with checkpoint %d on its way" % max(saves))),
        ("restored at B from", "step %d, and went on to %d" % (restored, max(curves["second"], default=0))),
        ("largest difference of the losses: A, B", ", ".join("none, bit for bit" if apart[name] == 0 else "%.2g" % apart[name] for name in apart)),
        ("loss at step 1, %d, %d" % (restored, chosen.steps), ", ".join("%.3f" % curves["reference"][step] for step in (1, restored, chosen.steps))),
    ]
    claims = [
        (not not_whole, "a checkpoint at B was not whole when it appeared, or is not what was saved: %s" % not_whole),
        (not any(happened["verified"].values()), "tideway verify: %s" % happened["verified"]),
        (len(visible) > 1, "only %d checkpoints got to B" % len(visible)),
        (max(saves) not in visible or visible[max(saves)]["at"] <= lost + chosen.rtt / 1000, "a checkpoint appeared after its site was lost"),
        (training > 1 and bulk > 1, "training and checkpoints did not share the link: %.1f and %.1f MB" % (training, bulk)),
        (apart["first"] <= LOSS_TOLERANCE, "the training over the WAN is not the reference"),
        (apart["second"] <= LOSS_TOLERANCE, "the training that went on at B is not the reference"),
        (max(curves["second"], default=0) == chosen.steps and min(curves["second"], default=0) == restored + 1, "site B did not go on from step %d to the end" % restored),
    ]
    return {"report": report, "failed": [text for held, text in claims if not held], "settings": {"rate": chosen.rate, "rtt": chosen.rtt},
            "losses": {name: sorted(curve.items()) for name, curve in curves.items()}, "lost_at": lost, "bursts": happened["bursts"],
            "restored": restored, "last": last,
            "saves": [{"step": step, "end": save["end"], "visible": visible.get(step, {}).get("at")} for step, save in saves.items()],
            "link": [(number * BIN_S, *pair) for number, pair in sorted(counts["ab"].items()) if steps[1]["begin"] - 1 <= number * BIN_S]}
