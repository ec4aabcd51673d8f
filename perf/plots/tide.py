# SPDX-License-Identifier: Apache-2.0
"""Training and bulk on one link over time, a panel per mode, with what bulk cost and what it used."""
from plots import frame

TRAINING, BULK = frame.COLOURS[0], frame.OURS


def draw(result):
    rows = result["rows"]
    figure, axes = frame.make(len(rows), 1, cell=(9.5, 1.5))
    top = float(result["settings"]["rate"])
    for ax, row in zip(axes[:, 0], rows):
        trace = result["traces"][row["mode"]]
        seconds = [i / 100 for i in range(len(trace["training"]))]
        # Bins of 10 ms hold a frame more or less; five of them are drawn as one.
        training, bulk = smooth(trace["training"]), smooth(trace["bulk"])
        ax.fill_between(seconds, training, color=TRAINING, linewidth=0, alpha=0.85, label="training")
        ax.fill_between(seconds, training, [a + b for a, b in zip(training, bulk)], color=BULK, linewidth=0, alpha=0.75, label="bulk")
        ax.set_ylim(0, top * 1.1)
        ax.set_xlim(0, seconds[-1])
        ax.set_ylabel("Mbit/s", fontsize=8)
        of_link = ", of that the link %.2f %%" % (100 * row["link"]) if "link" in row else ""  # older results do not know
        ax.set_title("%s: iterations %+.2f %% (p99 %+.2f %%)%s, bulk uses %.0f %% of the leftover" % (
            row["mode"], 100 * row["inflation"], 100 * row["inflation_p99"], of_link, 100 * row["utilisation"]), fontsize=8, loc="left")
    axes[0, 0].legend(fontsize=7, loc="upper right", ncols=2)
    axes[-1, 0].set_xlabel("seconds", fontsize=8)
    figure.tight_layout(rect=(0, 0.3 / figure.get_figheight(), 1, 1))
    frame.footer(figure, result, "%s Mbit/s, RTT %s ms, queue %s ms, period %s ms, duty %s, jitter %s" % tuple(
        result["settings"][key] for key in ("rate", "rtt", "queue", "period", "duty", "jitter")) + hosts(result["settings"]))
    return figure


def hosts(settings):
    fan_in = settings.get("fan_in", "1")  # older results have one host
    return "" if fan_in == "1" else ", fan-in %s" % fan_in


def smooth(values, width=5):
    half = width // 2
    return [sum(values[max(0, i - half):i + half + 1]) / len(values[max(0, i - half):i + half + 1]) for i in range(len(values))]
