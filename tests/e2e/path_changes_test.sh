#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What lies between two sites changes under a copy that runs: somebody clears the ECN marks (N26), the address and the ports become others, as behind
# another NAT (N08), and packets of full size vanish (N06). The one session goes on over UDP, and what arrives is whole.
source "$(dirname "$0")/lib.sh"
command -v nft > /dev/null || { echo "SKIP: needs nft"; exit 77; }
make_testbed_sites
sed -i 's/^fallback = "off"/fallback = "tls"/' "$work"/*.toml
bed up --plain-frames --rate 100Mbit --delay 5ms > /dev/null
change() { bed exec b nft "$@"; }
# "raw" is before anything else looks at a packet, and rewrites it without remembering connections.
change 'add table ip way
  add chain ip way in { type filter hook prerouting priority raw; }
  add chain ip way out { type route hook output priority raw; }' 2> /dev/null || { echo "SKIP: this kernel has no nftables"; exit 77; }
serve wisconsin "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
data_port=$((control_port + 10000))
passed() { change -j list chain ip way "$1" | python3 -c 'import json, sys
print(sum(part["counter"]["packets"] for one in json.load(sys.stdin)["nftables"] if "rule" in one for part in one["rule"]["expr"] if "counter" in part))'; }

head -c 160000000 /dev/urandom > "$work/file"
bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy --json --compress off "$work/file" wisconsin:data/file > "$work/copy.json" 2> "$work/copy.log" &
copying=$!
running+=("$copying")
# reaches BYTES: until so many have arrived.
reaches() {
  for _ in $(seq 300); do
    [ "$(grep -o '"bytes_done":[0-9]*' "$work/copy.json" | tail -n 1 | cut -d : -f 2)" -ge "$1" ] 2> /dev/null && { pass; return; }
    kill -0 "$copying" 2> /dev/null || fail "the copy ended before it had $1 bytes: $(cat "$work/copy.log")"
    sleep 0.1
  done
  fail "the copy did not get to $1 bytes: $(tail -n 1 "$work/copy.json")"
}
reaches 5000000
change "add rule ip way in udp dport $data_port ip ecn != not-ect counter ip ecn set not-ect"
reaches 25000000
cleared=$(passed in)
[ "$cleared" -gt 0 ] || fail "no packet had an ECN mark to clear"; pass
reaches 35000000
still=$(($(passed in) - cleared))  # of 7,000; a flow that rested may not know yet
[ "$still" -lt 100 ] || fail "$still packets are still marked, though nobody sees the marks"; pass

# The flow to that port, behind another NAT from now on: of a dialling copy any port may be its own.
change "flush chain ip way in
  add set ip way from { type inet_service; size 16; flags dynamic; }
  add rule ip way in ip saddr 10.77.0.1 udp dport $data_port add @from { udp sport }"
from_port() { change -j list set ip way from | python3 -c 'import json, sys
print(*[port for one in json.load(sys.stdin)["nftables"] if "set" in one for port in one["set"].get("elem", [])])'; }
for _ in $(seq 50); do [ -n "$(from_port)" ] && break; sleep 0.1; done
from=$(from_port)
[[ $from =~ ^[0-9]+$ ]] || fail "the flow to port $data_port comes from port '$from'"; pass
change "flush chain ip way in
  add rule ip way in ip saddr 10.77.0.1 udp dport $data_port counter ip saddr set 10.77.0.7 udp sport set 34567
  add rule ip way out ip daddr 10.77.0.7 udp dport 34567 counter ip daddr set 10.77.0.1 udp dport set $from"
for _ in $(seq 50); do [ "$(passed out)" -gt 100 ] && break; sleep 0.1; done
[ "$(passed out)" -gt 100 ] || fail "only $(passed out) packets went to the new address"; pass

change "add rule ip way in udp dport 1-65535 meta length > 1300 counter drop"
reaches "$(($(grep -o '"bytes_done":[0-9]*' "$work/copy.json" | tail -n 1 | cut -d : -f 2) + 30000000))"
change list chain ip way in | grep -q 'packets [1-9].* drop' || fail "no packet of full size was sent: $(change list chain ip way in)"; pass
change "flush chain ip way in
  flush chain ip way out"
wait "$copying" || fail "the copy did not outlive it: $(cat "$work/copy.log")"
cmp "$work/file" "$work/wisconsin/data/file"; pass
grep -q '"backend":"udp"' "$work/copy.json" && ! grep -q '"backend":"tls"' "$work/copy.json" || fail "it did not stay with UDP"; pass
said wisconsin session_ended
[ "$(grep -c 'grant_allowed.*op=write' "$work/wisconsin.log")" -eq 1 ] || fail "it took another session: $(cat "$work/wisconsin.log")"; pass
