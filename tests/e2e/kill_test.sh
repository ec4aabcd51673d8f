#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Either side dies or is told to stop half-way: nobody sees half a copy, and the gateway serves others.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
there=$work/wisconsin/data
head -c 60000000 /dev/urandom > "$work/file"
head -c 1000000 /dev/urandom > "$work/small"

# start_copy NAME: a copy that takes about 6 s, half-way after 2 s; its number is in $copying.
start_copy() {
  # The program itself, not our function: that would be a subshell, and a signal would end only the shell.
  "$bin/tideway" --config "$work/atlanta.toml" copy --json --bwlimit 80Mbit "$work/file" "wisconsin:data/$1" > "$work/$1.json" 2> "$work/$1.log" &
  copying=$!
  running+=("$copying")
  for _ in $(seq 60); do
    grep -q '"bytes_done":[1-9]' "$work/$1.json" && return
    sleep 0.1
  done
  fail "the copy did not get going: $(cat "$work/$1.log")"
}

# P06: a gateway at another site is stopped for longer than its peer waits for a word, and then goes on, while the next copy waits.
paused_site() {
  local elsewhere=$((control_port + 100))
  "$bin/tideway" pki issue --ca "$work/ca" --site denver --gateway gw1 --out "$work/denver" > /dev/null
  mkdir -p "$work/denver/state" "$work/denver/data"
  write_config denver 127.0.0.1 127.0.0.1 "$work/denver/data" | sed "s/:$control_port\"/:$elsewhere\"/; s/:$((control_port + 10000))\"/:$((elsewhere + 10000))\"/" > "$work/denver.toml"
  printf '[[peer]]\nname = "denver"\ncontrol = "127.0.0.1:%d"\n' "$elsewhere" >> "$work/atlanta.toml"
  serve denver "$work/denver.toml"
  paused=$gateway
  "$bin/tideway" --config "$work/atlanta.toml" copy --json --bwlimit 80Mbit "$work/file" denver:data/paused > "$work/paused.json" 2> "$work/paused.log" &
  waiting=$!
  running+=("$waiting")
  for _ in $(seq 60); do grep -q '"bytes_done":[1-9]' "$work/paused.json" && break; sleep 0.1; done
  kill -STOP "$paused"
  (sleep 15; kill -CONT "$paused") &
}
paused_site

serve wisconsin "$work/wisconsin.toml"
start_copy killed-gateway
kill -9 "$gateway"
from=$SECONDS code=0
wait "$copying" || code=$?
[ "$code" -eq 4 ] || fail "a lost peer gave exit code $code: $(cat "$work/killed-gateway.log")"; pass
[ $((SECONDS - from)) -ge 15 ] || fail "it waited for $((SECONDS - from)) s alone"; pass
[ $((SECONDS - from)) -le 32 ] || fail "it took $((SECONDS - from)) s to give up"; pass
grep -q '(peer_lost)' "$work/killed-gateway.log"; pass
absent "$there/killed-gateway"
wait "$waiting" || fail "a copy did not survive that its gateway was stopped for 15 s: $(cat "$work/paused.log")"
cmp "$work/file" "$work/denver/data/paused"; pass
grep -q 'code=peer_lost' "$work/denver.log" || fail "a gateway that was stopped still had its session: $(cat "$work/denver.log")"; pass
kill "$paused" && wait "$paused" || fail "a gateway that was stopped did not end well"

# What the dead one left in staging is removed once it is old enough.
in_staging() { find "$there/.tideway" -mindepth 1 -maxdepth 1 ! -name manifests 2> /dev/null || :; }
[ -n "$(in_staging)" ] || fail "nothing was in staging when the gateway died"; pass
sed -i 's/^\[engine\]/[storage]\nstaging_ttl = "1s"\n[engine]/' "$work/wisconsin.toml"
sleep 1.1
serve wisconsin "$work/wisconsin.toml"
[ -z "$(in_staging)" ] || fail "staging was not swept: $(in_staging)"; pass
start_copy killed-client
kill -9 "$copying"
tideway copy -q "$work/small" wisconsin:data/meanwhile
cmp "$work/small" "$there/meanwhile"; pass
absent "$there/killed-client"

start_copy interrupted
kill -TERM "$copying"  # a shell starts its background jobs with SIGINT ignored
code=0; wait "$copying" || code=$?
[ "$code" -eq 143 ] || fail "an interrupt gave exit code $code"; pass
grep -q 'interrupted; what has arrived is kept' "$work/interrupted.log" || fail "it did not end in order: $(cat "$work/interrupted.log")"; pass
[ -n "$(in_staging)" ] || fail "an interrupt took what had arrived"; pass
tideway copy -q "$work/small" wisconsin:data/after
absent "$there/interrupted"

# Told to stop, a gateway lets running copies finish.
start_copy drained
kill -TERM "$gateway"
said wisconsin stopping
refuses 4 peer_unreachable "" "$bin/tideway" --config "$work/atlanta.toml" copy -q "$work/small" wisconsin:data/late  # nobody else is let in
code=0; wait "$copying" || code=$?
[ "$code" -eq 0 ] || fail "a copy did not survive the drain: $(cat "$work/drained.log")"; pass
code=0; wait "$gateway" || code=$?
[ "$code" -eq 0 ] || fail "the gateway ended with $code"; pass
cmp "$work/file" "$there/drained"; pass
