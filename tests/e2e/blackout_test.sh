#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The network between two sites is gone, and nobody is told: for five seconds a session bridges that; longer, a job waits and goes on by itself
# within five seconds of its return, and a copy without a gateway ends, and goes on when it is run again.
source "$(dirname "$0")/lib.sh"
make_testbed_sites
socket=$work/api.sock
sed -i "s|^control = .*10.77.0.1.*|&\napi = \"$socket\"|" "$work/atlanta.toml"
export TIDEWAY_API=$socket
there=$work/wisconsin/data
head -c 30000000 /dev/urandom > "$work/atlanta/data/file"
link=(--rate 60Mbit --delay 10ms)  # 4 s for the file
bed up "${link[@]}" > /dev/null
serve wisconsin "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
serve atlanta "$work/atlanta.toml" "$repo/scripts/testbed.sh" exec a

sent_in() { grep '"type":"summary"' "$1" | grep -o '"bytes_sent":[0-9]*' | cut -d: -f2; }
moves() { tideway jobs show --json "$1" | grep -q '"bytes_done":[1-9]'; }  # JOB, which waits without a number
direct() { bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy --direct --json "$work/atlanta/data/file" "wisconsin:data/$1" > "$work/$1.json" 2> "$work/$1.log"; }

# ---- five seconds ----------------------------------------------------------------------------------------------------
bed restart "${link[@]}" --blackout 1500ms+5s/1000s > /dev/null
direct dark || fail "five seconds ended a copy: $(cat "$work/dark.log")"
cmp "$work/atlanta/data/file" "$there/dark"; pass
[ "$(sent_in "$work/dark.json")" -lt 45000000 ] || fail "what had arrived was sent again: $(tail -n 1 "$work/dark.json")"; pass
if python3 -c 'import socket; socket.socket().setsockopt(socket.IPPROTO_TCP, 44, 1000)' 2> /dev/null; then  # TCP_RTO_MAX_MS, as docs/protocol.md has it
  ! grep -q session_over "$work/wisconsin.log" || fail "the session did not last: $(grep session_over "$work/wisconsin.log")"; pass
fi

# ---- half a minute ---------------------------------------------------------------------------------------------------
bed restart "${link[@]}" > /dev/null
job=$(tideway submit "$work/atlanta/data/file" wisconsin:data/waits)
direct ends & copying=$!
for _ in $(seq 100); do grep -qs '"bytes_done":[1-9]' "$work/ends.json" && moves "$job" && break; sleep 0.1; done
bed cut > /dev/null
code=0; wait "$copying" || code=$?
[ "$code" -eq 4 ] && grep -q peer_lost "$work/ends.log" || fail "exit code $code: $(cat "$work/ends.log")"; pass
! moves "$job" && grep -q "job_waits job=$job" "$work/atlanta.log" || fail "the job did not wait: $(tideway jobs show "$job")"; pass
bed restart "${link[@]}" > /dev/null
for _ in $(seq 150); do moves "$job" && break; sleep 0.1; done
moves "$job" || fail "fifteen seconds later, five and what a busy machine takes, the job is still $(tideway jobs show "$job")"; pass
direct ends || fail "the same command again: $(cat "$work/ends.log")"
cmp "$work/atlanta/data/file" "$there/ends"; pass
[ "$(sent_in "$work/ends.json")" -lt 30000000 ] || fail "it began anew: $(tail -n 1 "$work/ends.json")"; pass
tideway jobs watch -q "$job"
cmp "$work/atlanta/data/file" "$there/waits"; pass
