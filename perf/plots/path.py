# SPDX-License-Identifier: Apache-2.0
"""Rates of the data path beside the AEAD alone, and where the nanoseconds of a packet go at either end."""
from plots import frame

STAGES = {"rx": "takes packets from the backend", "place": "headers, replay, place in the block", "open": "opens", "ack": "acks",
          "pull": "what to send, headers", "seal": "seals", "tx": "gives packets to the backend", "turn": "the rest of a turn"}
COLOURS = dict(zip(STAGES, frame.COLOURS))
BACKGROUND = "#c9d1d3"


def draw(result):
    rows = [row for row in result["rows"] if "gbit" in row]
    figure, axes = frame.make(1, 3, cell=(5.0, 0.3 * len(rows) + 1.4), bottom=0.5)
    draw_rates(axes[0][0], rows)
    draw_stages(axes[0][1], rows, "source")
    draw_stages(axes[0][2], rows, "sink")
    handles, labels = (left + right for left, right in zip(axes[0][0].get_legend_handles_labels(), axes[0][1].get_legend_handles_labels()))
    figure.legend(handles, labels, loc="lower center", ncol=5, fontsize=7, frameon=False, bbox_to_anchor=(0.5, 0.25 / figure.get_figheight()))
    figure.tight_layout(rect=(0, 0.85 / figure.get_figheight(), 1, 1))
    frame.footer(figure, result)
    return figure


def label_rows(ax, rows):
    ax.set_yticks(range(len(rows)), [row["name"] for row in rows[::-1]])
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", labelsize=7)


def draw_rates(ax, rows):
    """The path from least to most, in front of what a core of the slower end seals or opens with nothing else to do."""
    for i, row in enumerate(rows[::-1]):
        alone = min(row["seal_alone_gbit"], row["open_alone_gbit"])
        ax.barh(i, alone, color=BACKGROUND, label="the AEAD alone" if i == 0 else None)
        ax.barh(i, row["gbit"], height=0.5, color=frame.OURS, label="the data path" if i == 0 else None)
        ax.plot([row["gbit_min"], row["gbit_max"]], [i, i], color="black", linewidth=1)
        ax.text(alone, i, " %.1f%s" % (row["gbit"], " *" if row.get("disturbed") else ""), va="center", fontsize=7)
    label_rows(ax, rows)
    ax.margins(x=0.12)
    ax.set_xlabel("Gbit/s, a core for each end; *: others had a part of one", fontsize=8)


def draw_stages(ax, rows, end):
    """Of a packet of 1,408 bytes: larger ones are drawn for as many bytes, so that all fit one scale."""
    for i, row in enumerate(rows[::-1]):
        left, scale = 0, 1408 / row["packet_payload"]
        for stage in STAGES:
            cost = row[end + "_stages"][stage]["ns_per_packet"] * scale
            ax.barh(i, cost, left=left, color=COLOURS[stage], label=STAGES[stage] if i == 0 else None)
            left += cost
    label_rows(ax, rows)
    ax.set_yticklabels([])
    ax.set_xlabel("ns for 1,408 bytes at the " + end, fontsize=8)
