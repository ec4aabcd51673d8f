#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A burst that is announced through the API closes the gate, and is seen in the links and in the tide; what means nothing is
# refused with a reason; bursts that nobody announces are seen in counters of an interface, of nftables and of a queue, and the next
# one is expected. A burst that nobody ends raises an alarm. What is announced at one site guards the gate of the other.
source "$(dirname "$0")/lib.sh"
make_testbed_sites
socket=$work/api.sock
head -c 30000000 /dev/urandom > "$work/wisconsin/data/file"
awk -v api="$socket" '/^control = / && !done++ { print; printf "api = \"%s\"\n", api; next } { print }' "$work/wisconsin.toml" > "$work/with-api.toml"
mv "$work/with-api.toml" "$work/wisconsin.toml"
cat >> "$work/wisconsin.toml" <<TOML
[[link]]
peer = "atlanta"
capacity = "100Mbit"
[[training]]
name = "llm7"
peers = ["atlanta"]
sources = ["api"]
[[training]]
name = "deaf"
peers = ["atlanta"]
sources = ["beacon"]
[[training]]
name = "silent"
peers = ["atlanta"]
counters = ["iface:wan0"]
[[training]]
name = "queued"
peers = ["atlanta"]
counters = ["tc:wan0/1:"]
TOML
! command -v nft > /dev/null || cat >> "$work/wisconsin.toml" <<TOML
[[training]]
name = "ruled"
peers = ["atlanta"]
counters = ["nft:inet/tw/training"]
TOML
cat >> "$work/atlanta.toml" <<TOML
[[link]]
peer = "wisconsin"
[[training]]
name = "llm7"
peers = ["wisconsin"]
TOML
export TIDEWAY_API=$socket

bed up --rate 100Mbit --delay 10ms > /dev/null
bed exec b tc qdisc replace dev wan0 root handle 1: tbf rate 10gbit burst 1mb latency 10ms
if command -v nft > /dev/null; then
  bed exec b nft -f - <<'NFT'
table inet tw {
  counter training {}
  chain out { type filter hook output priority 0; udp dport 9 counter name training; }
}
NFT
fi
serve wisconsin "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
link_becomes '(link["peer"], link["capacity_bits"], gate["state"], gate["reason"], link["bulk_bits"]["send"])' "('atlanta', 100000000, 'open', None, 0)"
tideway phase begin --training llm7 --ttl 60s
link_becomes '(gate["state"], gate["reason"], training["llm7"]["burst"], training["llm7"]["source"])' "('closed', 'gate:llm7', True, 'api')"
tideway phase end --training llm7
link_becomes 'gate["state"]' open
tideway phase run --training llm7 -- sh -c "exit 7" && fail "the command's exit code is lost" || [ $? -eq 7 ]; pass

refuses 2 usage nobody tideway phase begin --training nobody
refuses 5 denied deaf tideway phase begin --training deaf
refuses 2 usage oslo tideway phase begin --training llm7 --to oslo
ask POST /v1/phase '{"training":"llm7","kind":"start"}' | grep -q '^400 .*"code":"usage".*kind' || fail "a wrong kind is taken"; pass
ask POST /v1/phase '{"training":"llm7","kind":"end"}' | grep -q '^204 *$' || fail "an end is not taken"; pass

# Our own bytes on the interface, and in the queue through which all of it goes, are no burst.
bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy -q --direct --compress off wisconsin:data/file "$work/back" || fail "the copy failed"
link_becomes '(training["silent"]["source"], training["queued"]["source"])' "(None, None)" 0

bursts b 10.77.0.1
for training in silent queued $(command -v nft > /dev/null && echo ruled); do
  link_becomes "(training['$training']['predictor'], training['$training']['source'], 0.36 < (training['$training']['period_s'] or 0) < 0.44)" "('locked', 'counters', True)" 120
  said wisconsin "phase_locked training=$training"
done
command -v nft > /dev/null || echo "SKIP: counters of nftables need nft"
kill "$bursts" 2> /dev/null || :

# A stream has the past and goes on: more than a second in less.
python3 - "$socket" > "$work/tide" <<'PY'
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.settimeout(30)
line.connect(sys.argv[1])
line.sendall(b"GET /v1/tide HTTP/1.0\r\n\r\n")
seen = b""
while seen.count(b"event: tide\n") < 8: seen += line.recv(65536)
sys.stdout.buffer.write(seen)
PY
grep -q '^data: .*"burst":\["llm7"\]' "$work/tide" || fail "the tide forgot the burst: $(cat "$work/tide")"; pass
ask GET /metrics > "$work/metrics"
for metric in 'tideway_gate_state{link="atlanta",direction="send"} ' 'tideway_phase_source_age_seconds{training="llm7"} ' 'tideway_predictor_error_seconds{training="silent"} ' \
  'tideway_phase_beacons_total{result="taken"} 0' 'tideway_leftover_utilisation_ratio{link="atlanta"} '; do
  grep -qF "$metric" "$work/metrics" || fail "no $metric: $(grep phase "$work/metrics")"; pass
done

# A burst that nobody ends.
python3 - "$socket" > "$work/alarm" <<'PY' || fail "no alarm: $(cat "$work/alarm")"
import http.client, json, socket, sys
def connect():
    line = http.client.HTTPConnection("tideway")
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.settimeout(60)
    line.sock.connect(sys.argv[1])
    return line
events = connect()
events.request("GET", "/v1/events")
stream = events.getresponse()
stream.readline()  # it is open
word = connect()
word.request("POST", "/v1/phase", json.dumps({"training": "llm7", "kind": "begin", "ttl_us": 100000}))
assert word.getresponse().status == 204
told = ""
while '"about":"llm7"' not in told:  # where hosts are late, those that counters show have alarms of their own
    while (line := stream.readline()) != b"event: alarm\n": assert line
    told = stream.readline().decode()
print(told)
PY
grep -q '^data: .*"about":"llm7".*"alarm":"stale"' "$work/alarm" || fail "another alarm: $(cat "$work/alarm")"; pass
said wisconsin "phase_stale about=llm7"
ask GET /metrics > "$work/metrics"
grep -q '^tideway_phase_alarms_total{alarm="held"} 0$' "$work/metrics" || fail "no gate is held for long: $(grep phase_alarms "$work/metrics")"; pass
grep -q '^tideway_phase_alarms_total{alarm="stale"} [1-9]' "$work/metrics" || fail "the alarm is not counted: $(grep phase_alarms "$work/metrics")"; pass

# The gateway at the other end, where nobody announces anything, hears of it and expects the next burst.
wisconsin=$socket socket=$work/atlanta.sock
awk -v api="$socket" '/^control = / && !done++ { print; printf "api = \"%s\"\n", api; next } { print }' "$work/atlanta.toml" > "$work/with-api.toml"
mv "$work/with-api.toml" "$work/atlanta.toml"
mkdir -p "$work/atlanta/data"
head -c 150000000 /dev/urandom > "$work/atlanta/data/file"  # more than six minutes at its rate
serve atlanta "$work/atlanta.toml" "$repo/scripts/testbed.sh" exec a
TIDEWAY_API=$socket tideway submit --bwlimit 3Mbit "$work/atlanta/data/file" wisconsin:data/there > /dev/null
link_becomes '(gate["state"], training["llm7"]["source"], (link["bulk_bits"]["send"] or 0) > 1e6)' "('open', None, True)"
# is_held_by REASON: so says the job, and so is it counted.
is_held_by() {
  for _ in $(seq 200); do
    ask GET /v1/jobs > "$work/jobs"
    ask GET /metrics > "$work/metrics"
    grep -qF "\"held_by\":\"$1\"" "$work/jobs" && said_held=yes
    grep -qF "tideway_jobs_held{peer=\"wisconsin\",reason=\"$1\"} 1" "$work/metrics" && counted_held=yes
    [ "${said_held:-}${counted_held:-}" = yesyes ] && { unset said_held counted_held; pass; return; }
    sleep 0.1
  done
  fail "nothing is held by $1: $(cat "$work/jobs")"
}
is_held_by rate_limit
python3 - "$wisconsin" <<'PY' &
import http.client, json, socket, sys, time
start = time.monotonic()
for burst in range(1000):
    for kind, at in (("begin", burst), ("end", burst + 0.4)):
        time.sleep(max(0, start + at - time.monotonic()))
        line = http.client.HTTPConnection("tideway")
        line.sock = socket.socket(socket.AF_UNIX)
        line.sock.connect(sys.argv[1])
        line.request("POST", "/v1/phase", json.dumps({"training": "llm7", "kind": kind}))
        assert line.getresponse().status == 204
PY
running+=("$!")
link_becomes '(gate["state"], gate["reason"], (gate["rate_bits"] or 1e9) < 2e6, training["llm7"]["source"])' "('guard', 'guard', True, None)" 150
is_held_by guard
