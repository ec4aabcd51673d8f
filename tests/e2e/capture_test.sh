#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A copy that is captured at both ends, over kernel UDP and over a DPDK port (net_af_packet): tshark reads the files with
# docs/tideway.lua and finds the same packets in them; how packets are marked on the wire; and what a capture may not be written to.
source "$(dirname "$0")/lib.sh"
command -v tshark > /dev/null && command -v capinfos > /dev/null || { echo "SKIP: needs tshark (apt-get install tshark)"; exit 77; }
make_testbed_sites

head -c 2000000 /dev/urandom > "$work/file"
kernel_ports=$((control_port + 10000))-$((control_port + 10063))
here=$work/here.pcapng there=$work/there.pcapng

# As many packets are sent as the link carries, so that none is lost and both files can be compared.
copy() { bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy -q --compress off --bwlimit 100Mbit "$@"; }

# read_capture FILE ARGUMENTS...: what tshark makes of it; it may complain about nothing but its user.
read_capture() {
  local file=$1
  shift
  tshark -r "$file" -X "lua_script:$repo/docs/tideway.lua" -o "tideway.ports:$kernel_ports,7401-7464" \
    -o ip.check_checksum:TRUE -o udp.check_checksum:TRUE "$@" 2> "$work/tshark.err" || fail "tshark: $(cat "$work/tshark.err")"
  ! grep -v 'Running as user "root"' "$work/tshark.err" || fail "tshark complained about $file"
}

# packets FILE DIRECTION [FILTER]: flow, number, and where its data belongs, of each packet; sorted.
packets() {
  read_capture "$1" -Y "frame.comment == \"$2\" && tideway${3:+ && $3}" -T fields -e ip.src -e udp.srcport -e ip.dst -e udp.dstport \
    -e tideway.connection -e tideway.flow -e tideway.packet_number -e tideway.type -e tideway.data.block -e tideway.data.offset | sort
}

# none_of FILE FILTER: no packet is like that.
none_of() {
  read_capture "$1" -Y "$2" > "$work/such"
  [ ! -s "$work/such" ] || fail "$1 has packets with $2: $(head -n 3 "$work/such")"; pass
}

# is_sound FILE: private, whole, and every packet is one of ours with headers that are right.
is_sound() {
  [ "$(stat -c %a "$1")" = 600 ] || fail "$1 has mode $(stat -c %a "$1")"; pass
  capinfos "$1" > "$work/capinfos" 2> "$work/capinfos.err" || fail "capinfos: $(cat "$work/capinfos.err")"
  [ ! -s "$work/capinfos.err" ] || fail "capinfos complained: $(cat "$work/capinfos.err")"; pass
  # Each net worker has an interface of its own in the file, and its packets in order.
  if grep -q 'Number of interfaces in file: 1$' "$work/capinfos"; then
    grep -q 'Strict time order: *True' "$work/capinfos" || fail "$1 is out of order"; pass
  fi
  none_of "$1" '!tideway || tideway.malformed || _ws.malformed'
  none_of "$1" 'ip.checksum.status == "Bad" || udp.checksum.status == "Bad"'
  none_of "$1" '!(frame.comment == "rx" && frame.packet_flags_direction == 1) && !(frame.comment == "tx" && frame.packet_flags_direction == 2)'
}

# has_left FROM TO: what arrived there has left here. Of what leaves at the very end some may find nobody.
has_left() {
  packets "$1" tx > "$work/sent"
  packets "$2" rx > "$work/arrived"
  [ -s "$work/arrived" ] && [ -z "$(comm -13 "$work/sent" "$work/arrived")" ] ||
    fail "arrived without having left: $(comm -13 "$work/sent" "$work/arrived" | head -n 3)"; pass
}

# places FILE DIRECTION: where in which block the DATA of each packet belongs, once, however often it was sent.
places() {
  read_capture "$1" -Y "frame.comment == \"$2\" && tideway.type == 1" -T fields -e tideway.data.block -e tideway.data.offset | sort -u
}

# data_crossed FROM TO: what was sent of each block has arrived, at the first try or a later one.
data_crossed() {
  places "$1" tx > "$work/sent"
  places "$2" rx > "$work/arrived"
  [ -s "$work/sent" ] && cmp -s "$work/sent" "$work/arrived" || fail "DATA differs: $(diff "$work/sent" "$work/arrived" | head -n 4)"; pass
}

# marks FILE: which DSCP each sender's packets to or from our ports have on the wire, until the file is there. What the kernel has not
# cut yet is in one piece here, with the same mark.
marks() {
  bed exec a timeout 120 python3 - "$1" "$control_port" <<'PY'
import os, socket, struct, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
wire.bind(("wan0", 0))
wire.settimeout(0.05)
ports, seen = range(int(sys.argv[2]) + 10000, int(sys.argv[2]) + 10064), {}
print("ready", flush=True)
while not os.path.exists(sys.argv[1]):
    try:
        packet = wire.recv(65535)
    except TimeoutError:
        continue
    if packet[0] != 0x45 or packet[9] != 17:
        continue
    if any(port in ports or 7401 <= port < 7465 for port in struct.unpack_from("!HH", packet, 20)):
        key = socket.inet_ntoa(packet[12:16]), packet[1] >> 2
        seen[key] = seen.get(key, 0) + 1
for (sender, mark), count in sorted(seen.items()):
    print(sender, mark, "many" if count >= 10 else count)
PY
}

# captured_copy CONFIG MARK...: to a gateway of that configuration; both ends are captured, and the packets have these marks.
captured_copy() {
  rm -f "$here" "$there" "$work/wisconsin/data/file" "$work/marked"
  serve wisconsin "$1" "$repo/scripts/testbed.sh" exec b
  marks "$work/marked" > "$work/marks" &
  local watcher=$!
  running+=("$watcher")
  for _ in $(seq 200); do grep -qs ready "$work/marks" && break; sleep 0.05; done
  copy --capture "$here" "$work/file" wisconsin:data/file
  cmp "$work/file" "$work/wisconsin/data/file"; pass
  touch "$work/marked"
  wait "$watcher" || fail "nobody saw the marks"
  shift
  [ "$(grep -v ready "$work/marks")" = "$(printf '%s\n' "$@")" ] || fail "the packets are marked otherwise than $*: $(cat "$work/marks")"; pass
  kill "$gateway" && wait "$gateway" 2> /dev/null || :
  grep -q 'capture_closed.* lost=0' "$work/wisconsin.log" || fail "no such line: $(grep capture "$work/wisconsin.log")"; pass
  is_sound "$here"
  is_sound "$there"
  has_left "$here" "$there"
  has_left "$there" "$here"
  data_crossed "$here" "$there"
  local bytes
  bytes=$(read_capture "$here" -Y 'tideway.data.flags.resent == 0' -T fields -e tideway.sealed_length | awk '{ sum += $1 } END { print sum }')
  [ "$bytes" -ge 2000000 ] || fail "the DATA that was sent holds $bytes bytes"; pass
}

bed up --rate 1Gbit --delay 2ms > /dev/null
sed 's/^\[data_plane\]$/[data_plane]\ncapture = "there.pcapng"/' "$work/wisconsin.toml" > "$work/captured.toml"
# Of a link whose marks are off the gateway sends none; the copy at the other end has no link, and marks its packets LE.
printf '[[link]]\npeer = "atlanta"\ndscp = "off"\n' | cat "$work/captured.toml" - > "$work/unmarked.toml"
captured_copy "$work/unmarked.toml" '10.77.0.1 1 many' '10.77.0.2 0 many'
none_of "$here" "!(ip.addr == 10.77.0.1 && ip.addr == 10.77.0.2)"
none_of "$there" "frame.comment == \"rx\" && !(ip.dst == 10.77.0.2)"

# What a capture may not be.
printf 'Dear reader,\n' > "$work/letter"
ln -s "$work/letter" "$work/link.pcapng"
refuses 3 config_invalid 'symbolic link' copy --capture "$work/link.pcapng" "$work/file" wisconsin:data/x
refuses 3 config_invalid 'no capture of Tideway' copy --capture "$work/letter" "$work/file" wisconsin:data/x
refuses 3 config_invalid "$work/nowhere/x.pcapng" copy --capture "$work/nowhere/x.pcapng" "$work/file" wisconsin:data/x
refuses 3 config_invalid 'regular file' copy --capture /dev/null "$work/file" wisconsin:data/x
[ "$(cat "$work/letter")" = 'Dear reader,' ] || fail "the letter was written over"; pass

# The same with a DPDK port at the other end.
sed 's/^backend = .*//; s/^\[data_plane\]$/[data_plane]\nbackend = "dpdk"/' "$work/captured.toml" > "$work/port.toml"
cat >> "$work/port.toml" <<'TOML'
[data_plane.dpdk]
address = "10.77.0.12/24"
eal_args = ["--no-huge", "--no-pci", "--vdev=net_af_packet0,iface=wan0"]
TOML
pmd=$(find /usr/lib /usr/local/lib -name 'librte_net_af_packet.so*' 2>/dev/null | head -n 1)
if [ -n "$pmd" ] && "$bin/tidewayd" --config "$work/port.toml" --check 2> /dev/null; then
  bed exec b ethtool -K wan0 gro off > /dev/null  # what arrives glued together is larger than a frame of the port's ring
  captured_copy "$work/port.toml" '10.77.0.1 1 many' '10.77.0.12 1 many'
  none_of "$there" "frame.comment == \"rx\" && !(ip.dst == 10.77.0.12)"
else
  echo "SKIP: no DPDK port: needs a build with DPDK and its driver net_af_packet"
fi
