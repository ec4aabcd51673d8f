# SPDX-License-Identifier: Apache-2.0
"""A training that lost its site: its loss, beside the reference, and who used the link meanwhile."""
from plots import frame

REFERENCE, SITE_A, SITE_B = "#c9ced2", frame.COLOURS[0], frame.COLOURS[2]
BIN_S = 0.1
AFTER_S = 3.0  # of the link, behind the loss of the site


def draw(result):
    figure, axes = frame.make(2, 1, cell=(9.5, 3.0))
    draw_losses(axes[0, 0], result)
    draw_link(axes[1, 0], result)
    figure.tight_layout(rect=(0, 0.35 / figure.get_figheight(), 1, 1))
    frame.footer(figure, result, "two gloo ranks, one per site; emulated link of %g Mbit/s, round trip %g ms, shared by all-reduce and checkpoints" % (
        result["settings"]["rate"], result["settings"]["rtt"]))
    return figure


def draw_losses(ax, result):
    curves = {name: dict(points) for name, points in result["losses"].items()}
    for name, style in (("reference", dict(color=REFERENCE, linewidth=6, label="reference, uninterrupted")),
                        ("first", dict(color=SITE_A, linewidth=1.6, label="both sites, until A is lost")),
                        ("second", dict(color=SITE_B, linewidth=1.6, label="site B, from step %d on" % result["restored"]))):
        ax.plot(list(curves[name]), list(curves[name].values()), solid_capstyle="round", **style)
    saves = result["saves"]
    for label, shape, colour, steps in (
            ("checkpoint that is at B", "o", frame.OURS, [save["step"] for save in saves if save["visible"]]),
            ("a newer one took its place", "P", frame.COLOURS[3], [save["step"] for save in saves[:-1] if not save["visible"]]),
            ("lost with A", "X", "black", [save["step"] for save in saves[-1:] if not save["visible"]])):
        if steps:
            ax.plot(steps, [curves["reference"][step] for step in steps], shape, color=colour, markersize=6, label=label)
    ax.axvline(result["last"], color="black", linewidth=0.8, linestyle=":")
    ax.set_xlim(0, max(curves["reference"]) + 1)
    ax.set_xlabel("step", fontsize=8)
    ax.set_ylabel("loss", fontsize=8)
    ax.set_title("Loss: kill -9 of site A after step %d (dotted)" % result["last"], fontsize=9, loc="left")
    ax.legend(fontsize=7, loc="upper right")


def draw_link(ax, result):
    begin = result["link"][0][0]
    bins = {}
    for at, training, bulk in result["link"]:
        total = bins.setdefault(int((at - begin) / BIN_S), [0, 0])
        total[0] += training
        total[1] += bulk
    lost = result["lost_at"] - begin
    count = int((lost + AFTER_S) / BIN_S)
    seconds = [i * BIN_S for i in range(count)]
    training, bulk = ([bins.get(i, (0, 0))[kind] * 8 / BIN_S / 1e6 for i in range(count)] for kind in (0, 1))
    for i, (since, until) in enumerate(result["bursts"]):
        ax.axvspan(since - begin, until - begin, color="#dfe9f2", linewidth=0, label="" if i else "announced burst")
    ax.fill_between(seconds, training, step="post", color=SITE_A, linewidth=0, alpha=0.85, label="training (all-reduce)")
    ax.fill_between(seconds, training, [a + b for a, b in zip(training, bulk)], step="post", color=frame.OURS, linewidth=0, alpha=0.75, label="checkpoints")
    top = result["settings"]["rate"]
    for save in result["saves"]:
        if save["visible"]:
            ax.plot([save["end"] - begin, save["visible"] - begin], [top * 1.06] * 2, color=frame.OURS, linewidth=1)
    for label, key, shape, colour in (("save ended at A", "end", "v", "black"), ("visible at B", "visible", "o", frame.OURS)):
        times = [save[key] - begin for save in result["saves"] if save[key]]
        ax.plot(times, [top * 1.06] * len(times), shape, color=colour, markersize=4, linewidth=0, label=label)
    ax.axvline(lost, color="black", linewidth=0.8, linestyle=":")
    ax.set_ylim(0, top * 1.35)
    ax.set_xlim(0, seconds[-1])
    ax.set_xlabel("seconds", fontsize=8)
    ax.set_ylabel("Mbit/s from A to B", fontsize=8)
    ax.set_title("The link: checkpoints in what the training leaves", fontsize=9, loc="left")
    ax.legend(fontsize=7, loc="upper right", ncols=5)

