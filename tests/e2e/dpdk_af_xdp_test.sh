#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A DPDK port of net_af_xdp shares its interface with the kernel, which keeps the control channel: push and pull across a
# link that loses packets, at either end and at both, over IPv4 and IPv6, with packets larger than Ethernet's, and in a VLAN;
# and what a gateway that was killed leaves on the interface is said.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/dpdk.sh"
needs_dpdk net_af_xdp
"$repo/scripts/xdp_program.sh" "$work/share.o" 10.77.0.11 10.77.0.12 fd77::11 fd77::12 2> "$work/xdp.log" || {
  grep -q 'no compiler' "$work/xdp.log" && { echo "SKIP: clang or libbpf-dev is not installed"; exit 77; }
  fail "$(cat "$work/xdp.log")"
}
# The kernel lets go of an interface's queue a moment after the program that had it has ended; on a busy machine the next one may come before that.
copy() {
  local config=$1
  shift
  for _ in $(seq 50); do
    bed exec a "$bin/tideway" --config "$work/$config.toml" copy -q "$@" 2> "$work/copy.log" && return
    grep -qF 'xsk socket' "$work/copy.log" || break
    sleep 0.1
  done
  fail "copy $*: $(cat "$work/copy.log")"
}
make_testbed_sites
head -c 10000000 /dev/urandom > "$work/file"

port=$(eal --no-huge --no-pci "--vdev=net_af_xdp0,iface=wan0,xdp_prog=$work/share.o")
with_port wisconsin 10.77.0.12/24 "$port" > "$work/wisconsin.port.toml"
with_port atlanta 10.77.0.11/24 "$port" > "$work/atlanta.port.toml"
bed up --plain-frames --rate 500Mbit --delay 5ms --loss 0.5% --seed 3 > /dev/null

serve wisconsin "$work/wisconsin.port.toml" "$repo/scripts/testbed.sh" exec b
[[ $(bed exec b ip link show wan0) == *prog/xdp*" name tideway_share"* ]] || fail "the interface does not have our program"; pass
there_and_back serving atlanta
there_and_back both atlanta.port
answers_ping a 10.77.0.12
answers_ping a 10.77.0.2  # the kernel still does
end
shown=$(bed exec b ip link show wan0)
[[ $shown != *prog/xdp* ]] || fail "the program was left on the interface: $shown"; pass
serve wisconsin-udp "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
there_and_back dialling atlanta.port
end

# ---- IPv6 ------------------------------------------------------------------------------------------------------------
write_config atlanta '[fd77::1]' '[fd77::2]' "$work/atlanta/data" > "$work/atlanta6.toml"
write_config wisconsin '[fd77::2]' '[fd77::2]' "$work/wisconsin/data" > "$work/wisconsin6.toml"
with_port wisconsin6 fd77::12/64 "$port" > "$work/wisconsin6.port.toml"
serve wisconsin6 "$work/wisconsin6.port.toml" "$repo/scripts/testbed.sh" exec b
there_and_back serving6 atlanta6
answers_ping a fd77::12

# ---- a gateway that was killed ---------------------------------------------------------------------------------------
kill -9 "$gateway"
wait "$gateway" 2> /dev/null || :
answers_ping a 10.77.0.2  # its program gives all to the kernel
refuses 3 config_invalid 'xdp off' bed exec b "$bin/tidewayd" --config "$work/wisconsin6.port.toml"
bed exec b ip link set dev wan0 xdp off
serve again "$work/wisconsin6.port.toml" "$repo/scripts/testbed.sh" exec b
end

# ---- larger packets, as far as a page of memory goes -----------------------------------------------------------------
bed down > /dev/null
bed up --interface-mtu 3400 --plain-frames --rate 500Mbit --delay 5ms > /dev/null
with_port wisconsin 10.77.0.12/24 "$port" 'mtu = 9000' > "$work/huge.toml"
refuses 3 config_invalid 'set mtu to 3400' bed exec b "$bin/tidewayd" --config "$work/huge.toml"
with_port wisconsin 10.77.0.12/24 "$port" 'mtu = 3400' > "$work/large.toml"
serve large "$work/large.toml" "$repo/scripts/testbed.sh" exec b
there_and_back large atlanta
end

# ---- in a VLAN, over a cable whose untagged frames are the kernels' ----------------------------------------------------
#   a: kernel 10.79.0.1, port 10.80.0.11 in VLAN 7 -- nic0 -- b: kernel 10.79.0.2, port 10.80.0.12 in VLAN 7
"$repo/scripts/xdp_program.sh" --vlan 4095 "$work/none.o" 10.80.0.12 2> "$work/vlan.log" && fail "there is a VLAN 4095"; pass
# It knows the kernels' addresses as well, but only in the VLAN.
"$repo/scripts/xdp_program.sh" --vlan 7 "$work/vlan.o" 10.80.0.11 10.80.0.12 10.79.0.1 10.79.0.2
ip link add nic0 netns "$testbed-a" type veth peer name nic0 netns "$testbed-b"
for site in a b; do
  ip netns exec "$testbed-$site" ethtool -K nic0 txvlan off rxvlan off tx off rx off sg off tso off gso off gro off > /dev/null 2>&1
  ip -n "$testbed-$site" link set nic0 up
done
ip -n "$testbed-a" addr add 10.79.0.1/24 dev nic0
ip -n "$testbed-b" addr add 10.79.0.2/24 dev nic0
port=$(eal --no-huge --no-pci "--vdev=net_af_xdp0,iface=nic0,xdp_prog=$work/vlan.o")
with_port wisconsin 10.80.0.12/24 "$port" 'vlan = 7' > "$work/wisconsin.vlan.toml"
with_port atlanta 10.80.0.11/24 "$port" 'vlan = 7' > "$work/atlanta.vlan.toml"
serve vlan "$work/wisconsin.vlan.toml" "$repo/scripts/testbed.sh" exec b
there_and_back vlan atlanta.vlan
answers_ping a 10.79.0.2
end
