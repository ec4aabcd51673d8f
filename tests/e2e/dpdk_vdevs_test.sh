#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Other drivers and other memory below a port, each of which carries a file there and back: net_memif between two processes
# of an ordinary user, net_tap towards the kernel of the same host, net_pcap beside the kernel, and huge pages.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/dpdk.sh"
needs_dpdk net_memif
make_testbed_sites
chmod 0755 "$work"
head -c 10000000 /dev/urandom > "$work/file"
has_driver() { [ -n "$(find /usr/lib /usr/local/lib -name "librte_$1.so*" 2> /dev/null | head -n 1)" ] || { echo "not tested: the driver $1 is not installed"; return 1; }; }

# ---- net_memif, as nobody --------------------------------------------------------------------------------------------
# Nobody may look below where the programs were built.
memif_as_nobody() {
  local socket=$work/memif
  install -m 0755 "$bin/tideway" "$bin/tidewayd" "$work"
  write_config atlanta 127.0.0.1 127.0.0.1 "$work/atlanta/data" > "$work/atlanta.toml"
  write_config wisconsin 127.0.0.1 127.0.0.1 "$work/wisconsin/data" > "$work/wisconsin.toml"
  with_port wisconsin 10.79.0.2/24 "$(eal --no-huge --no-pci "--vdev=net_memif0,role=server,socket=$socket,socket-abstract=no")" > "$work/wisconsin.memif.toml"
  with_port atlanta 10.79.0.1/24 "$(eal --no-huge --no-pci "--vdev=net_memif0,role=client,socket=$socket,socket-abstract=no")" > "$work/atlanta.memif.toml"
  mkdir -m 1777 "$work/back"
  chown -R nobody "$work"
  local bin=$work as_nobody=(setpriv --reuid nobody --clear-groups)
  serve memif "$work/wisconsin.memif.toml" "${as_nobody[@]}"
  # Each copy is another process, and another MAC address at the other end.
  "${as_nobody[@]}" "$bin/tideway" --config "$work/atlanta.memif.toml" copy -q "$work/file" wisconsin:data/memif
  cmp "$work/file" "$work/wisconsin/data/memif" || fail "memif: what was pushed differs"; pass
  "${as_nobody[@]}" "$bin/tideway" --config "$work/atlanta.memif.toml" copy -q wisconsin:data/memif "$work/back/memif"
  cmp "$work/file" "$work/back/memif" || fail "memif: what was pulled differs"; pass
  end
  grep -q running_as_root "$work/memif.log" && fail "memif: the gateway runs as root"; pass
  chown -R root "$work"
}
if setpriv --reuid nobody --clear-groups true 2> /dev/null; then memif_as_nobody; else echo "not tested: nobody cannot be had here"; fi

# ---- net_tap: the port is one end of a cable, and the kernel of the site has the other -------------------------------
write_config atlanta 10.77.0.1 10.77.0.2 "$work/atlanta/data" > "$work/atlanta.toml"
write_config wisconsin 10.77.0.2 10.77.0.2 "$work/wisconsin/data" > "$work/wisconsin.toml"
bed up --plain-frames --rate 500Mbit --delay 1ms > /dev/null
tap() {
  with_port wisconsin 10.80.0.2/24 "$(eal --no-huge --no-pci --vdev=net_tap0,iface=dtap0)" 'next_hop = "10.80.0.1"' > "$work/wisconsin.tap.toml"
  serve tap "$work/wisconsin.tap.toml" "$repo/scripts/testbed.sh" exec b
  # The driver gives both ends one MAC address; the kernel is who can take another.
  bed exec b ip link set dtap0 address 02:00:00:00:80:01
  bed exec b ip addr add 10.80.0.1/24 dev dtap0
  bed exec b sysctl -qw net.ipv4.ip_forward=1
  bed exec a ip route add 10.80.0.0/24 via 10.77.0.2
  there_and_back tap atlanta
  end
}
if [ -e /dev/net/tun ] && has_driver net_tap; then tap; else echo "not tested: net_tap, for want of /dev/net/tun"; fi

# ---- net_pcap, on a live interface -----------------------------------------------------------------------------------
pcap() {
  with_port wisconsin 10.77.0.12/24 "$(eal --no-huge --no-pci --vdev=net_pcap0,iface=wan0)" > "$work/wisconsin.pcap.toml"
  serve pcap "$work/wisconsin.pcap.toml" "$repo/scripts/testbed.sh" exec b
  there_and_back pcap atlanta
  end
}
if has_driver net_pcap; then pcap; fi

# ---- huge pages, with EAL's arguments left as the gateway adds them --------------------------------------------------
pages=/proc/sys/vm/nr_hugepages
wanted=128  # of 2 MiB
huge_pages() {
  with_port wisconsin 10.77.0.12/24 "$(eal --no-pci --vdev=net_af_packet0,iface=wan0)" > "$work/wisconsin.huge.toml"
  daemon_flags=(--verbose)
  local free=/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages free_before
  free_before=$(cat "$free")
  serve huge "$work/wisconsin.huge.toml" "$repo/scripts/testbed.sh" exec b
  said huge --in-memory
  [ "$(cat "$free")" -lt "$free_before" ] || fail "the gateway took no huge page"; pass
  there_and_back huge atlanta
  end
}
if [ -w "$pages" ] && has_driver net_af_packet; then
  huge_pages_before=$(cat "$pages")  # put back at the end
  [ "$huge_pages_before" -ge "$wanted" ] || echo "$wanted" > "$pages"
fi
if [ -n "${huge_pages_before:-}" ] && [ "$(cat "$pages")" -ge "$wanted" ]; then huge_pages; else echo "not tested: huge pages, which cannot be reserved here"; fi
