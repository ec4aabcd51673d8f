#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Where UDP is blocked, from the first packet on or in the middle of a copy, packets go over TLS connections; and over UDP again once that
# comes through. Half a minute, because nobody notices a block before three seconds, or asks again at once.
source "$(dirname "$0")/lib.sh"
make_testbed_sites
sed -i 's/^fallback = "off"/fallback = "tls"/' "$work"/*.toml
head -c 40000000 /dev/urandom > "$work/file"
bed up --rate 200Mbit --delay 5ms > /dev/null
serve wisconsin "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
wisconsin=$gateway
copy() { bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy "$@"; }
block() { bed exec "$1" ip rule "$2" ipproto udp blackhole; }

block a add
from=$SECONDS
copy --json "$work/file" wisconsin:data/push > "$work/push.json" 2> "$work/push.log"
[ $((SECONDS - from)) -le 15 ] || fail "a copy over TLS took $((SECONDS - from)) s"; pass
cmp "$work/file" "$work/wisconsin/data/push"; pass
grep -q '"backend":"tls"' "$work/push.json" || fail "progress does not say what carries the packets"; pass
grep -q '"notice":"udp_blocked"' "$work/push.json" || fail "no notice of what is blocked"; pass

copy -q wisconsin:data/push "$work/pulled"
cmp "$work/file" "$work/pulled"; pass
block a del

# From now on in one direction only, when some of the bytes have arrived.
copy --json "$work/file" wisconsin:data/midway > "$work/midway.json" 2> "$work/midway.log" &
copying=$!
for _ in $(seq 100); do
  [ "$(find "$work/wisconsin/data/.tideway" -name ledger -size +0 2>/dev/null | wc -l)" -gt 0 ] && break
  sleep 0.05
done
block b add
wait "$copying" || fail "a copy did not survive that UDP was blocked under way: $(cat "$work/midway.log")"
cmp "$work/file" "$work/wisconsin/data/midway"; pass
block b del

copy --json "$work/file" wisconsin:data/free > "$work/free.json" 2>/dev/null
grep -q '"backend":"udp"' "$work/free.json" || fail "UDP is not used though it is free"; pass

# Back while they run: a job of the queue, and a copy of its own. Both are slow until then, and would else be through before.
socket=$work/api.sock
sed -i "s#^\[listen\]#[listen]\napi = \"$socket\"#; s#^fallback = .*#&\nask_udp_after = \"4s\"#" "$work/atlanta.toml"
serve atlanta "$work/atlanta.toml" "$repo/scripts/testbed.sh" exec a
export TIDEWAY_API=$socket
cp "$work/file" "$work/atlanta/data/file"
head -c 10000000 "$work/file" > "$work/part"
# soon COMMAND...: within a minute.
soon() {
  for _ in $(seq 300); do "$@" && { pass; return; }; sleep 0.2; done
  fail "it never came to: $*; $(tideway jobs list)"
}
fallback_is() { ask GET /metrics | grep -q "^tideway_fallback_active{peer=\"wisconsin\"} $1\$"; }
job_is_over() { tideway jobs show --json "$job" | grep -q "\"backend\":\"$1\""; }
copy_is_over() { [ "$(grep -o '"backend":"[a-z]*"' "$work/direct.json" | tail -n 1)" = "\"backend\":\"$1\"" ]; }
block a add
job=$(tideway submit --bwlimit 8Mbit "$work/atlanta/data/file" wisconsin:data/job)
copy --direct --json --bwlimit 4Mbit "$work/part" wisconsin:data/direct > "$work/direct.json" 2> "$work/direct.log" &
copying=$!
soon fallback_is 1
soon job_is_over tls
soon copy_is_over tls
block a del
soon fallback_is 0
soon job_is_over udp
soon copy_is_over udp
tideway jobs set "$job" --bwlimit 4Gbit > /dev/null
tideway jobs watch -q "$job" || fail "the job did not survive it: $(tideway jobs show "$job")"
cmp "$work/file" "$work/wisconsin/data/job"; pass
wait "$copying" || fail "a copy did not survive that UDP came back: $(cat "$work/direct.log")"
cmp "$work/part" "$work/wisconsin/data/direct"; pass
grep -q udp_is_back "$work/atlanta.log" || fail "the gateway does not say that UDP is back"; pass
kill "$gateway"; wait "$gateway" || :
sed -i '/^api = /d; /^ask_udp_after = /d' "$work/atlanta.toml"
unset TIDEWAY_API

# A gateway that does not offer it says so.
sed -i 's/^fallback = "tls"/fallback = "off"/' "$work/wisconsin.toml"
kill "$wisconsin"; wait "$wisconsin" || :
serve wisconsin "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
block a add
refuses 4 udp_blocked "carries no packets over TLS" copy -q "$work/file" wisconsin:data/refused
absent "$work/wisconsin/data/refused"
