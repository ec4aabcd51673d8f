#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Bulk in the gaps of a training: a synthetic trainer and a job of a gateway's queue share an emulated wide-area link of 200 Mbit/s, for half a
# minute each alone, beside each other with the trainer's bursts announced, and with nothing announced. Meanwhile the gateway's page is at
# http://127.0.0.1:7480/; at the end there is a table of what bulk cost the trainer and what it used of the rest, and a picture of both.
#
#   sudo ./scripts/demo-tide.sh                             the last line is PASS or FAIL
#   TIDEWAY_BIN=DIR ./scripts/demo-tide.sh --iterations 60  programs built elsewhere; flags of perf/tide/run.sh
#
# Installs what it needs, builds if nothing is built, asks nothing, may be run again; writes below build/ and perf/results/ and ends what it
# started. Needs root and network namespaces; without them it is skipped, with exit code 77.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name=demo-tide
programs=(tideway tidewayd tideway-wan tideway-trainer-sim)
page=7480
. scripts/demo_lib.sh
begin

echo "0. packages and build"
build_programs programs tideway-trainer-sim
scripts/install_deps.sh tide >> "$log" 2>&1
needs_namespaces

result=$work/tide-demo.json
picture=${result%.json}.svg
rm -f "$result" "$picture"  # what another run left proves nothing

echo "1. a trainer alone, beside a job in its gaps, and beside a copy that nobody holds: two minutes; look at http://127.0.0.1:$page/"
export TIDEWAY_WAN=$bin/tideway-wan
run perf/tide/run.sh --bin "$bin" --page "$page" --iterations 30 --modes alone,job,unannounced --result "$result" "$@"

echo "2. what it came to"
python3 - "$result" <<'PY'
import json, sys
INFLATION_MAX = 0.10  # a busy machine with two cores keeps it; a burst that shares the link with bulk costs a multiple
rows = {row["mode"]: row for row in json.load(open(sys.argv[1]))["rows"]}
job, free = rows["job"], rows["unannounced"]
print("   the job used %.0f %% of what the trainer leaves; the link carried bulk for %.2f %% of an iteration while a burst was under way, against %.0f %%" % (
    100 * job["utilisation"], 100 * job["link"], 100 * free["link"]))
print("   an iteration of the trainer took %.1f %% longer beside the job (at most %.0f %%), and %.1f %% longer with nothing announced" % (
    100 * job["inflation"], 100 * INFLATION_MAX, 100 * free["inflation"]))
late = sum(row["late_timers"] for row in rows.values())
if late > 5:
    print("   (%d timers of the trainer came late: something else used this machine, too)" % late)
wrong = {"the job slowed the trainer down": job["inflation"] > INFLATION_MAX,
         "the job used less than half of what the trainer leaves": job["utilisation"] < 0.5,
         "bulk was on the link during bursts": job["link"] > 0.01,
         "bulk that nobody announced met few bursts, so none of this shows anything": free["link"] < 5 * job["link"]}
sys.exit("\n".join("   " + what for what, is_so in wrong.items() if is_so) or None)
PY
[ -s "$picture" ] || { echo "   there is no picture: perf/plot.py did not draw $result" >&2; exit 1; }
echo "PASS demo-tide; the picture is $picture"
