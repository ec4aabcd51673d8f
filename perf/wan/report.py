# SPDX-License-Identifier: Apache-2.0
"""From runs to rows, and from rows to tables."""
import statistics

import cells
from system import CEILING, NULL_TEST, OURS, PEER
from testbed import ideal_mbit

LATE_WORTH_SAYING_S = 0.02


def row_of(system, cell, runs, options):
    link, what = cell
    row = {"rtt_ms": link.rtt_ms, "loss_percent": link.loss.percent, "loss_burst": link.loss.burst, "queue_bdp": link.queue_bdp,
           "reorder_ms": link.reorder_ms, "halves_s": link.halves_s, "link": str(link), "system": system.name, "role": system.role,
           "is_encrypted": system.is_encrypted, "what": what, "runs": len(runs),
           "errors": [run["error"] for run in runs if "error" in run]}
    good = [run for run in runs if "error" not in run]
    if good:
        rates = [run["mbit"] for run in good]
        row.update(mbit=statistics.median(rates), mbit_min=min(rates), mbit_max=max(rates),
                   seconds=statistics.median(run["seconds"] for run in good),
                   of_ideal=statistics.median(run["of_ideal"] for run in good), cpu_s_per_gb=cpu_per_gb(good))
        if system.role == OURS and what != cells.MEMORY:
            row["set_up_rtts"] = system.set_up_rtts
            row["of_set_up_limit"] = row["of_ideal"] * (1 + set_up_share(row, good[0]["bytes"], link, options))
    elif any("mbit_less_than" in run for run in runs):
        row["mbit_less_than"] = runs[0]["mbit_less_than"]
    row["notes"] = notes_on(system, runs)
    return row


def cpu_per_gb(good):
    """Seconds per GB of each site, and of both: medians of what was measured together."""
    sides = {side: statistics.median(run["cpu_seconds"][side] / run["bytes"] * 1e9 for run in good) for side in ("a", "b")}
    return {**sides, "both": statistics.median(sum(run["cpu_seconds"].values()) / run["bytes"] * 1e9 for run in good)}


def set_up_share(row, size, link, options):
    """Set-up of a command over the ideal time of its bytes."""
    ideal_s = size * 8 / 1e6 / ideal_mbit(options.rate * link.mean_rate, "tideway", link.loss.share)
    return row["set_up_rtts"] * row["rtt_ms"] / 1000 / ideal_s


def notes_on(system, runs):
    notes = []
    mistakes = sum(sum((run["emulator"][side]["mistakes"] or {}).values()) for run in runs for side in ("ab", "ba"))
    late = max((run["emulator"]["ab"]["late_max_s"] or 0) for run in runs)
    if system.role == NULL_TEST:
        dropped = sum(run["emulator"]["ab"]["dropped_queue"] or 0 for run in runs)
        lost = statistics.median(run.get("lost_share", 0) for run in runs)
        notes.append("lost %.2f %%, of it %d frames in the queue" % (100 * lost, dropped))
    if mistakes:
        notes.append("the emulator made %d mistakes" % mistakes)
    if late > LATE_WORTH_SAYING_S:
        notes.append("the emulator was late by up to %.0f ms" % (late * 1e3))
    return notes


def compare(rows):
    """Adds the ratios to the best peer of the same link and data: goodput over the fastest, CPU over the thriftiest."""
    groups = {}
    for row in rows:
        groups.setdefault((row["link"], row["what"]), []).append(row)
    for group in groups.values():
        peers = [row for row in group if row["role"] == PEER and "mbit" in row]
        encrypted = [row for row in peers if row["is_encrypted"]]
        for row in group:
            if "mbit" not in row or row["role"] not in (OURS, PEER):
                continue
            add_ratio(row, "of_best_peer", "mbit", [peer["mbit"] for peer in peers], max)
            add_ratio(row, "of_best_encrypted_peer", "mbit", [peer["mbit"] for peer in encrypted], max)
            costs = [peer["cpu_s_per_gb"]["both"] for peer in encrypted]
            if costs:
                row["cpu_of_best_encrypted_peer"] = row["cpu_s_per_gb"]["both"] / min(costs)
    return rows


def add_ratio(row, name, key, others, best):
    if others:
        row[name] = row[key] / best(others)


# ---- tables ----------------------------------------------------------------------------------------------------------

def tables(rows):
    """Markdown: for each kind of data an overview, then every figure."""
    out = []
    for what in [what for what in (cells.MEMORY, *cells.WHAT) if any(row["what"] == what for row in rows)]:
        part = [row for row in rows if row["what"] == what]
        out += ["", "## %s" % what, ""] + overview(part) + [""] + details(part)
    return "\n".join(out + [""] + tree_lines(rows)) + "\n"


def in_order(values):
    return list(dict.fromkeys(values))


def overview(rows):
    """Mbit/s, and its share of the ideal: a line per system, a column per link."""
    links = in_order(row["link"] for row in sorted(rows, key=lambda row: (
        row["halves_s"], row["reorder_ms"], row["queue_bdp"], row["loss_burst"], row["loss_percent"], row["rtt_ms"])))
    lines = ["| Mbit/s (of ideal) | " + " | ".join(links) + " |", "|---|" + "---:|" * len(links)]
    by_key = {(row["system"], row["link"]): row for row in rows}
    for system in in_order(row["system"] for row in rows):
        shown = [brief(by_key.get((system, link))) for link in links]
        lines.append("| %s | %s |" % (titled(next(row for row in rows if row["system"] == system)), " | ".join(shown)))
    return lines


def titled(row):
    kind = "encrypted" if row["is_encrypted"] else "clear text" if row["role"] == PEER else "memory to memory"
    return ("**%s** (%s)" if row["role"] == OURS else "%s (%s)") % (row["system"], kind)


def brief(row):
    if row is None:
        return ""
    if "mbit" in row:
        return "%.0f (%.2f)" % (row["mbit"], row["of_ideal"])
    return "< %.0f, not done" % row["mbit_less_than"] if "mbit_less_than" in row else "failed"


def details(rows):
    lines = ["| link | system | Mbit/s | least..most | n | s | of ideal | of best peer | CPU s/GB | at A + at B | of best encrypted | notes |",
             "|---|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|"]
    for row in rows:
        notes = "; ".join(in_order(row["errors"])[:1] + row["notes"]).replace("|", "/").replace("\n", " ")
        if "mbit" not in row:
            lines.append("| %s | %s | %s | | %d | | | | | | | %s |" % (row["link"], row["system"], brief(row), row["runs"], notes))
            continue
        if "of_set_up_limit" in row:
            limit = "%.2f of what %d RTT of set-up leave" % (row["of_set_up_limit"], row["set_up_rtts"])
            notes = "; ".join(filter(None, [limit, notes]))
        cpu = row["cpu_s_per_gb"]
        lines.append("| %s | %s | %.0f | %.0f..%.0f | %d | %.2f | %.3f | %s | %.2f | %.2f + %.2f | %s | %s |" % (
            row["link"], row["system"], row["mbit"], row["mbit_min"], row["mbit_max"], row["runs"], row["seconds"], row["of_ideal"],
            ratio(row, "of_best_peer"), cpu["both"], cpu["a"], cpu["b"], ratio(row, "cpu_of_best_encrypted_peer"), notes))
    return lines


def ratio(row, key):
    return "%.2f" % row[key] if key in row else ""


def tree_lines(rows):
    """What many files cost beside one of their size, and their goodput beside that of a large one."""
    by_key = {(row["link"], row["system"], row["what"]): row for row in rows if "seconds" in row and row["role"] != CEILING}
    trees = [(link, system, row) for (link, system, what), row in by_key.items() if what == "tree"]
    return ["time of the tree over that of one file of its size, %s, %s: %.2f" % (system, link, row["seconds"] / by_key[link, system, "same"]["seconds"])
            for link, system, row in trees if (link, system, "same") in by_key] + [
            "goodput of the tree over that of the large file, %s, %s: %.2f" % (system, link, row["mbit"] / by_key[link, system, "file"]["mbit"])
            for link, system, row in trees if (link, system, "file") in by_key]
