#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A gateway on kernel UDP and one on a DPDK port (net_af_packet over veth) across a link that loses packets: push and pull,
# the port answers ping, it sleeps when idle, and a port that does not start is replaced by the kernel where it may be.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/dpdk.sh"
needs_dpdk net_af_packet
make_testbed_sites

huge='eal_args = ["--no-huge", "--no-pci", "--vdev=net_af_packet0,iface=wan0"]'
with_port wisconsin 10.77.0.12/24 "$huge" > "$work/wisconsin.port.toml"
with_port atlanta 10.77.0.11/24 "$huge" > "$work/atlanta.port.toml"

head -c 30000000 /dev/urandom > "$work/file"
mkdir "$work/tree"
for i in $(seq 50); do head -c "$((i * 997))" /dev/urandom > "$work/tree/file$i"; done

bed up --plain-frames --rate 500Mbit --delay 5ms --loss 0.5% --seed 3 > /dev/null
serve wisconsin "$work/wisconsin.port.toml" "$repo/scripts/testbed.sh" exec b
grep -q 'data=10.77.0.12:7401' "$work/wisconsin.ready" || fail "the ready line does not show the port: $(cat "$work/wisconsin.ready")"; pass
there_and_back file atlanta
copy atlanta "$work/tree" wisconsin:data/tree
same_tree "$work/tree" "$work/wisconsin/data/tree"
answers_ping a 10.77.0.12

# What an idle gateway costs, in percent of a core.
ticks() { awk '{print $14 + $15}' "/proc/$1/stat"; }
daemon=$(pgrep -P "$gateway" -x tidewayd || echo "$gateway")
sleep 1.5
before=$(ticks "$daemon")
sleep 4
used=$(($(ticks "$daemon") - before))
percent=$((used * 100 / ($(getconf CLK_TCK) * 4)))
echo "an idle gateway with a port uses $percent % of a core"
[ "$percent" -le "${TIDEWAY_IDLE_PERCENT_MAX:-6}" ] || fail "an idle gateway uses $percent % of a core"; pass
end

# The other way round: the one that dials has the port.
serve wisconsin-udp "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
there_and_back dialling_port atlanta.port
end

# A port at both ends.
serve wisconsin-both "$work/wisconsin.port.toml" "$repo/scripts/testbed.sh" exec b
copy atlanta.port "$work/file" wisconsin:data/both
cmp "$work/file" "$work/wisconsin/data/both"; pass
end

# A port that does not start: an error with what to do, or the kernel's address.
gone='eal_args = ["--no-huge", "--no-pci", "--vdev=net_af_packet0,iface=nowhere0"]'
with_port wisconsin 10.77.0.12/24 "$gone" > "$work/gone.toml"
refuses 3 config_invalid "DPDK found no port" bed exec b "$bin/tidewayd" --config "$work/gone.toml"
with_port wisconsin 10.77.0.12/24 "$gone" 'fallback = "udp"' > "$work/fallback.toml"
serve fallback "$work/fallback.toml" "$repo/scripts/testbed.sh" exec b
grep -q dpdk_unavailable "$work/fallback.log" || fail "the gateway did not say that it fell back"; pass
grep -q "data=10.77.0.2:" "$work/fallback.ready" || fail "the ready line does not show the kernel's address"; pass
copy atlanta "$work/file" wisconsin:data/fallback
cmp "$work/file" "$work/wisconsin/data/fallback"; pass
end
with_port wisconsin 10.77.0.12/24 "$huge" 'mtu = 9000' > "$work/large.toml"
refuses 3 config_invalid "framesz" bed exec b "$bin/tidewayd" --config "$work/large.toml"

bed down > /dev/null
bed up --interface-mtu 9000 --plain-frames --rate 500Mbit --delay 5ms > /dev/null
jumbo='eal_args = ["--no-huge", "--no-pci", "--vdev=net_af_packet0,iface=wan0,framesz=10240,blocksz=20480"]'
with_port wisconsin 10.77.0.12/24 "$jumbo" 'mtu = 9000' > "$work/jumbo.toml"
serve jumbo "$work/jumbo.toml" "$repo/scripts/testbed.sh" exec b
copy atlanta "$work/file" wisconsin:data/jumbo
cmp "$work/file" "$work/wisconsin/data/jumbo"; pass
end
