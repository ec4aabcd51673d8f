#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The queue of a gateway: a job is taken in, watched, paused and cancelled, outlives kill -9 of its gateway and of its peer's, and
# is never there twice; the API says what happens, and Prometheus can read it.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
socket=$work/api.sock
metrics=$((control_port + 2))
move_atlanta "api=$socket" "metrics=127.0.0.1:$metrics"
export TIDEWAY_API=$socket
here=$work/atlanta/data
there=$work/wisconsin/data
tree=$here/tree
mkdir -p "$tree/small"
head -c 40000000 /dev/urandom > "$tree/big"
for i in $(seq 50); do head -c $((i * 97)) /dev/urandom > "$tree/small/$i"; done

serve wisconsin "$work/wisconsin.toml"
wisconsin=$gateway
serve atlanta "$work/atlanta.toml"
atlanta=$gateway
tideway jobs list 2>&1 | grep -q "no such jobs" || fail "an empty queue looks like nothing at all"; pass
refuses 2 usage "no job is ever runing" tideway jobs list --state runing

state() { tideway jobs show --json "$1" | grep -o '"state":"[a-z]*"' | cut -d'"' -f4; }
# becomes JOB STATE: within ten seconds.
becomes() {
  for _ in $(seq 100); do [ "$(state "$1")" = "$2" ] && { pass; return; }; sleep 0.1; done
  fail "job $1 is $(state "$1") and not $2: $(tideway jobs show "$1")"
}
# gets_going JOB: until bytes have crossed.
gets_going() {
  for _ in $(seq 100); do tideway jobs show --json "$1" | grep -q '"bytes_done":[1-9]' && return; sleep 0.1; done
  fail "job $1 did not get going: $(tideway jobs show "$1")"
}

# notes TEXT: a line of its audit log has it.
notes() {
  for _ in $(seq 100); do grep -qF -- "$1" "$work/atlanta/state/audit.jsonl" && { pass; return; }; sleep 0.1; done
  fail "nobody wrote down $1: $(tail -n 5 "$work/atlanta/state/audit.jsonl")"
}

# ---- there and back --------------------------------------------------------------------------------------------------
job=$(tideway submit "$tree" wisconsin:data/pushed)
tideway jobs watch -q "$job"
same_tree "$tree" "$there/pushed"
[ "$(state "$job")" = published ] || fail "the job is $(state "$job")"; pass
tideway copy --json "$tree" wisconsin:data/copied > "$work/copied.json" 2> "$work/copied.log" || fail "copy through the gateway: $(cat "$work/copied.log")"
same_tree "$tree" "$there/copied"
grep -q '"type":"summary".*"state":"published".*"exit":0' "$work/copied.json" || fail "no summary: $(cat "$work/copied.json")"; pass
[ "$(tideway jobs list | grep -c published)" -eq 2 ] || fail "the copy did not run in the gateway: $(tideway jobs list)"; pass
tideway copy -q wisconsin:data/pushed "$here/pulled"
same_tree "$tree" "$here/pulled"
code=0; tideway copy -q --error-on-no-transfer "$tree" wisconsin:data/pushed || code=$?
[ "$code" -eq 9 ] || fail "exit code $code instead of 9"; pass
refuses 6 source_missing nothing tideway copy -q "$here/nothing" wisconsin:data/nothing
refuses 2 usage "no root" tideway copy -q "$work/ca" wisconsin:data/ca
refuses 5 denied elsewhere tideway copy -q "$tree" wisconsin:elsewhere/tree
tideway copy -q --direct "$work/ca/ca.crt" wisconsin:data/ca.crt
cmp "$work/ca/ca.crt" "$there/ca.crt"; pass

# ---- one submission, one job ---------------------------------------------------------------------------------------
first=$(tideway submit --submission-id run-7 "$tree" wisconsin:data/once)
[ "$(tideway submit --submission-id run-7 "$tree" wisconsin:data/once)" = "$first" ] || fail "the same submission became another job"; pass
python3 - "$socket" <<'PY' || fail "an error has no form that programs know (RFC 9457)"
import http.client, json, socket, sys
line = http.client.HTTPConnection("tideway")
line.sock = socket.socket(socket.AF_UNIX)
line.sock.connect(sys.argv[1])
line.request("GET", "/v1/jobs/nonesuch")
answer = line.getresponse()
problem = json.loads(answer.read())
assert answer.status == 404 and answer.headers["Content-Type"] == "application/problem+json", (answer.status, answer.headers["Content-Type"])
assert problem["status"] == 404 and problem["code"] and problem["title"] and problem["type"], problem
PY
pass
refuses 1 submission_conflict run-7 tideway submit --submission-id run-7 "$tree" wisconsin:data/twice
becomes "$first" published

# ---- pause, resume, cancel, and another rate -----------------------------------------------------------------------
job=$(tideway submit --bwlimit 40Mbit "$tree" wisconsin:data/paused)
gets_going "$job"
tideway jobs pause "$job" > /dev/null
[ "$(state "$job")" = paused ] || fail "the job is $(state "$job")"; pass
ask GET "/v1/jobs/$job" | grep -q '"held_by":"paused_by_operator"' || fail "nobody paused it: $(ask GET "/v1/jobs/$job")"; pass
absent "$there/paused"
tideway jobs resume "$job" > /dev/null
becomes "$job" running
tideway jobs set "$job" --bwlimit 4Gbit > /dev/null
tideway jobs watch -q "$job"
same_tree "$tree" "$there/paused"
job=$(tideway submit --bwlimit 40Mbit "$tree" wisconsin:data/ranked)
gets_going "$job"
tideway jobs set "$job" --class checkpoint --weight 3 > /dev/null
ask GET "/v1/jobs/$job" | grep -q '"class":"checkpoint".*"weight":3' || fail "it has no other rank: $(ask GET "/v1/jobs/$job")"; pass
tideway schedule show | grep -q "^$job .*checkpoint.*weight 3" || fail "it is not planned with another rank: $(tideway schedule show)"; pass
refuses 2 usage "best-effort" tideway jobs set "$job" --class urgent
tideway bwlimit --job "$job" | grep -q '^40' || fail "its rate is not shown: $(tideway bwlimit --job "$job")"; pass
tideway bwlimit --job "$job" 4Gbit > /dev/null
tideway jobs watch -q "$job"
same_tree "$tree" "$there/ranked"
head -c 4000000 /dev/urandom > "$here/small"
began=$(($(date +%s%N) / 1000000))
job=$(tideway submit --bwlimit 20Mbit "$here/small" wisconsin:data/limited)
tideway jobs watch -q "$job"
took=$(($(date +%s%N) / 1000000 - began))
[ "$took" -ge 1000 ] || fail "4 MB at 20 Mbit/s took $took ms: a small job does not keep to its rate"; pass
tideway bwlimit 80Mbit > /dev/null
job=$(tideway submit "$tree" wisconsin:data/stop-and-go)
gets_going "$job"
for _ in $(seq 10); do  # the peer's last word on the attempt before comes while the next one runs on the same session
  tideway jobs pause "$job" > /dev/null
  tideway jobs resume "$job" > /dev/null
  sleep 0.1
done
tideway bwlimit off > /dev/null
tideway jobs watch -q "$job"
same_tree "$tree" "$there/stop-and-go"
job=$(tideway submit --bwlimit 40Mbit "$tree" wisconsin:data/cancelled)
gets_going "$job"
tideway jobs cancel "$job" > /dev/null
tideway jobs cancel "$job" > /dev/null
[ "$(state "$job")" = cancelled ] || fail "the job is $(state "$job")"; pass
refuses 1 cancelled "job $job was cancelled" tideway jobs watch -q "$job"
absent "$there/cancelled"
notes "\"event\":\"job_published\",\"uid\":$(id -u),"
notes "\"event\":\"job_submitted\",\"uid\":$(id -u),\"job\":\"$job\",\"source\":\"data:tree\",\"sources\":1,\"destination\":\"wisconsin:data/cancelled\""
notes "\"event\":\"job_cancelled\",\"uid\":$(id -u),\"job\":\"$job\""
[ "$(grep -c "job_cancelled.*$job" "$work/atlanta/state/audit.jsonl")" -eq 1 ] || fail "it was cancelled once"; pass
[ "$(tideway bwlimit 100Mbit)" = "$(tideway bwlimit)" ] || fail "the ceiling did not change"; pass
tideway bwlimit 50Mbit --for 1h > /dev/null
tideway bwlimit | grep -q ' for ' && tideway bwlimit --json | grep -q '"for_s":3[56]' || fail "nothing says that the ceiling goes: $(tideway bwlimit)"; pass
[ "$(tideway bwlimit off)" = off ] || fail "the ceiling did not go"; pass

[ "$(tideway bwlimit --link wisconsin 40Mbit)" = "$(tideway bwlimit --link wisconsin)" ] || fail "the ceiling of a peer did not change"; pass
[ "$(tideway bwlimit --link wisconsin off)" = off ] || fail "the ceiling of a peer did not go"; pass
tideway bwlimit --link wisconsin 40Mbit --for 1h > /dev/null
ask POST /v1/config/reload | grep -q '^200 ' || fail "the configuration was not read again"; pass
tideway bwlimit --link wisconsin | grep -q '^40.* for ' || fail "a reload ended what was said for an hour: $(tideway bwlimit --link wisconsin)"; pass
tideway bwlimit --link wisconsin off > /dev/null
refuses 2 usage "no peer" tideway bwlimit --link nowhere 1Gbit

# ---- kill -9 of either gateway while a job runs --------------------------------------------------------------------
job=$(tideway submit --bwlimit 20Mbit "$tree" wisconsin:data/killed)
"$bin/tideway" jobs watch --json "$job" > "$work/watched.json" 2> "$work/watched.log" &
watching=$!
running+=("$watching")
gets_going "$job"
for _ in $(seq 100); do [ -n "$(find "$there/.tideway" -mindepth 2 -maxdepth 2 -name ledger -size +127c 2> /dev/null)" ] && break; sleep 0.05; done
kill -9 "$atlanta"
wait "$atlanta" 2> /dev/null || :
absent "$there/killed"
serve atlanta "$work/atlanta.toml"
atlanta=$gateway
gets_going "$job"
kill -9 "$wisconsin"
wait "$wisconsin" 2> /dev/null || :
becomes "$job" waiting
tideway jobs show "$job" | grep -q 'waits for *peer_' || fail "it does not say what it waits for: $(tideway jobs show "$job")"; pass
serve wisconsin "$work/wisconsin.toml"
tideway jobs set "$job" --bwlimit 4Gbit > /dev/null
code=0; wait "$watching" || code=$?
[ "$code" -eq 0 ] || fail "watching ended with $code: $(cat "$work/watched.log")"; pass
same_tree "$tree" "$there/killed"
grep '"type":"summary"' "$work/watched.json" | grep -q '"bytes_held":[1-9]' || fail "it started from the beginning: $(tail -n 1 "$work/watched.json")"; pass

# ---- more readers of events than are served ------------------------------------------------------------------------------
python3 - "$socket" "$work/refused" <<'PY' &
import socket, sys, time
readers = []
for _ in range(400):
    readers.append(socket.socket(socket.AF_UNIX))
    readers[-1].connect(sys.argv[1])
    readers[-1].sendall(b"GET /v1/events HTTP/1.0\r\nHost: tideway\r\n\r\n")
answers = [reader.recv(12, socket.MSG_WAITALL) for reader in readers]
with open(sys.argv[2], "w") as file: print(sum(answer.endswith(b" 503") for answer in answers), file=file)
time.sleep(600)
PY
readers=$!
running+=("$readers")
for _ in $(seq 100); do [ -s "$work/refused" ] && break; sleep 0.1; done
[ "$(cat "$work/refused")" = 16 ] || fail "of 400 readers not 16 were refused: $(cat "$work/refused")"; pass
ask POST /v1/phase '{}' | grep -q '^400 ' || fail "readers of events keep a trainer out"; pass
tideway copy -q "$tree" wisconsin:data/followed || fail "a copy needs a stream of events"; pass
same_tree "$tree" "$there/followed"
kill -9 "$readers"
wait "$readers" 2> /dev/null || :

# ---- a recurring job -------------------------------------------------------------------------------------------------
series=$(tideway submit --every 1h "$tree" wisconsin:data/again)
for _ in $(seq 100); do [ -d "$there/again" ] && break; sleep 0.1; done
same_tree "$tree" "$there/again"
tideway jobs cancel "$series" > /dev/null
[ "$(state "$series")" = cancelled ] || fail "the series is $(state "$series")"; pass

# ---- what the API says ---------------------------------------------------------------------------------------------------
first_event=$(ask GET "/v1/jobs/$job/events" "" 1 | grep -m 1 '^id:' | cut -d' ' -f2)
[ -n "$first_event" ] || fail "no event of the job is kept"; pass
ask GET "/v1/jobs/$job/events" "" "$first_event" > "$work/events"
grep -q '"state":"published"' "$work/events" || fail "the events end without the end: $(cat "$work/events")"; pass
! grep -q "^id: $first_event\$" "$work/events" || fail "an event came again"; pass
ask POST /v1/jobs '{"sources":["data:tree"],"destination":"wisconsin:data/x","deadline":"2027-01-01T00:00:00Z","bytes":5}' | grep -q '^400 .*"code":"unsupported".*deadline' || fail "a deadline that nobody keeps was accepted"; pass
ask POST /v1/jobs '{"sources":["data:tree"],"destination":"wisconsin:data/x","mood":1}' | grep -q '^400 .*mood' || fail "an unknown field was accepted"; pass
ask POST /v1/jobs '{"sources":["data:../../etc"],"destination":"wisconsin:data/x"}' | grep -q '^400 ' || fail "a name that climbs was accepted"; pass
ask GET /v1/jobs/ffffffff | grep -q '^404 ' || fail "a job that is not there was found"; pass
ask DELETE /v1/jobs | grep -q '^405 ' || fail "DELETE is no 405"; pass
ask GET '/v1/jobs?order=newest&limit=3' | grep -o '"number":[0-9]*' | cut -d: -f2 > "$work/numbers"
[ "$(wc -l < "$work/numbers")" -eq 3 ] && sort -rn -c "$work/numbers" || fail "not the newest first: $(cat "$work/numbers")"; pass
ask GET '/v1/jobs?order=random' | grep -q '^400 .*order' || fail "an unknown order was accepted"; pass
ask GET /v1/health | grep -q '^200 .*"status":"ok"' || fail "it is not well"; pass
ask GET /v1/version | grep -q '^200 .*"protocol":1.*"site":"atlanta"' || fail "it has no version"; pass
ask GET /v1/config | grep -q '^200 .*"reload_failed":null' || fail "it shows no configuration"; pass
ask POST /v1/config/reload | grep -q '^200 ' || fail "it does not reload"; pass

# What grants in force say of a peer; the file counts only when it has been read again.
tests_policy() { ask POST /v1/policy/test "{\"peer\":\"spiffe://example.org/site/oslo/gw/gw1\",\"op\":\"$1\",\"path\":\"$2\"}"; }
tests_policy read data/x | grep -q '^200 .*"allowed":false.*"code":"denied"' || fail "without a grant: $(tests_policy read data/x)"; pass
tests_policy frobnicate data/x | grep -q '^400 .*frobnicate' || fail "no operation: $(tests_policy frobnicate data/x)"; pass
cp "$work/atlanta.toml" "$work/ungranted.toml"
printf '[[grant]]\npeer = "spiffe://example.org/site/oslo/gw/*"\nroot = "data"\nops = ["read"]\nmax_rate = "2Gbit"\n' >> "$work/atlanta.toml"
tests_policy read data/x | grep -q '"allowed":false' || fail "a file that was not read again counts"; pass
ask POST /v1/config/reload > /dev/null
tests_policy read data/x | grep -q '^200 .*"allowed":true.*"max_rate_bits":2000000000.*"rule":".*atlanta.toml:[0-9:]*"' || fail "with a grant: $(tests_policy read data/x)"; pass
cp "$work/ungranted.toml" "$work/atlanta.toml"
ask POST /v1/config/reload > /dev/null
tests_policy read data/x | grep -q '"allowed":false' || fail "a grant that is gone counts"; pass
tideway peers | grep -q '^wisconsin *connected' || fail "the session did not stay up: $(tideway peers)"; pass
tideway peers | grep -Eq '^ +over udp, round trip [0-9.]+ ?[mu]?s, packets of [0-9]+ B, its certificate ends 20..-' || fail "not how it is reached: $(tideway peers)"; pass

# Users of this machine need a grant; what is not theirs looks absent.
if [ "$(id -u)" -eq 0 ] && command -v setpriv > /dev/null; then
  chmod 0755 "$work" && chmod 0666 "$socket"
  stranger() { setpriv --reuid 65534 --regid 65534 --clear-groups "$bin/tideway" --config /nonexistent "$@"; }
  refuses 5 denied "ask its operator" stranger submit "$tree" wisconsin:data/stranger
  [ -z "$(stranger jobs list)" ] || fail "a stranger sees jobs of others"; pass
  refuses 2 usage "no job" stranger jobs cancel "$job"
  refuses 5 denied "root" stranger bwlimit 1Gbit
  notes '"event":"grant_denied","uid":65534,"op":"read","root":"data","path":"tree","rule":"no grant"'
  notes '"event":"request_denied","uid":65534,"request":"POST /v1/jobs"'
  notes "\"event\":\"request_denied\",\"uid\":65534,\"request\":\"POST /v1/jobs/$job/cancel\""
  notes '"event":"request_denied","uid":65534,"request":"PATCH /v1/rate"'
  # Who loses his grant has lost the jobs that it allowed.
  cp "$work/atlanta.toml" "$work/ungranted.toml"
  printf '[[grant]]\npeer = "local:user/nobody"\nroot = "data"\nops = ["read"]\n' >> "$work/atlanta.toml"
  ask POST /v1/config/reload | grep -q '^200 ' || fail "the new grant is not taken up"; pass
  job=$(stranger submit --bwlimit 10Mbit "$tree" wisconsin:data/granted)
  gets_going "$job"
  ask POST /v1/config/reload > /dev/null
  [ "$(state "$job")" = running ] || fail "a reload ended what is granted: $(state "$job")"; pass
  cp "$work/ungranted.toml" "$work/atlanta.toml"
  ask POST /v1/config/reload > /dev/null
  [ "$(state "$job")" = failed ] || fail "its grant is gone, and it is $(state "$job")"; pass
  ask GET "/v1/jobs/$job" | grep -q '"code":"denied"' || fail "it failed for another reason"; pass
  absent "$there/granted"
fi

# ---- metrics ---------------------------------------------------------------------------------------------------------------
python3 - "$metrics" <<'PY' || fail "metrics"
import re, sys, urllib.request
text = urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics", timeout=10).read().decode()
values = {}
for line in text.splitlines():
    if line.startswith("#"):
        continue
    found = re.fullmatch(r'(tideway_[a-z_]+)((?:\{[a-z_]+="[^"]*"(?:,[a-z_]+="[^"]*")*\})?) ([-+0-9.eInf]+)', line)
    assert found, line
    values[found[1] + found[2]] = float(found[3])
assert values['tideway_job_state{state="published"}'] >= 6, values
assert values['tideway_jobs_finished_total{result="published"}'] >= 1
assert sum(value for name, value in values.items() if name.startswith('tideway_sent_bytes_total{peer="wisconsin",class="')) > 1e6
assert 'tideway_readback_bytes_total' in values and values['tideway_verify_lag_bytes'] >= 0
assert any(name.startswith('tideway_audit_last_hash_info{seq="') for name in values)
assert values['tideway_root_free_bytes{root="data"}'] > 0
assert 'tideway_staging_bytes{root="data"}' in values and 'tideway_rekeys_total' in values
assert values['tideway_fsync_duration_seconds_count'] >= 0 and 'tideway_stalls_total{cause="credit"}' in values
assert values['tideway_config_reload_ok'] == 1
assert values['tideway_store_duration_seconds_count'] > 0
assert 'tideway_auth_failed_packets_total{reason="tag"}' in values
assert any(name.startswith('tideway_worker_busy_ratio{worker="tw-') for name in values)
assert any(name.startswith('tideway_last_published_timestamp_seconds{root="wisconsin:data"') for name in values)
PY
pass

# The first one is made at the start, and its name is there when it is whole.
backup=$(ls "$work"/atlanta/state/backup/jobs-*.sqlite) || fail "the queue was not backed up"
[ "$(stat -c %a "$backup")" = 600 ] || fail "others can read $backup"
python3 - "$backup" <<'PY' || fail "$backup is no store"
import sqlite3, sys
store = sqlite3.connect("file:%s?immutable=1" % sys.argv[1], uri=True)
assert store.execute("PRAGMA integrity_check").fetchone() == ("ok",)
assert store.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone() == ("1",)
PY
pass

# ---- an orderly end, and one gateway to a state directory -----------------------------------------------------------------
sed "s/127.0.0.1:$metrics/127.0.0.1:$((metrics + 1))/; s/api.sock/other.sock/; s/^control = \"127.0.0.1:$((control_port + 1))\"/control = \"127.0.0.1:$((control_port + 3))\"/; s/^address = .*/address = \"127.0.0.1:$((control_port + 10200))\"/" "$work/atlanta.toml" > "$work/second.toml"
refuses 10 state_locked "process $atlanta of host" "$bin/tidewayd" --config "$work/second.toml"
refuses 10 state_locked "process $atlanta of host" "$bin/tidewayd" --config "$work/atlanta.toml"  # not that a port or the socket is in use
job=$(tideway submit --bwlimit 40Mbit "$tree" wisconsin:data/stopped)
gets_going "$job"
kill -TERM "$atlanta"
wait "$atlanta" || fail "the gateway did not end well"
"$bin/tideway" audit verify "$work/atlanta/state/audit.jsonl" > /dev/null || fail "the gateway that was refused wrote into the audit log of the other"; pass
serve atlanta "$work/atlanta.toml"
atlanta=$gateway
tideway jobs set "$job" --bwlimit off > /dev/null
tideway jobs watch -q "$job"
same_tree "$tree" "$there/stopped"
