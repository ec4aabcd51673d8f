#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A burst that is announced through the API closes the gate, and is seen in the links and in the tide; what means nothing is
# refused with a reason; bursts that nobody announces are seen in an interface's counters, and the next one is expected.
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
TOML
export TIDEWAY_API=$socket

bed up --rate 100Mbit --delay 10ms > /dev/null
serve wisconsin "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
# becomes EXPRESSION VALUE [SECONDS]: of Python, over the link to atlanta, its gate and its trainings by name.
becomes() {
  python3 - "$socket" "$@" <<'PY' || fail "$1 does not become $2"
import json, socket, sys, time
until = time.monotonic() + float(sys.argv[4] if len(sys.argv) > 4 else 10)
while True:
    line = socket.socket(socket.AF_UNIX)
    line.connect(sys.argv[1])
    line.sendall(b"GET /v1/links HTTP/1.0\r\n\r\n")
    answer = b"".join(iter(lambda: line.recv(65536), b""))
    link = json.loads(answer.split(b"\r\n\r\n", 1)[1])["links"][0]
    gate, training = link["gates"][0], {one["training"]: one for one in link["trainings"]}
    found = str(eval(sys.argv[2]))
    if found == sys.argv[3]: break
    if time.monotonic() > until: sys.exit("it is %s, of %s" % (found, link))
    time.sleep(0.05)
PY
  pass
}

becomes '(link["peer"], link["capacity_bits"], gate["state"], gate["reason"], link["bulk_bits"]["send"])' "('atlanta', 100000000, 'open', None, 0)"
tideway phase begin --training llm7 --ttl 60s
becomes '(gate["state"], gate["reason"], training["llm7"]["burst"], training["llm7"]["source"])' "('closed', 'gate:llm7', True, 'api')"
tideway phase end --training llm7
becomes 'gate["state"]' open
tideway phase run --training llm7 -- sh -c "exit 7" && fail "the command's exit code is lost" || [ $? -eq 7 ]; pass

refuses 2 usage nobody tideway phase begin --training nobody
refuses 5 denied deaf tideway phase begin --training deaf
refuses 2 usage oslo tideway phase begin --training llm7 --to oslo
ask POST /v1/phase '{"training":"llm7","kind":"start"}' | grep -q '^400 .*"code":"usage".*kind' || fail "a wrong kind is taken"; pass
ask POST /v1/phase '{"training":"llm7","kind":"end"}' | grep -q '^204 *$' || fail "an end is not taken"; pass

# Our own bytes on the interface are no burst.
bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy -q --direct --compress off wisconsin:data/file "$work/back" || fail "the copy failed"
becomes 'training["silent"]["source"]' None 0

# Bursts of a third of the link's rate, 120 ms of each 400, that no program announces.
bed exec b python3 - <<'PY' &
import socket, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
start = time.monotonic()
for burst in range(100):
    begin = start + 0.4 * burst
    for packet in range(360):
        while time.monotonic() < begin + packet * 0.000333: time.sleep(0.0002)
        out.sendto(bytes(1400), ("10.77.0.1", 9))
PY
becomes '(training["silent"]["predictor"], training["silent"]["source"], 0.36 < (training["silent"]["period_s"] or 0) < 0.44)' "('locked', 'counters', True)" 30
said wisconsin "phase_locked training=silent"

# A stream has the past and goes on: more than a second in less.
python3 - "$socket" > "$work/tide" <<'PY'
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.settimeout(5)
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
