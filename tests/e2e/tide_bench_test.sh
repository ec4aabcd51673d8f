#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# perf/tide, which says what bulk costs a trainer, at a small size: every way in which a gateway learns of bursts carries bulk beside the synthetic
# trainer, the tables and the result file have a row for each, and nothing is left behind, also when it is told to end. What the figures are worth
# is not looked at here: other tests use this machine, too.
source "$(dirname "$0")/lib.sh"
[ "$(id -u)" -eq 0 ] && ip netns add "twprobe$$" 2> /dev/null && ip netns del "twprobe$$" || { echo "SKIP: needs root and network namespaces"; exit 77; }
mkdir "/sys/fs/cgroup/twprobe$$" 2> /dev/null && rmdir "/sys/fs/cgroup/twprobe$$" || { echo "SKIP: needs a cgroup v2 that may be written"; exit 77; }
[ -x "$bin/tideway-trainer-sim" ] || { echo "SKIP: tideway-trainer-sim is not built in $bin"; exit 77; }
result=$work/tide-small.json
modes=alone,elsewhere-board,beacon,board,job,counters,capped
tide() { TIDEWAY_WAN=$bin/tideway-wan exec "$repo/perf/tide/run.sh" --bin "$bin" --rate 100Mbit --rtt 4ms --queue 5ms --period 200ms --iterations 12 --result "$result" "$@"; }
left_behind() { ip netns list | grep "^twperf$1-" || compgen -G "/dev/shm/tideway-perf-$1-*" || compgen -G "/sys/fs/cgroup/twperf$1-*"; }

tide --modes "$modes" > "$work/tide.out" 2> "$work/tide.log" &
bench=$!
running+=("$bench")
wait "$bench" || fail "it failed: $(cat "$work/tide.log" "$work/tide.out")"
python3 - "$result" "$modes" <<'PY' || fail "the result: $(cat "$work/tide.out")"
import json, sys
result = json.load(open(sys.argv[1]))
rows = {row["mode"]: row for row in result["rows"]}
assert list(rows) == sys.argv[2].split(","), list(rows)
assert result["machine"]["cores"] >= 1 and result["settings"]["rate"] == "100.0", result["settings"]
for mode, row in rows.items():
    assert row["iterations"] == 12 and row["median_ms"] > 150 and row["training_mbit"] > 1, row
    assert (row["bulk_mbit"] > 1) == (mode != "alone") and row["utilisation"] >= 0, row
    assert row["cores"]["trainer"] > 0, row
    traces = result["traces"][mode]
    assert max(traces["training"]) > 50 and (max(traces["bulk"]) > 10) == (mode != "alone"), mode
assert rows["elsewhere-board"]["link"] == 0, rows["elsewhere-board"]  # its packets were on another link
PY
pass
for mode in ${modes//,/ }; do
  [ "$(grep -c "^| $mode |" "$work/tide.out")" -eq 2 ] || fail "$mode is not in both tables: $(cat "$work/tide.out")"; pass
done
left_behind "$bench" && fail "that was left behind"; pass

rm "$result"
tide --modes alone,board --iterations 60 > "$work/ended.out" 2> "$work/ended.log" &
bench=$!
running+=("$bench")
for _ in $(seq 300); do ip netns list | grep -q "^twperf$bench-" && break; sleep 0.1; done
ip netns list | grep -q "^twperf$bench-" || fail "it made no sites within half a minute: $(cat "$work/ended.log")"; pass
kill -TERM "$bench"
wait "$bench" && fail "told to end, it ended as if it had measured"; pass
[ ! -e "$result" ] || fail "there is a result of a run that was ended"; pass
left_behind "$bench" && fail "that was left behind by a run that was told to end"; pass
if "$repo/perf/tide/run.sh" --modes board > "$work/wrong.out" 2>&1; then fail "bulk was compared with nothing"; fi
grep -q 'begins with alone' "$work/wrong.out" || fail "no word of what is wrong: $(cat "$work/wrong.out")"; pass
