#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Either side is killed again and again, wherever it is at work; the same command run again goes on from there: every byte is
# right in the end, what was safe is not sent twice, and what was not is little. TIDEWAY_KILLS is the number of kills of each of the three chains.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
there=$work/wisconsin/data
kills=${TIDEWAY_KILLS:-4}

# A large object, a sparse one, and many small ones: 110 MB.
tree=$work/tree
mkdir -p "$tree/small/deep"
head -c 100000000 /dev/urandom > "$tree/big"
truncate -s 80M "$tree/sparse"
printf x | dd of="$tree/sparse" bs=1 seek=50000000 conv=notrunc status=none
for i in $(seq 300); do head -c $((i * 97)) /dev/urandom > "$tree/small/$i"; done
: > "$tree/small/deep/empty"
ln -s ../big "$tree/small/link"
chmod 0400 "$tree/small/7"
total=$(find "$tree" -type f -printf '%s\n' | awk '{ sum += $1 } END { print sum }')

# start NAME ARGUMENTS...: a copy in the background; its number is in $copying.
start() {
  local name=$1
  shift
  "$bin/tideway" --config "$work/atlanta.toml" copy --json "$@" > "$work/$name.json" 2> "$work/$name.log" &
  copying=$!
  running+=("$copying")
}
# wait_for NAME FIELD: until the copy has told of bytes in that field.
wait_for() {
  for _ in $(seq 100); do
    grep -q "\"$2\":[1-9]" "$work/$1.json" && return
    kill -0 "$copying" 2>/dev/null || break
    sleep 0.05
  done
  fail "$1 did not get going: $(cat "$work/$1.log")"
}
field() { grep '"type":"summary"' "$work/$1.json" | grep -o "\"$2\":[0-9]*" | cut -d: -f2; }
# finish NAME ARGUMENTS...: the same copy, undisturbed; says how much the last run had to send.
finish() {
  local name=$1
  shift
  "$bin/tideway" --config "$work/atlanta.toml" copy --json -q "$@" > "$work/$name.json" 2> "$work/$name.log" || fail "$name: $(cat "$work/$name.log")"
  [ $(($(field "$name" bytes_sent) + $(field "$name" bytes_held))) -eq "$(field "$name" bytes)" ] || fail "$name sent what it held: $(cat "$work/$name.json")"
  pass
}
# Something is in the ledger below that root.
has_recorded() { [ -n "$(find "$1/.tideway" -mindepth 2 -maxdepth 2 -name ledger -size +127c 2> /dev/null)" ]; }
# kill_at VICTIM ROUND ROOT: after 0.2 to 1.1 s, another time in each round; in the last one once something is recorded.
kill_at() {
  sleep "$(awk -v round="$2" 'BEGIN { printf "%.2f", 0.2 + (round * 37 % 10) / 10 }')"
  [ "$2" -lt "$kills" ] || for _ in $(seq 100); do has_recorded "$3" && break; sleep 0.05; done
  kill -9 "$1" 2> /dev/null || :
  wait "$1" 2> /dev/null || :
}

serve wisconsin "$work/wisconsin.toml"

# ---- a push whose receiving gateway is killed, and that waits for it to come back ----------------------------------------
start gateway-killed --bwlimit 160Mbit "$tree" wisconsin:data/gateway-killed
for round in $(seq "$kills"); do
  kill_at "$gateway" "$round" "$there"
  absent "$there/gateway-killed"
  serve wisconsin "$work/wisconsin.toml"
done
code=0; wait "$copying" || code=$?
[ "$code" -eq 0 ] || fail "the copy did not go on: $(cat "$work/gateway-killed.log")"; pass
same_tree "$tree" "$there/gateway-killed"
[ $(($(field gateway-killed bytes_sent) + $(field gateway-killed bytes_held))) -eq "$(field gateway-killed bytes)" ] || fail "it sent what was held"; pass
[ "$(field gateway-killed bytes_held)" -gt 0 ] || fail "nothing was kept: $(cat "$work/gateway-killed.json")"; pass
tideway verify "$there/gateway-killed" > /dev/null; pass

# The same with a gateway that stays away while the copy waits; and one that is killed together with the copy.
start both-killed --bwlimit 160Mbit "$tree" wisconsin:data/both-killed
kill_at "$gateway" "$kills" "$there"
sleep 0.6
kill -0 "$copying" 2> /dev/null || fail "the copy did not wait: $(cat "$work/both-killed.log")"; pass
kill -9 "$copying"
wait "$copying" 2> /dev/null || :
serve wisconsin "$work/wisconsin.toml"
finish both-killed "$tree" wisconsin:data/both-killed
same_tree "$tree" "$there/both-killed"
[ "$(field both-killed bytes_held)" -gt 0 ] || fail "nothing was kept: $(cat "$work/both-killed.json")"; pass

# ---- a push whose sender is killed ---------------------------------------------------------------------------------
for round in $(seq "$kills"); do
  start client-killed --bwlimit 160Mbit "$tree" wisconsin:data/client-killed
  kill_at "$copying" "$round" "$there"
  absent "$there/client-killed"
done
finish client-killed "$tree" wisconsin:data/client-killed
same_tree "$tree" "$there/client-killed"
[ "$(field client-killed bytes_held)" -gt 0 ] || fail "nothing was kept: $(cat "$work/client-killed.json")"; pass

# ---- a pull: the sink is the program that is killed, or loses its source -----------------------------------------------
cp -a "$tree" "$there/source"
for round in $(seq "$kills"); do
  start pulled --bwlimit 160Mbit wisconsin:data/source "$work/pulled"
  if [ $((round % 2)) -eq 0 ]; then
    kill_at "$gateway" "$round" "$work"
    serve wisconsin "$work/wisconsin.toml"
    sleep 0.4
    kill -9 "$copying"
    wait "$copying" 2> /dev/null || :  # while it ends its staging is still in use
  else
    kill_at "$copying" "$round" "$work"
  fi
  absent "$work/pulled"
done
finish pulled wisconsin:data/source "$work/pulled"
same_tree "$tree" "$work/pulled"
[ "$(field pulled bytes_held)" -gt 0 ] || fail "nothing was kept: $(cat "$work/pulled.json")"; pass
[ ! -e "$work/.tideway" ] || [ -z "$(find "$work/.tideway" -mindepth 1 -maxdepth 1 ! -name manifests)" ] || fail "staging was left at the destination"; pass

# ---- what a kill of both costs: 256 MiB at most, where a second of the rate is less -------------------------------------------
head -c 900000000 /dev/urandom > "$work/large"
told() { grep -o '"bytes_done":[0-9]*' "$work/large.json" | tail -n 1 | cut -d: -f2; }
start large --bwlimit 800Mbit "$work/large" wisconsin:data/large
for _ in $(seq 600); do [ "$(told || :)" -gt 600000000 ] 2> /dev/null && break; sleep 0.05; done
kill -9 "$gateway" "$copying"
wait "$gateway" "$copying" 2> /dev/null || :
before=$(told)
[ "$before" -gt 600000000 ] || fail "it did not get so far: $before"; pass
serve wisconsin "$work/wisconsin.toml"
finish large "$work/large" wisconsin:data/large
[ $(($(field large bytes_held) + (256 << 20))) -ge "$before" ] || fail "of $before bytes only $(field large bytes_held) were kept"; pass
cmp "$work/large" "$there/large" || fail "other bytes"; pass
rm "$work/large" "$there/large"

# ---- what was interrupted in order is kept as well -----------------------------------------------------------------------
half_way() {  # NAME: a push that is interrupted with something to show for it
  start "$1" --bwlimit 160Mbit "$tree" "wisconsin:data/$1"
  wait_for "$1" bytes_done
  [ -z "${2:-}" ] || "$2"
  kill -TERM "$copying"
  wait "$copying" || :
  said wisconsin "transfer_failed push data/$1 code=cancelled"  # and what had arrived is recorded when the next transfer is served
  tideway ls wisconsin:data > /dev/null
  has_recorded "$there" || fail "$1 left nothing in staging"
}
in_staging() { find "$there/.tideway" -mindepth 1 -maxdepth 1 ! -name manifests 2> /dev/null || :; }

busy() { refuses 10 dest_busy "same transfer" tideway copy -q "$tree" wisconsin:data/busy; }
half_way busy busy
finish busy "$tree" wisconsin:data/busy
same_tree "$tree" "$there/busy"

# A ledger that is damaged counts up to the damage.
half_way damaged
ledger=$(echo "$(in_staging)"/ledger)
size=$(stat -c %s "$ledger")
printf '\377' | dd of="$ledger" bs=1 seek=$((size - 30)) conv=notrunc status=none
finish damaged "$tree" wisconsin:data/damaged
same_tree "$tree" "$there/damaged"
said wisconsin ledger_cut

# A source that changed is sent anew, also when its size and times pretend otherwise.
half_way changed
cp -p "$tree/big" "$work/before"
printf 'changed' | dd of="$tree/big" bs=1 seek=1000 conv=notrunc status=none
touch -r "$work/before" "$tree/big"
finish changed "$tree" wisconsin:data/changed
same_tree "$tree" "$there/changed"

# One that was added moves all that follow it.
half_way added
echo new > "$tree/a-new-one"
finish added "$tree" wisconsin:data/added
same_tree "$tree" "$there/added"

[ -z "$(in_staging)" ] || fail "staging was left behind: $(in_staging)"; pass
