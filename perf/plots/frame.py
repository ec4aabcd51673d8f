# SPDX-License-Identifier: Apache-2.0
"""What all pictures share: size, colours, and a line at the bottom that says what was measured where."""
import matplotlib.pyplot as plt

OURS = "#c8102e"
COLOURS = ("#1f5a8c", "#2e8b57", "#d98e04", "#6a4c93", "#00838f", "#8d5524", "#5f6b6d", "#ad1457", "#33691e", "#455a64")


def make(rows, columns, cell=(4.2, 3.6), bottom=0.0):
    """A grid of axes; `bottom` inches below it belong to the legend."""
    figure, axes = plt.subplots(rows, columns, squeeze=False,
                                figsize=(max(7.5, cell[0] * columns), cell[1] * rows + bottom + 0.4), layout=None)
    for ax in axes.flat:
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
        ax.grid(True, color="#e3e3e3", linewidth=0.7)
        ax.set_axisbelow(True)
        ax.tick_params(labelsize=8)
    return figure, axes


def footer(figure, result, text=""):
    machine = result["machine"]
    said = "commit %s, %s; %s, %d cores, Linux %s, load %.1f at the start" % (
        result["commit"], result["time"][:8], machine["cpu"], machine["cores"], machine["kernel"], machine["load"])
    figure.text(0.01, 0.06 / figure.get_figheight(), (text + "\n" if text else "") + said, fontsize=7, color="#666666")


def colours_of(names, is_ours):
    """The same colour for the same system in all panels; ours stands out."""
    others = iter(COLOURS * 3)
    return {name: OURS if is_ours(name) else next(others) for name in names}
