#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Ports with two pairs of queues and two net workers at both ends: the kernel spreads packets over the queues as it likes,
# so many come to the wrong worker and are handed over. Then a gateway with two ports.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/dpdk.sh"
needs_dpdk net_af_packet
command -v dpdk-telemetry.py > /dev/null || { echo "SKIP: dpdk-telemetry.py, of Debian's dpdk-dev, is not installed"; exit 77; }
make_testbed_sites

prefix=twe2e$$
two='iface=wan0,qpairs=2'
with_port wisconsin 10.77.0.12/24 "$(eal --no-huge "--file-prefix=$prefix" "--vdev=net_af_packet0,$two")" 'queues = 2' > "$work/wisconsin.port.toml"
with_port atlanta 10.77.0.11/24 "$(eal --no-huge "--file-prefix=$prefix-a" "--vdev=net_af_packet0,$two")" 'queues = 2' > "$work/atlanta.port.toml"
head -c 60000000 /dev/urandom > "$work/file"
bed up --plain-frames --rate 200Mbit --delay 5ms --loss 0.2% --seed 11 > /dev/null
serve wisconsin "$work/wisconsin.port.toml" "$repo/scripts/testbed.sh" exec b
grep -q 'queues=2' "$work/wisconsin.log" || fail "the port has not two queues: $(cat "$work/wisconsin.log")"; pass

# Which net workers have a flow that has received something, by DPDK's own tool.
workers() {
  for row in 0 1 2 3; do printf '/tideway/flows,%s\n' "$row"; done | timeout 10 dpdk-telemetry.py -f "$prefix" | python3 -c '
import json, sys
flows = [json.loads(line)["/tideway/flows"] for line in sys.stdin if line.startswith("{")]
print(*sorted({flow["net_worker"] for flow in flows if flow and flow["bytes_received"] > 100_000}))'
}
copy atlanta.port --bwlimit 60Mbit "$work/file" wisconsin:data/file &
copying=$!
running+=("$copying")
for _ in $(seq 50); do
  seen=$(workers)
  [ "$seen" = "0 1" ] && break
  kill -0 "$copying" 2> /dev/null || fail "the copy ended before both workers were seen at work"
  sleep 0.1
done
[ "$seen" = "0 1" ] || fail "both workers should have flows: $seen"; pass
wait "$copying" || fail "the copy failed"
cmp "$work/file" "$work/wisconsin/data/file"; pass
copy atlanta.port wisconsin:data/file "$work/back"
cmp "$work/file" "$work/back"; pass
copy atlanta "$work/file" wisconsin:data/from_udp  # one lane, of a peer with one worker
cmp "$work/file" "$work/wisconsin/data/from_udp"; pass
end
grep -q 'handed_over=' "$work/wisconsin.log" || fail "no packet was handed over: $(tail -n 3 "$work/wisconsin.log")"; pass
with_port wisconsin 10.77.0.12/24 "$(eal --no-huge "--file-prefix=$prefix" --vdev=net_af_packet0,iface=wan0)" 'queues = 2' > "$work/few.toml"

# Two ports at both ends, the second on a cable beside the link: a session has a lane over each.
ip link add nic0 netns "$testbed-a" type veth peer name nic0 netns "$testbed-b"
for space in "$testbed-a" "$testbed-b"; do
  ip netns exec "$space" ethtool -K nic0 tx off rx off sg off tso off gso off gro off > /dev/null
  ip -n "$space" link set nic0 up
done
# two_ports SITE HOST PREFIX: its configuration.
two_ports() {
  with_port "$1" unused "$(eal --no-huge "--file-prefix=$3" --vdev=net_af_packet0,iface=wan0 --vdev=net_af_packet1,iface=nic0)" |
    grep -v '^address = "unused"'
  printf '[[data_plane.dpdk.ports]]\ndevice = "net_af_packet0"\naddress = "10.77.0.%s/24"\n' "$2"
  printf '[[data_plane.dpdk.ports]]\ndevice = "net_af_packet1"\naddress = "10.79.0.%s/24"\n' "$2"
}
two_ports wisconsin 12 "$prefix" > "$work/wisconsin.ports.toml"
two_ports atlanta 11 "$prefix-a" > "$work/atlanta.ports.toml"
serve ports "$work/wisconsin.ports.toml" "$repo/scripts/testbed.sh" exec b
[ "$(grep -c 'dpdk_port device=' "$work/ports.log")" -eq 2 ] || fail "not both ports were started: $(cat "$work/ports.log")"; pass
copy atlanta.ports "$work/file" wisconsin:data/over_ports
cmp "$work/file" "$work/wisconsin/data/over_ports"; pass
end
for port in 0 1; do
  grep "dpdk_queue_closed device=net_af_packet$port" "$work/ports.log" | grep -q 'packets_received=[1-9][0-9]\{3\}' ||
    fail "port $port carried next to nothing: $(grep dpdk_queue_closed "$work/ports.log")"
done
pass
rmdir "/run/dpdk/$prefix" "/run/dpdk/$prefix-a" 2> /dev/null || :
refuses 3 config_invalid "qpairs=2" bed exec b "$bin/tidewayd" --config "$work/few.toml"
