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
    assert stages[busiest]["packets"] > 1000, (end, stages[busiest])
    for key in ("cycles_per_packet", "ns_per_packet", "cycles_per_byte", "ns_per_byte"):
        assert stages[busiest][key] > 0, (end, key)
PY
  pass
}
measures udp --io udp
measures udp_flows --io udp --mtu 9000 --flows 4 --threads 1
measures udp_ipv6 --io udp --addresses ::1,::1
refuses 2 usage "no IP address" "$bin/tideway" bench path --io udp --addresses 127.0.0.1,localhost
refuses 2 usage "one for each end" "$bin/tideway" bench path --io udp --addresses 127.0.0.1
refuses 2 usage "ip link add" "$bin/tideway" bench path --io net_af_packet
refuses 2 usage "choose one of" "$bin/tideway" bench path --io tcp
refuses 2 usage "--mtu" "$bin/tideway" bench path --io udp --mtu 100
"$bin/tideway" doctor > "$work/doctor.log" 2>&1 || :
if grep -q 'DPDK: not in this build' "$work/doctor.log"; then
  for io in net_ring net_memif; do refuses 1 unsupported DPDK "$bin/tideway" bench path --io "$io"; done
  exit 0
fi
measures net_ring --io net_ring
refuses 2 usage "carries packets of 1500" "$bin/tideway" bench path --io net_memif --mtu 9000
refuses 2 usage "two processes" "$bin/tideway" bench path --io net_memif --threads 1

# ---- net_memif: a process for each end ---------------------------------------------------------------------------------
export TMPDIR=$work/tmp
mkdir "$TMPDIR"
nothing_left() {
  [ -z "$(ls -A "$TMPDIR")" ] || fail "$1 left $(ls "$TMPDIR") behind"; pass
  ! kill -0 "$child" 2> /dev/null || fail "$1 left its child behind"; pass
}
# begins NAME: a run that would take long, with both processes at work; they are $bench and $child.
begins() {
  "$bin/tideway" bench path --io net_memif --seconds 600 > "$work/$1.out" 2> "$work/$1.log" &
  bench=$!
  running+=("$bench")
  for _ in $(seq 100); do
    child=$(cat "/proc/$bench/task/$bench/children" 2> /dev/null | tr -d ' ')
    # It has a thread that moves packets, beside its first one and those of EAL.
    [ -n "$child" ] && [ -n "$(ls -A "$TMPDIR"/*/ 2> /dev/null)" ] && [ "$(ls "/proc/$child/task" | wc -l)" -ge 3 ] && return
    sleep 0.1
  done
  fail "$1: no second process: $(cat "$work/$1.log")"
}
ends() {
  local got=0
  wait "$bench" || got=$?
  [ "$got" -eq "$2" ] || fail "$1 ended with $got instead of $2: $(cat "$work/$1.log")"; pass
  nothing_left "$1"
}
measures net_memif --io net_memif
[ -z "$(ls -A "$TMPDIR")" ] || fail "a run left $(ls "$TMPDIR") behind"; pass
begins interrupted
kill -INT "$bench"
ends interrupted 130
begins orphaned
kill -9 "$child"
ends orphaned 4
grep -q 'ended by signal 9 (peer_lost)' "$work/orphaned.log" || fail "the child's death is not said: $(cat "$work/orphaned.log")"; pass
begins killed
kill -9 "$bench"
wait "$bench" 2> /dev/null || :
for _ in $(seq 50); do kill -0 "$child" 2> /dev/null || break; sleep 0.1; done
rm -rf "${TMPDIR:?}"/*  # nobody was left to remove it
nothing_left killed
