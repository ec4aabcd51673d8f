#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A training whose bursts last longer beside bulk than without: the gateway measures by how much, says so in events and metrics, holds bulk for some
# periods because it is far over the budget, and says that of the job. Then the training is silent, and announces what does not come.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
socket=$work/api.sock
move_atlanta "api=$socket"
share_link 80Mbit
export TIDEWAY_API=$socket
head -c 150000000 /dev/urandom > "$work/atlanta/data/file"
serve wisconsin "$work/wisconsin.toml"
serve atlanta "$work/atlanta.toml"

python3 - "$socket" > "$work/events" <<'PY' &
import socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(sys.argv[1])
line.sendall(b"GET /v1/events HTTP/1.0\r\n\r\n")
while piece := line.recv(65536):
    sys.stdout.buffer.write(piece)
    sys.stdout.flush()
PY
running+=("$!")
# Iterations of 600 ms, of which 200 ms communicate; 260 ms behind a gap with bulk in it.
python3 - "$socket" <<'PY' &
import http.client, json, socket, sys, time
def ask(method, path, body=None):
    line = http.client.HTTPConnection("tideway")
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.connect(sys.argv[1])
    line.request(method, path, json.dumps(body))
    answer = line.getresponse()
    return answer.status, answer.read()
def say(kind):
    assert ask("POST", "/v1/phase", {"training": "llm7", "kind": kind})[0] == 204
def sent():
    return sum(peer["bytes_sent"] for peer in json.loads(ask("GET", "/v1/peers")[1])["peers"])
start, before = time.monotonic(), sent()
for burst in range(1000):
    time.sleep(max(0, start + 0.6 * burst - time.monotonic()))
    say("begin")
    now = sent()
    hurts, before = now - before > 500000, now
    time.sleep(max(0, start + 0.6 * burst + (0.26 if hurts else 0.2) - time.monotonic()))
    say("end")
PY
trainer=$!
running+=("$trainer")
link_becomes '(training["llm7"]["predictor"], training["llm7"]["inflation"])' "('locked', None)"
read -rt 5 <> <(:) || :  # eight iterations without bulk
job=$(tideway submit "$work/atlanta/data/file" wisconsin:data/file)

link_becomes '(gate["state"], gate["reason"], (training["llm7"]["inflation"] or 0) > 0.03)' "('closed', 'budget', True)"
ask GET /metrics > "$work/metrics"
ask GET /v1/jobs > "$work/jobs"
grep -Eq '^tideway_interference_ratio\{training="llm7"\} 0\.(0[3-9]|[1-9])' "$work/metrics" || fail "nothing measured: $(grep interference "$work/metrics")"; pass
grep -q '^tideway_interference_budget_ratio{training="llm7"} 0.01$' "$work/metrics" || fail "another budget: $(grep interference "$work/metrics")"; pass
grep -Eq '^tideway_training_period_seconds\{training="llm7"\} 0\.(5|6)' "$work/metrics" || fail "another period: $(grep period "$work/metrics")"; pass
for _ in $(seq 100); do grep -q '"held_by":"budget"' "$work/jobs" && break; sleep 0.05; ask GET /v1/jobs > "$work/jobs"; done
grep -q '"held_by":"budget"' "$work/jobs" || fail "the job is held by something else: $(cat "$work/jobs")"; pass
for _ in $(seq 50); do grep -q '^event: budget' "$work/events" && break; sleep 0.1; done
grep -A 1 '^event: budget' "$work/events" | grep -Eq '^data: .*"over":true.*"training":"llm7"' || fail "no event: $(grep -A 1 'budget' "$work/events")"; pass
said atlanta "training_over_budget training=llm7"
metrics_have '^tideway_training_yield_seconds_total\{link="wisconsin",reason="budget"\} (0\.[0-9]*[1-9]|[1-9])'
# Ten periods, and it goes on.
link_becomes 'gate["state"] in ("open", "guard")' True

# ---- signals that are wrong ----------------------------------------------------------------------------------------------
# alarm NAME: it is in the log, among the events and counted.
alarm() {
  said atlanta "phase_$1"
  for _ in $(seq 50); do grep -q "\"about\":\"llm7\",\"alarm\":\"$1\"" "$work/events" && break; sleep 0.1; done
  grep -q "^data: .*\"about\":\"llm7\",\"alarm\":\"$1\"" "$work/events" || fail "no event: $(grep -A 1 alarm "$work/events")"; pass
  metrics_have "^tideway_phase_alarms_total\{alarm=\"$1\"\} [1-9]"
}
kill "$trainer"
alarm lost
ask POST /v1/phase '{"training":"llm7","kind":"predict","ahead_us":100000}' | grep -q '^204 ' || fail "a prediction is not taken"; pass
alarm wrong
