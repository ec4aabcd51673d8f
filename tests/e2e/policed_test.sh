#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# N25: somebody between the sites lets UDP pass up to 8 Mbit/s and drops the rest, where it had 200 before. A copy finds out, goes on over TLS, which
# has all of the link, and says so. Some 12 s, because nobody takes a path for policed within five.
source "$(dirname "$0")/lib.sh"
command -v nft > /dev/null || { echo "SKIP: needs nft"; exit 77; }
make_testbed_sites
sed -i 's/^fallback = "off"/fallback = "tls"/' "$work"/*.toml
bed up --rate 200Mbit --delay 5ms > /dev/null
bed exec b nft 'add table ip policer; add chain ip policer in { type filter hook input priority 0; }' 2> /dev/null || { echo "SKIP: this kernel has no nftables"; exit 77; }
serve wisconsin "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
copy() { bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy --json --compress off "$work/$1" "wisconsin:data/$1" > "$work/$1.json" 2> "$work/$1.log"; }
last_backend() { grep -o '"backend":"[a-z]*"' "$work/$1.json" | tail -n 1 || :; }

head -c 40000000 /dev/urandom > "$work/free"
copy free || fail "a copy over a free path failed: $(cat "$work/free.log")"
[ "$(last_backend free)" = '"backend":"udp"' ] || fail "UDP was not used though it is free"; pass
[ -s "$work/atlanta/state/paths" ] || fail "nobody wrote down what the path carries"; pass

bed exec b nft add rule ip policer in meta l4proto udp limit rate over 1000000 bytes/second drop
head -c 120000000 /dev/urandom > "$work/policed"  # two minutes at 8 Mbit/s, and far more than is read ahead
from=$SECONDS
copy policed || fail "a copy did not get past a policer: $(cat "$work/policed.log")"
cmp "$work/policed" "$work/wisconsin/data/policed"; pass
grep -q '"backend":"udp"' "$work/policed.json" || fail "UDP was not tried"; pass
[ "$(last_backend policed)" = '"backend":"tls"' ] || fail "it did not go over TLS: $(tail -n 1 "$work/policed.json")"; pass
grep -q '"notice":"udp_blocked"' "$work/policed.json" || fail "no notice of what is policed"; pass
[ $((SECONDS - from)) -lt 60 ] || fail "it took $((SECONDS - from)) s, as long as UDP alone"; pass

bed exec b nft flush ruleset
cp "$work/free" "$work/again"
copy again || fail "a copy over a path that is free again failed: $(cat "$work/again.log")"
[ "$(last_backend again)" = '"backend":"udp"' ] || fail "UDP is not used though it is free again"; pass
