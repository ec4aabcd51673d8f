#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What can be wrong with a DPDK port is said at the start with what to do about it; a link that goes away while the port
# runs is waited for; and a device that goes away for good costs its sessions, not the gateway.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/dpdk.sh"
needs_dpdk net_af_packet
make_testbed_sites

# wrong TEXT KEY = VALUE...: a gateway with this port does not start, and says so, with the code that $fault names.
fault=config_invalid
wrong() {
  local text=$1
  shift
  with_port wisconsin 10.77.0.12/24 "$@" > "$work/wrong.toml"
  refuses 3 "$fault" "$text" bed exec b "$bin/tidewayd" --config "$work/wrong.toml"
}
advises() { grep -qF -- "$1" "$work/err.log" || fail "no advice with \"$1\": $(cat "$work/err.log")"; pass; }

bed up --plain-frames --rate 500Mbit --delay 1ms > /dev/null
port=--vdev=net_af_packet0,iface=wan0

# ---- at the start ----------------------------------------------------------------------------------------------------
wrong 'no driver for the device "net_foo0"' "$(eal --no-huge --no-pci --vdev=net_foo0)"
wrong '/nowhere/driver.so' "$(eal --no-huge --no-pci -d /nowhere/driver.so "$port")"
wrong 'no flag of EAL' "$(eal --no-huge --no-pics "$port")"
wrong 'lacks its value' "$(eal --no-huge --no-pci --vdev)"
wrong 'EAL refuses --no-huge' "$(eal --no-huge --in-memory "$port")"
wrong 'reach all of this host' "$(eal --no-huge --no-pci --iova-mode=pa "$port")"
wrong 'no PCI device 0000:ff:1f.7' "$(eal --no-huge --no-pci)" 'device = "ff:1f.7"'
advises dpdk-devbind.py
wrong 'no PCI device 0000:ff:1f.7' "$(eal --no-huge --allow=0000:ff:1f.7)"
wrong 'called "net_af_packet7"' "$(eal --no-huge --no-pci "$port")" 'device = "net_af_packet7"'
advises net_af_packet0
if [ -n "$(find /usr/lib /usr/local/lib -name 'librte_net_memif.so*' 2> /dev/null | head -n 1)" ]; then
  wrong 'and mtu in [data_plane.dpdk] is 9000' "$(eal --no-huge --no-pci "--vdev=net_memif0,socket=$work/memif")" 'mtu = 9000'
  advises 'set mtu to'
fi
for device in /sys/bus/pci/devices/*; do  # one that the kernel has
  [ ! -e "$device/driver" ] && continue
  wrong 'bound to the driver' "$(eal --no-huge --no-pci)" "device = \"${device##*/}\""
  advises dpdk-devbind.py
  break
done
pages=/proc/sys/vm/nr_hugepages
if [ "$(cat "$pages")" -eq 0 ]; then
  fault=no_hugepages
  wrong 'huge pages' "$(eal --no-pci "$port")"
  advises vm.nr_hugepages
  huge_pages_before=0  # put back at the end
  if [ -w "$pages" ] && echo 4 > "$pages" && [ "$(cat "$pages")" -eq 4 ]; then
    wrong 'of 4 huge pages' "$(eal --no-pci "$port")"
    advises 'vm.nr_hugepages='
    echo 0 > "$pages"
  else
    echo "not tested: too few huge pages, which cannot be reserved here"
  fi
  fault=config_invalid
fi

# ---- while it runs: a NIC of its own for the port, so that the control channel stays --------------------------------
#   a 10.79.0.1 -- nic0 -- 10.79.0.12 port, beside the link
head -c 20000000 /dev/urandom > "$work/file"
lay_cable() {
  ip link add nic0 netns "$testbed-a" type veth peer name nic0 netns "$testbed-b"
  for space in "$testbed-a" "$testbed-b"; do
    ip netns exec "$space" ethtool -K nic0 tx off rx off sg off tso off gso off gro off > /dev/null
    ip -n "$space" link set nic0 up
  done
  ip -n "$testbed-a" addr add 10.79.0.1/24 dev nic0
}
# under_way NAME: starts to copy a file of that name, for some seconds, and returns when part of it has crossed nic0.
under_way() {
  local before
  before=$(sent)
  copy atlanta --bwlimit 40Mbit "$work/file" "wisconsin:data/$1" 2> "$work/$1.err" &
  copying=$!
  running+=("$copying")
  for _ in $(seq 100); do
    [ $(($(sent) - before)) -gt 2000000 ] && return
    sleep 0.05
  done
  fail "$1: nothing crossed nic0"
}
sent() { ip netns exec "$testbed-a" cat /sys/class/net/nic0/statistics/tx_bytes; }
cable() { with_port wisconsin 10.79.0.12/24 "$(eal --no-huge --no-pci --vdev=net_af_packet0,iface=nic0)" 'next_hop = "10.79.0.1"' "$@"; }
lay_cable

cable > "$work/cable.toml"
serve cable "$work/cable.toml" "$repo/scripts/testbed.sh" exec b
under_way down
ip -n "$testbed-b" link set nic0 down
said cable 'dpdk_link_down device=net_af_packet0'
ip -n "$testbed-b" link set nic0 up
said cable 'dpdk_link_up device=net_af_packet0'
wait "$copying" || fail "the copy did not survive that the link was down: $(cat "$work/down.err")"; pass
cmp "$work/file" "$work/wisconsin/data/down"; pass

under_way gone
ip -n "$testbed-b" link del nic0
said cable 'dpdk_port_gone device=net_af_packet0'
kill "$copying"; wait "$copying" 2> /dev/null || :
kill -0 "$gateway" || fail "the gateway ended with its port"; pass
end
grep -q ' stopped ' "$work/cable.log" || fail "the gateway did not end in order"; pass

lay_cable
cable 'fallback = "udp"' > "$work/fallback.toml"
serve fallback "$work/fallback.toml" "$repo/scripts/testbed.sh" exec b
under_way moved
ip -n "$testbed-b" link del nic0
code=0
wait "$copying" || code=$?
[ "$code" -eq 4 ] || fail "a copy whose port went away ended with $code: $(cat "$work/moved.err")"; pass
grep -q 'run the same command again.*(udp_blocked)\|(udp_blocked).*run the same command again' "$work/moved.err" || fail "the copy does not say what to do: $(cat "$work/moved.err")"; pass
said fallback 'dpdk_unavailable the device of the gateway'
copy atlanta "$work/file" wisconsin:data/moved
cmp "$work/file" "$work/wisconsin/data/moved"; pass
end
