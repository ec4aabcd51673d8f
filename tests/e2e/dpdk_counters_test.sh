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
# becomes EXPRESSION VALUE SECONDS: of Python, over the training as GET /v1/links has it.
becomes() {
  python3 - "$socket" "$@" <<'PY' || fail "$1 does not become $2"
import json, socket, sys, time
until = time.monotonic() + float(sys.argv[4])
while True:
    line = socket.socket(socket.AF_UNIX)
    line.connect(sys.argv[1])
    line.sendall(b"GET /v1/links HTTP/1.0\r\n\r\n")
    answer = b"".join(iter(lambda: line.recv(65536), b""))
    link = json.loads(answer.split(b"\r\n\r\n", 1)[1])["links"][0]
    training = link["trainings"][0]
    found = str(eval(sys.argv[2]))
    if found == sys.argv[3]: break
    if time.monotonic() > until: sys.exit("it is %s, of %s" % (found, link))
    time.sleep(0.05)
PY
  pass
}

copy atlanta --compress off wisconsin:data/file "$work/back"
cmp "$work/wisconsin/data/file" "$work/back" || fail "what was pulled differs"; pass
becomes 'training["source"]' None 0

# Bursts of a third of the link's rate to the port, 120 ms of each 400.
"$repo/scripts/testbed.sh" exec a python3 - <<'PY' &
import socket, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
start = time.monotonic()
for burst in range(1000):
    begin = start + 0.4 * burst
    for packet in range(360):
        while time.monotonic() < begin + packet * 0.000333: time.sleep(0.0002)
        out.sendto(bytes(1400), ("10.77.0.12", 9))
PY
running+=("$!")
becomes '(training["predictor"], training["source"], 0.36 < (training["period_s"] or 0) < 0.44)' "('locked', 'counters', True)" 120
becomes '(link["gates"][0]["state"], (link["foreground_bits"] or 0) > 5e6)' "('closed', True)" 30
