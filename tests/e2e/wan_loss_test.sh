#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A bad link between two sites: loss in bursts, reordering, duplicates, damage, a small path MTU, a blackout.
source "$(dirname "$0")/lib.sh"
make_testbed_sites
head -c 20000000 /dev/urandom > "$work/file"

bed up --rate 200Mbit --delay 10ms --loss 1% --loss-burst 3 --reorder 1% --duplicate 0.5% --corrupt 0.1% --seed 7 > /dev/null
serve wisconsin "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy --json "$work/file" wisconsin:data/file > "$work/push.json" 2> "$work/push.log"
cmp "$work/file" "$work/wisconsin/data/file"; pass
python3 - "$work/push.json" <<'PY' || fail "a link that loses 1 % showed no loss"
import json, sys
summary = [json.loads(line) for line in open(sys.argv[1])][-1]
sys.exit(not 0.002 < summary["loss"] < 0.2)
PY
pass
bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy -q wisconsin:data/file "$work/back"
cmp "$work/file" "$work/back"; pass

bed restart --rate 200Mbit --delay 10ms --mtu 1400B > /dev/null
bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy -q "$work/file" wisconsin:data/narrow
cmp "$work/file" "$work/wisconsin/data/narrow"; pass

bed restart --rate 50Mbit --delay 10ms --blackout 2s+1s/1000s > /dev/null
bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy -q "$work/file" wisconsin:data/dark
cmp "$work/file" "$work/wisconsin/data/dark"; pass
