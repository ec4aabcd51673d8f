# SPDX-License-Identifier: Apache-2.0
"""Rates from disk to disk, the page cache cold and warm, and CPU time."""
from plots import frame

SHADES = {"cold": 1.0, "warm": 0.55, "direct": 1.0, "buffered": 1.0}
COLOURS = {"ours": frame.OURS, "peer": frame.COLOURS[0], "limit": "#9aa5a8", "device": "#5f6b6d"}


def draw(result):
    rows = [row for row in result["rows"] if "gb_per_s" in row]
    figure, axes = frame.make(1, 2, cell=(5.2, 0.34 * len(rows) + 1.2))
    left, right = axes[0]
    draw_bars(left, rows, "gb_per_s", "GB/s")
    draw_bars(right, [row for row in rows if "cpu_s_per_gb" in row and row["role"] in ("ours", "peer")], "cpu_s_per_gb", "CPU s per GB, all processes")
    left.set_title("%s on %s, %d MiB" % (result["file_system"], result["device"], result["size_mib"]), fontsize=9)
    figure.tight_layout(rect=(0, 0.3 / figure.get_figheight(), 1, 1))
    frame.footer(figure, result)
    return figure


def draw_bars(ax, rows, key, title):
    rows = rows[::-1]
    for i, row in enumerate(rows):
        ax.barh(i, row[key], color=COLOURS[row["role"]], alpha=SHADES[row["cache"]])
        ax.text(row[key], i, " %.2f" % row[key], va="center", fontsize=7)
    if key == "gb_per_s":
        for i, row in enumerate(rows):
            ax.plot([row["gb_per_s_min"], row["gb_per_s_max"]], [i, i], color="black", linewidth=1)
    ax.set_yticks(range(len(rows)), ["%s (%s)" % (row["system"], row["cache"]) for row in rows])
    ax.margins(x=0.12)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", labelsize=7)
    ax.set_xlabel(title, fontsize=8)
