# SPDX-License-Identifier: Apache-2.0
"""Goodput as a share of the ideal, over the round trip or over the loss, and CPU time of both ends."""
from plots import frame

RAISED = {"file": "random file", "checkpoint": "checkpoint that compresses", "tree": "tree of small files"}
TOP = 1.05
COLUMNS_MAX = 4


def draw(result):
    rows = [row for row in result["rows"] if row["role"] != "null test"]
    kinds = [what for what in RAISED if any(row["what"] == what for row in rows)]
    # What TCP could do at most belongs to the large file only.
    panels = {what: panels_of([row for row in rows if row["what"] in (what, "memory" if what == kinds[0] else what)], what) for what in kinds}
    columns = min(COLUMNS_MAX, max(len(parts) for parts in panels.values()) + 1)
    names = list(dict.fromkeys(row["system"] for row in rows))
    looks = looks_of(rows, names)
    lines = {what: -(-(len(parts) + 1) // columns) for what, parts in panels.items()}  # each kind of data begins a new one
    figure, axes = frame.make(sum(lines.values()), columns, bottom=0.9)
    free = list(axes)
    for what in kinds:
        places = [ax for line in free[:lines[what]] for ax in line]
        del free[:lines[what]]
        draw_kind(places, what, panels[what], looks)
        draw_cpu(places[len(panels[what])], [row for row in rows if row["what"] == what], looks)
    handles = {}
    for ax in axes.flat:
        handles.update({text: handle for handle, text in zip(*ax.get_legend_handles_labels())})
    shown = [name for name in names if name in handles]
    if shown:  # only lines need it
        figure.legend([handles[name] for name in shown], shown, loc="lower center", ncol=min(7, max(3, 2 * columns)), fontsize=8, frameon=False,
                      bbox_to_anchor=(0.5, 0.35 / figure.get_figheight()))
    figure.tight_layout(rect=(0, (1.05 if shown else 0.4) / figure.get_figheight(), 1, 1))
    frame.footer(figure, result, "link %d Mbit/s; hollow: not done in %g s, so below that%s" % (
        result["rate_mbit"], result["limit_s"], "; solid: encrypted, dashed: clear text, dotted: from memory to memory" if shown else ""))
    return figure


def draw_kind(places, what, panels, looks):
    for ax in places:
        ax.set_visible(False)
    for ax, (title, over, part) in zip(places, panels):
        ax.set_visible(True)
        draw_panel(ax, part, over, looks)
        title = "%s, %s" % (RAISED[what], title)
        ax.set_title(title.replace(", queue", "\nqueue").replace(", reordering", "\nreordering"), fontsize=9)


def looks_of(rows, names):
    colours = frame.colours_of(names, lambda name: any(row["system"] == name and row["role"] == "ours" for row in rows))
    looks = {}
    for row in rows:
        style = ":" if row["role"] == "ceiling" else "-" if row["is_encrypted"] else "--"
        looks[row["system"]] = {"color": colours[row["system"]], "linestyle": style, "linewidth": 2.6 if row["role"] == "ours" else 1.3,
                                "marker": "o", "markersize": 5 if row["role"] == "ours" else 3.5}
    return looks


def trouble(row):
    """All of a link but its round trip, as a title."""
    text = "%g %% loss" % row["loss_percent"]
    if row["loss_burst"] > 1:
        text += " in bursts of %d" % row["loss_burst"]
    if row["queue_bdp"] != 1:
        text += ", queue %g BDP" % row["queue_bdp"]
    if row["reorder_ms"]:
        text += ", reordering %g ms" % row["reorder_ms"]
    if row.get("halves_s"):
        text += ", half of the rate each other %g s" % row["halves_s"]
    return text


def panels_of(rows, what):
    """(title, kind, rows): over the round trip for each loss that has several, over the loss for what is left, and bars where
    a link has nothing to be compared with."""
    panels, covered = [], set()
    links = sorted({(trouble(row), row["rtt_ms"]) for row in rows if row["what"] == what})
    troubles = sorted({text for text, _ in links}, key=by_loss)
    for text in troubles:
        if sum(1 for other, _ in links if other == text) > 1:
            panels.append((text, "rtt", [row for row in rows if trouble(row) == text]))
            covered.add(text)
    for rtt in sorted({rtt for text, rtt in links if text not in covered}):
        part = [row for row in rows if row["rtt_ms"] == rtt and (trouble(row), rtt) in links]
        alone = len({trouble(row) for row in part}) == 1
        panels.append(("%g ms, %s" % (rtt, trouble(part[0])), "bars", part) if alone else ("RTT %g ms" % rtt, "trouble", part))
    return panels


def by_loss(text):
    return ("," in text, "bursts" in text, float(text.split()[0]), text)


def draw_panel(ax, rows, kind, looks):
    if kind == "bars":
        draw_bars(ax, rows, looks)
        return
    if kind == "rtt":
        ax.set_xscale("log")
        ticks = sorted({row["rtt_ms"] for row in rows})
        ax.set_xticks(ticks, ["%g" % tick for tick in ticks])
        ax.minorticks_off()
        ax.set_xlabel("round trip, ms", fontsize=8)
        place = lambda row: row["rtt_ms"]  # noqa: E731
        beside = lambda x, i: x * (1 + 0.05 * i)  # noqa: E731
    else:
        order = sorted({trouble(row) for row in rows}, key=by_loss)
        ax.set_xticks(range(len(order)), [text.replace(" in ", "\nin ").replace(", ", "\n").replace(" loss", "") for text in order])
        ax.set_xlim(-0.4, len(order) - 0.6)
        ax.set_xlabel("loss", fontsize=8)
        place = lambda row: order.index(trouble(row))  # noqa: E731
        beside = lambda x, i: x + 0.07 * i  # noqa: E731
    for name in dict.fromkeys(row["system"] for row in rows):
        draw_line(ax, sorted((row for row in rows if row["system"] == name), key=place), place, looks[name])
    unfinished = {}
    for row in (row for row in rows if "mbit_less_than" in row):
        same_place = unfinished.setdefault(place(row), [])
        same_place.append(row)
        ax.plot([beside(place(row), len(same_place) - 1)], [min(1, row["mbit_less_than"] / ideal_of(rows))], linestyle="", marker="v",
                markersize=5, markerfacecolor="none", markeredgecolor=looks[row["system"]]["color"])
    ax.set_ylim(0, TOP)
    ax.set_ylabel("goodput / ideal payload rate", fontsize=8)


def draw_line(ax, same, place, look):
    """Medians, with a stroke from the least to the most."""
    good = [row for row in same if "mbit" in row]
    if not good:
        return
    zorder = 5 if look["linewidth"] > 2 else 2
    ax.plot([place(row) for row in good], [row["of_ideal"] for row in good], label=good[0]["system"], zorder=zorder, **look)
    ideals = [row["mbit"] / row["of_ideal"] for row in good]
    ax.vlines([place(row) for row in good], [row["mbit_min"] / ideal for row, ideal in zip(good, ideals)],
              [row["mbit_max"] / ideal for row, ideal in zip(good, ideals)], color=look["color"], linewidth=1, zorder=zorder)


def draw_bars(ax, rows, looks):
    """One link: a bar per system; an empty one ends where an unfinished system's rate must lie below."""
    shown = [row for row in rows if "mbit" in row or "mbit_less_than" in row]
    share = lambda row: row["of_ideal"] if "mbit" in row else min(1, row["mbit_less_than"] / ideal_of(rows))  # noqa: E731
    shown.sort(key=share)
    for i, row in enumerate(shown):
        colour = looks[row["system"]]["color"]
        ax.barh(i, share(row), color=colour if "mbit" in row else "none", edgecolor=colour, linestyle="-" if "mbit" in row else ":")
        ax.text(share(row), i, (" %.0f" if "mbit" in row else " < %.0f") % (row.get("mbit") or row["mbit_less_than"]), va="center", fontsize=7)
    ax.set_yticks(range(len(shown)), [named(row) for row in shown])
    ax.set_xlim(0, TOP + 0.1)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", labelsize=7)
    ax.set_xlabel("goodput / ideal payload rate; Mbit/s   * clear text", fontsize=8)


def named(row):
    return row["system"] + ("" if row["is_encrypted"] else " *")


def ideal_of(rows):
    """Of TCP, roughly: for a mark that only says `less than`."""
    known = [row["mbit"] / row["of_ideal"] for row in rows if "mbit" in row and row["of_ideal"] > 0]
    return max(known, default=1000.0)


def draw_cpu(ax, rows, looks):
    """Bars for the link where most systems finished; of several the one with the least trouble."""
    good = [row for row in rows if "cpu_s_per_gb" in row]
    ax.set_visible(bool(good))
    if not good:
        return
    links = list(dict.fromkeys(row["link"] for row in good))
    link = max(links, key=lambda name: usefulness([row for row in good if row["link"] == name]))
    bars = sorted((row for row in good if row["link"] == link), key=lambda row: -row["cpu_s_per_gb"]["both"])
    names = [named(row) for row in bars]
    colours = [looks[row["system"]]["color"] for row in bars]
    at_a = [row["cpu_s_per_gb"]["a"] for row in bars]
    ax.barh(names, at_a, color=colours)
    ax.barh(names, [row["cpu_s_per_gb"]["b"] for row in bars], left=at_a, color=colours, alpha=0.5)
    for i, row in enumerate(bars):
        ax.text(row["cpu_s_per_gb"]["both"], i, " %.1f" % row["cpu_s_per_gb"]["both"], va="center", fontsize=7)
    ax.margins(x=0.12)
    ax.grid(axis="y", visible=False)
    ax.tick_params(axis="y", labelsize=7)
    ax.set_xlabel("CPU s per GB: sender + receiver (pale)   * clear text", fontsize=8)
    ax.set_title("CPU at %s" % link, fontsize=9)


def usefulness(rows):
    """Most systems first, then least loss, then the link nearest to 50 ms."""
    return len(rows), -rows[0]["loss_percent"], -abs(rows[0]["rtt_ms"] - 50)
