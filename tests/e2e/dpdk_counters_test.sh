#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The counters of a DPDK port (net_af_packet over veth) show the bursts of a training that announces nothing, and they are
# expected; what the gateway sends and takes through the port itself is no burst.
source "$(dirname "$0")/lib.sh"
source "$(dirname "$0")/dpdk.sh"
needs_dpdk net_af_packet
make_testbed_sites
socket=$work/api.sock
head -c 20000000 /dev/urandom > "$work/wisconsin/data/file"
with_port wisconsin 10.77.0.12/24 'device = "net_af_packet0"' "$(eal --no-huge --no-pci --vdev=net_af_packet0,iface=wan0)" |
  awk -v api="$socket" '/^control = / && !done++ { print; printf "api = \"%s\"\n", api; next } { print }' > "$work/wisconsin.port.toml"
cat >> "$work/wisconsin.port.toml" <<'TOML'
[[link]]
peer = "atlanta"
capacity = "100Mbit"
[[training]]
name = "silent"
peers = ["atlanta"]
counters = ["dpdk:net_af_packet0"]
TOML

bed up --plain-frames --rate 100Mbit --delay 5ms > /dev/null
serve wisconsin "$work/wisconsin.port.toml" "$repo/scripts/testbed.sh" exec b
copy atlanta --compress off wisconsin:data/file "$work/back"
cmp "$work/wisconsin/data/file" "$work/back" || fail "what was pulled differs"; pass
link_becomes 'training["silent"]["source"]' None 0

bursts a 10.77.0.12
link_becomes '(training["silent"]["predictor"], training["silent"]["source"], 0.36 < (training["silent"]["period_s"] or 0) < 0.44)' "('locked', 'counters', True)" 120
link_becomes '(gate["state"], (link["foreground_bits"] or 0) > 5e6)' "('closed', True)" 30
