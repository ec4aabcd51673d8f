#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# DPDK's own tool shows the sessions and flows of a gateway while a copy runs.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/dpdk.sh"
needs_dpdk net_af_packet
command -v dpdk-telemetry.py > /dev/null || { echo "SKIP: dpdk-telemetry.py, of Debian's dpdk-dev, is not installed"; exit 77; }
make_testbed_sites

prefix=twe2e$$  # a socket of our own
with_port wisconsin 10.77.0.12/24 "$(eal --no-huge "--file-prefix=$prefix" --vdev=net_af_packet0,iface=wan0)" > "$work/wisconsin.port.toml"
head -c 40000000 /dev/urandom > "$work/file"
bed up --plain-frames --rate 50Mbit --delay 5ms > /dev/null
serve wisconsin "$work/wisconsin.port.toml" "$repo/scripts/testbed.sh" exec b

# ask COMMAND: what the tool prints for it.
ask() { printf '%s\n' "$1" | timeout 10 dpdk-telemetry.py -f "$prefix"; }

[ "$(ask /tideway/sessions)" = '{"/tideway/sessions": []}' ] || fail "an idle gateway has sessions: $(ask /tideway/sessions)"; pass
copy atlanta "$work/file" wisconsin:data/file &
copying=$!
running+=("$copying")
seen=no
for _ in $(seq 50); do
  ask /tideway/flows,0 > "$work/flow.json"
  python3 - "$work/flow.json" <<'PY' && { seen=yes; break; }
import json, sys
flow = json.load(open(sys.argv[1], encoding="utf-8"))["/tideway/flows"]
sys.exit(0 if flow and flow["open"] == 1 and flow["bytes_received"] > 1_000_000 and flow["path_mtu"] == 1500 and
         flow["peer"] == "spiffe://example.org/site/atlanta/gw/gw1" else 1)
PY
  kill -0 "$copying" 2> /dev/null || fail "the copy ended before its flow was seen: $(cat "$work/flow.json")"
  sleep 0.1
done
[ "$seen" = yes ] || fail "the flow was not seen at work: $(cat "$work/flow.json")"; pass
ask /tideway/sessions,0 | grep -q '"transfers": 1' || fail "the session shows no transfer: $(ask /tideway/sessions,0)"; pass
[ "$(ask /tideway/flows,nonsense)" = '{"/tideway/flows": null}' ] || fail "nonsense was answered: $(ask /tideway/flows,nonsense)"; pass
wait "$copying" || fail "the copy failed"; pass
end
rmdir "/run/dpdk/$prefix" 2> /dev/null || :
