#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Draws a result file as SVG (or PNG) beside it: perf/plot.py [--png] RESULT.json...

Debian's own python3, because its matplotlib is installed for no other one.
"""
import json
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
KINDS = ("wan", "micro", "path", "disk", "tide", "demo")  # a module in plots/ each, with draw(result) -> figure


def main():
    try:
        os.environ["MPLCONFIGDIR"] = os.path.join(tempfile.gettempdir(), "tideway-matplotlib")  # not the user's own folder
        import matplotlib
    except ImportError:
        sys.exit("plot: matplotlib is missing; scripts/install_deps.sh perf")
    matplotlib.use("agg")
    suffix = ".png" if "--png" in sys.argv else ".svg"
    for name in (name for name in sys.argv[1:] if name != "--png"):
        path = pathlib.Path(name)
        kind = path.name.split("-")[0]
        if kind not in KINDS:
            print("plot: nothing is drawn of %s; only of %s" % (path.name, ", ".join(KINDS)))
            continue
        try:
            figure = __import__("plots." + kind, fromlist=["draw"]).draw(json.loads(path.read_text()))
        except KeyError as missing:
            print("plot: nothing is drawn of %s: an older version wrote it, without %s" % (path.name, missing))
            continue
        out = path.with_suffix(suffix)
        figure.savefig(out, dpi=110)
        print("drawn in %s" % out)


if __name__ == "__main__":
    main()
