#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Where UDP is blocked, from the first packet on or in the middle of a copy, packets go over TLS connections.
source "$(dirname "$0")/lib.sh"
make_testbed_sites
sed -i 's/^fallback = "off"/fallback = "tls"/' "$work"/*.toml
head -c 40000000 /dev/urandom > "$work/file"
bed up --rate 200Mbit --delay 5ms > /dev/null
serve wisconsin "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
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

# A gateway that does not offer it says so.
sed -i 's/^fallback = "tls"/fallback = "off"/' "$work/wisconsin.toml"
kill "$gateway"; wait "$gateway" || :
serve wisconsin "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
block a add
refuses 4 udp_blocked "carries no packets over TLS" copy -q "$work/file" wisconsin:data/refused
absent "$work/wisconsin/data/refused"
