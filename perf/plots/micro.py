# SPDX-License-Identifier: Apache-2.0
"""AEAD and hash over the size, the send window over its size, and everything as a multiple of its limit."""
from plots import frame


def draw(result):
    rows = [row for row in result["rows"] if "ns" in row]
    figure, axes = frame.make(2, 3, cell=(4.6, 3.9))
    for ax, bench in zip(axes[0], ("seal", "open", "hash_leaf")):
        draw_rates(ax, rows, bench)
    draw_window(axes[1][0], rows)
    draw_times(axes[1][1], axes[1][2], rows)
    figure.tight_layout(rect=(0, 0.04, 1, 1))
    frame.footer(figure, result)
    return figure


def lines_of(rows, bench, key):
    """label -> sorted [(x, row)]"""
    lines = {}
    for row in rows:
        if row["bench"] == bench and key in row["arguments"]:
            rest = ["%s %s" % pair for pair in row["arguments"].items() if pair[0] not in (key, "provider")]
            lines.setdefault(" ".join(filter(None, [bench, row.get("label", ""), *rest])), []).append((int(row["arguments"][key]), row))
    return {label: sorted(points, key=lambda point: point[0]) for label, points in lines.items()}


def draw_rates(ax, rows, bench):
    lines = lines_of(rows, bench, "size")
    limit = next((row["limit"] for row in rows if row["bench"] == bench and "limit" in row), None)
    for (label, points), colour in zip(lines.items(), (frame.OURS, *frame.COLOURS)):
        ax.plot([x for x, _ in points], [row["gb_per_s"] for _, row in points], marker="o", markersize=4, color=colour, label=label)
    for label, points in lines_of(rows, limit, "size").items():
        ax.plot([x for x, _ in points], [row["gb_per_s"] for _, row in points], ":", color="#888888", label="limit: " + label)
    ax.set_xscale("log", base=2)
    ax.set_yscale("log")
    ax.set_xlabel("bytes", fontsize=8)
    ax.set_ylabel("GB/s", fontsize=8)
    ax.set_title(bench, fontsize=9)
    ax.legend(fontsize=7, frameon=False)


def draw_window(ax, rows):
    lines = {**lines_of(rows, "send_and_ack", "in_flight"), **lines_of(rows, "copy_record", "in_flight")}
    for (label, points), colour in zip(lines.items(), (frame.OURS, *frame.COLOURS)):
        ax.plot([x for x, _ in points], [row["ns"] for _, row in points], ":" if "copy_record" in label else "-", marker="o", markersize=4,
                color="#888888" if "copy_record" in label else colour,
                label=label.replace("send_and_ack lost 0", "no loss").replace("send_and_ack lost 10", "1 % lost").replace("copy_record", "limit: copy_record"))
    ax.set_xscale("log")
    ax.set_ylim(bottom=0)
    ax.set_xlabel("packets in flight", fontsize=8)
    ax.set_ylabel("ns per packet", fontsize=8)
    ax.set_title("send window: sent, recorded, acked", fontsize=9)
    ax.legend(fontsize=7, frameon=False)


def draw_times(left, right, rows):
    """All that has a limit and is not drawn above, in two columns."""
    bars = [row for row in rows if "times_limit" in row and row["bench"] not in ("seal", "open", "hash_leaf", "send_and_ack")]
    half = (len(bars) + 1) // 2
    for ax, part in ((left, bars[:half]), (right, bars[half:])):
        names = [" ".join([row["bench"], *("%s %s" % pair for pair in row["arguments"].items())]) for row in part][::-1]
        ax.barh(range(len(part)), [row["times_limit"] for row in part][::-1], color=frame.COLOURS[0])
        ax.set_yticks(range(len(part)), names)
        for i, row in enumerate(part[::-1]):
            ax.text(row["times_limit"], i, " %.1f" % row["times_limit"], va="center", fontsize=6.5)
        ax.axvline(1, color="#888888", linewidth=1)
        ax.set_xscale("log")
        ax.margins(x=0.15)
        ax.grid(axis="y", visible=False)
        ax.tick_params(axis="y", labelsize=6.5)
        ax.set_xlabel("times its limit", fontsize=8)
