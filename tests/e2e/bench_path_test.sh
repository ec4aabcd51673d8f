#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# tideway bench path moves blocks over rings of DPDK and over the kernel, says what it measured in fields that scripts
# read, and refuses what it cannot measure. No figure is judged: that is for perf/path.
source "$(dirname "$0")/lib.sh"

# measures NAME FLAG...: a run of a second; its fields are there, and blocks arrived.
measures() {
  local name=$1
  shift
  "$bin/tideway" bench path --seconds 1 --json "$@" > "$work/$name.out" 2> "$work/$name.log" || fail "$name: $(cat "$work/$name.log")"; pass
  python3 - "$work/$name.out" <<'PY' || fail "$name: $(cat "$work/$name.out")"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
path = [line for line in lines if line["type"] == "path"]
assert len(path) == 1, "one line sums up"
path = path[0]
for key in ("bytes", "seconds", "rate_bits", "source_rate_bits_per_core", "sink_rate_bits_per_core", "packets_per_second",
            "packet_payload", "path_mtu", "cycles_per_ns", "source_cpu_seconds", "sink_cpu_seconds", "seal_alone_bits", "open_alone_bits"):
    assert path[key] > 0, key
assert path["packets_lost"] >= 0
names = ["rx", "place", "open", "ack", "pull", "seal", "tx", "turn", "idle"]
for end, busiest in (("source", "seal"), ("sink", "open")):
    stages = {line["stage"]: line for line in lines if line["type"] == "stage" and line["end"] == end}
    assert sorted(stages) == sorted(names), (end, sorted(stages))
    assert stages[busiest]["packets"] > 1000 and stages[busiest]["cycles_per_packet"] > 0, (end, stages[busiest])
PY
  pass
}
measures udp --io udp
measures udp_flows --io udp --mtu 9000 --flows 4 --threads 1
refuses 1 unsupported net_ring "$bin/tideway" bench path --io net_memif
refuses 2 usage "ip link add" "$bin/tideway" bench path --io net_af_packet
refuses 2 usage "choose one of" "$bin/tideway" bench path --io tcp
refuses 2 usage "--mtu" "$bin/tideway" bench path --io udp --mtu 100
"$bin/tideway" doctor > "$work/doctor.log" 2>&1 || :
if grep -q 'DPDK: not in this build' "$work/doctor.log"; then
  refuses 1 unsupported dpdk "$bin/tideway" bench path --io net_ring
  exit 0
fi
measures net_ring --io net_ring
