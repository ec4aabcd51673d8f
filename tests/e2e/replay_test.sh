#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Captured packets of a copy arrive again, as they were and damaged in every way that replay.py knows: as frames at a gateway
# on kernel UDP while that copy runs, and from a file at a gateway with a DPDK port (net_pcap). Nothing is answered, each one
# is counted under its reason, the copy is what it should be, and so is the next one.
source "$(dirname "$0")/lib.sh"
command -v python3 > /dev/null || { echo "SKIP: needs python3"; exit 77; }
make_testbed_sites
stranger=10.77.0.3  # another address of site a, so that an answer to a replayed packet is told from one to the copy

copy() { bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy -q "$@"; }
end() { kill "$gateway" && wait "$gateway" 2> /dev/null || :; }
mac_of() { bed exec "$1" cat /sys/class/net/wan0/address; }

# judge EXPECTED LOG [BEFORE AFTER]
judge() { python3 "$repo/tests/e2e/replay.py" judge "$@" > "$work/counted" || fail "not counted as they should be"; pass; cat "$work/counted"; }

head -c 30000000 /dev/urandom > "$work/file"
bed up --rate 1Gbit --delay 5ms > /dev/null
bed exec a ip addr add "$stranger/24" dev wan0
serve wisconsin "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b

# While a copy runs, of whose packets at least half a megabyte has arrived.
copy --compress off --bwlimit 20Mbit --capture "$work/copy.pcapng" "$work/file" wisconsin:data/file &
copying=$!
running+=("$copying")
for _ in $(seq 100); do [ "$(stat -c %s "$work/copy.pcapng" 2> /dev/null || echo 0)" -gt 2000000 ] && break; sleep 0.1; done
bed exec b python3 "$repo/tests/e2e/replay.py" kernel > "$work/before"
# At the link's end towards b, so that no frame is lost on the link, and whatever b sends passes there.
ip netns exec "$testbed-w" python3 "$repo/tests/e2e/replay.py" send "$work/copy.pcapng" to_b "$(mac_of b)" "$stranger" \
  > "$work/expected" || fail "a damaged packet was answered, or none was sent"; pass
bed exec b python3 "$repo/tests/e2e/replay.py" kernel > "$work/after"
kill -0 "$copying" 2> /dev/null || fail "the copy ended before the replay did"; pass
wait "$copying" || fail "the copy failed"; pass
cmp "$work/file" "$work/wisconsin/data/file"; pass

# A copy after all of it.
mv "$work/copy.pcapng" "$work/old.pcapng"
copy "$work/file" wisconsin:data/again
cmp "$work/file" "$work/wisconsin/data/again"; pass
end
judge "$work/expected" "$work/wisconsin.log" "$work/before" "$work/after"

# ---- a DPDK port that reads from a file -----------------------------------------------------------------------------

sed 's/^\[data_plane\]$/[data_plane]\nbackend = "dpdk"/' "$work/wisconsin.toml" > "$work/port.toml"
cat >> "$work/port.toml" <<TOML
[data_plane.dpdk]
address = "10.77.0.12/24"
eal_args = ["--no-huge", "--no-pci", "--vdev=net_pcap0,rx_pcap=$work/in.pcap,tx_pcap=$work/out.pcap"]
TOML
pmd=$(find /usr/lib /usr/local/lib -name 'librte_net_pcap.so*' 2>/dev/null | head -n 1)
if [ -z "$pmd" ] || ! "$bin/tidewayd" --config "$work/port.toml" --check 2> /dev/null; then
  echo "SKIP: no DPDK port: needs a build with DPDK and its driver net_pcap"
  exit 0
fi

# lists: the control channel still works; there is no data plane to copy over.
lists() { bed exec a "$bin/tideway" --config "$work/atlanta.toml" ls wisconsin:data | grep -q again || fail "the gateway does not list its root"; pass; }

# An empty file first, to learn the port's MAC.
printf '\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\xff\xff\0\0\x01\0\0\0' > "$work/in.pcap"
serve wisconsin "$work/port.toml" "$repo/scripts/testbed.sh" exec b
mac=$(sed -n 's/.* dpdk_port .* mac=\([0-9a-f:]*\).*/\1/p' "$work/wisconsin.log")
[ -n "$mac" ] || fail "the log does not name the port's MAC"
end
python3 "$repo/tests/e2e/replay.py" frames "$work/old.pcapng" "$work/in.pcap" "$mac" 10.77.0.12 > "$work/expected"
serve wisconsin "$work/port.toml" "$repo/scripts/testbed.sh" exec b
lists
lists
end
judge "$work/expected" "$work/wisconsin.log"
python3 "$repo/tests/e2e/replay.py" silent "$work/out.pcap" || fail "something was answered"; pass
