#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A firewall between the sites: what it blocks is named within seconds, and the gateway goes on.
source "$(dirname "$0")/lib.sh"
make_testbed_sites
head -c 1000000 /dev/urandom > "$work/file"
bed up --rate 1Gbit --delay 5ms > /dev/null
serve wisconsin "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
copy() { bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy -q "$work/file" "wisconsin:data/$1"; }

bed exec a ip rule add ipproto udp blackhole
from=$SECONDS
refuses 4 udp_blocked "UDP" copy no-udp
[ $((SECONDS - from)) -le 15 ] || fail "blocked UDP took $((SECONDS - from)) s to notice"; pass
absent "$work/wisconsin/data/no-udp"
bed exec a ip rule del ipproto udp blackhole

bed exec b ip rule add ipproto tcp blackhole
from=$SECONDS
refuses 4 peer_unreachable "10.77.0.2" copy no-tcp
[ $((SECONDS - from)) -le 12 ] || fail "blocked TCP took $((SECONDS - from)) s to notice"; pass
bed exec b ip rule del ipproto tcp blackhole

copy open
cmp "$work/file" "$work/wisconsin/data/open"; pass
