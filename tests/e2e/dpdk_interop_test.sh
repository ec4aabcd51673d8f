#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# DPDK ports in other networks than the plainest: IPv6, and behind a router whose MAC address changes during a transfer.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/dpdk.sh"
needs_dpdk net_af_packet
make_testbed_sites '[fd77::1]' '[fd77::2]'
head -c 20000000 /dev/urandom > "$work/file"
port=$(eal --no-huge --no-pci --vdev=net_af_packet0,iface=wan0)

# ---- IPv6, with a port where it serves, where it dials, and at both ends --------------------------------------------
with_port wisconsin fd77::12/64 "$port" > "$work/wisconsin.port.toml"
with_port atlanta fd77::11/64 "$port" > "$work/atlanta.port.toml"
bed up --plain-frames --rate 500Mbit --delay 5ms --loss 0.5% --seed 5 > /dev/null
serve wisconsin6 "$work/wisconsin.port.toml" "$repo/scripts/testbed.sh" exec b
grep -qF 'data=[fd77::12]:7401' "$work/wisconsin6.ready" || fail "the ready line does not show the port: $(cat "$work/wisconsin6.ready")"; pass
there_and_back serving6 atlanta
there_and_back both6 atlanta.port
answers_ping a fd77::12
end
serve wisconsin6-udp "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
there_and_back dialling6 atlanta.port
end

# ---- a router: the site b becomes one, and the gateway moves behind it ---------------------------------------------
#   a 10.77.0.1, port .11 -- link -- 10.77.0.2 b 10.78.0.1 -- 10.78.0.2, port .12 far
far=$testbed-far
ip netns add "$far"
namespaces+=("$far")
ip link add lan0 netns "$testbed-b" type veth peer name lan0 netns "$far"
for space in "$testbed-b" "$far"; do
  ip netns exec "$space" ethtool -K lan0 tx off rx off sg off tso off gso off gro off > /dev/null
  ip -n "$space" link set lan0 up
done
ip -n "$far" link set lo up
ip -n "$testbed-b" addr add 10.78.0.1/24 dev lan0
ip -n "$far" addr add 10.78.0.2/24 dev lan0
ip -n "$far" route add default via 10.78.0.1
ip -n "$testbed-a" route add 10.78.0.0/24 via 10.77.0.2
ip netns exec "$testbed-b" sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.lan0.arp_notify=1
bed restart --rate 500Mbit --delay 5ms --loss 0.5% --seed 5

write_config atlanta 10.77.0.1 10.78.0.2 "$work/atlanta/data" > "$work/atlanta.toml"
write_config wisconsin 10.78.0.2 10.78.0.2 "$work/wisconsin/data" > "$work/wisconsin.toml"
with_port atlanta 10.77.0.11/24 "$port" 'next_hop = "10.77.0.2"' > "$work/atlanta.port.toml"
with_port wisconsin 10.78.0.12/24 "$(eal --no-huge --no-pci --vdev=net_af_packet0,iface=lan0)" 'next_hop = "10.78.0.1"' > "$work/wisconsin.port.toml"
daemon_flags=(--verbose)
serve routed "$work/wisconsin.port.toml" ip netns exec "$far"
there_and_back routed atlanta.port

# The router's stand-in takes over with another MAC and announces itself; what goes to the old one is lost.
bed restart --rate 40Mbit --delay 5ms --seed 5  # four seconds for the file
copy atlanta wisconsin:data/routed "$work/moved" &
copying=$!
running+=("$copying")
received() { ip netns exec "$testbed-a" cat /sys/class/net/wan0/statistics/rx_bytes; }
before=$(received)
for _ in $(seq 100); do
  [ $(($(received) - before)) -gt 2000000 ] && break
  sleep 0.05
done
ip -n "$testbed-b" link set lan0 address 02:00:00:00:78:01
kill -0 "$copying" 2> /dev/null || fail "the copy was over before the router moved"
wait "$copying" || fail "the copy did not survive that the router moved"; pass
cmp "$work/file" "$work/moved"; pass
end
said routed mac_changes=1
