#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# P07: the kernel kills a gateway, and then a source, for want of memory, in the middle of a copy. Nothing is visible then, and the copy goes
# on from what was on the disk.
source "$(dirname "$0")/lib.sh"
group=/sys/fs/cgroup/memory/tideway-test-$$ limit=memory.limit_in_bytes used=memory.usage_in_bytes events=memory.oom_control
if [ ! -d /sys/fs/cgroup/memory ]; then
  group=/sys/fs/cgroup/tideway-test-$$ limit=memory.max used=memory.current events=memory.events
fi
mkdir "$group" 2> /dev/null && [ -e "$group/$limit" ] || { rmdir "$group" 2> /dev/null || :; echo "SKIP: needs root and a memory cgroup"; exit 77; }
leave() {
  cleanup
  for _ in $(seq 100); do rmdir "$group" 2> /dev/null && return; sleep 0.05; done  # the last of it has to be gone
}
trap leave EXIT
confined=(bash -c 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"' confined "$group")

# starve PROCESS: another one in its group takes all that is left and more, and the kernel, which has to kill one of them, takes the process.
starve() {
  local kills code=0
  kills=$(awk '$1 == "oom_kill" { print $2 }' "$group/$events")
  echo 1000 > "/proc/$1/oom_score_adj"
  echo $(($(cat "$group/$used") + (16 << 20))) > "$group/$limit"
  { head -c 200M /dev/zero | "${confined[@]}" tail > /dev/null || :; } 2> /dev/null
  { wait "$1" || code=$?; } 2> /dev/null
  [ "$code" -eq 137 ] || fail "it ended with $code"; pass
  [ "$(awk '$1 == "oom_kill" { print $2 }' "$group/$events")" -gt "$kills" ] || fail "it was not the kernel that killed it: $(cat "$group/$events")"; pass
  echo -1 > "$group/$limit" 2> /dev/null || echo max > "$group/$limit"
}

make_sites 127.0.0.1 127.0.0.1
there=$work/wisconsin/data
head -c 60000000 /dev/urandom > "$work/file"
# starts NAME [PREFIX...]: a copy that takes about 6 s; some of it has arrived, and is on the disk, before this returns.
starts() {
  local name=$1
  shift
  "$@" "$bin/tideway" --config "$work/atlanta.toml" copy --json --bwlimit 80Mbit "$work/file" "wisconsin:data/$name" > "$work/$name.json" 2> "$work/$name.log" &
  copying=$!
  running+=("$copying")
  for _ in $(seq 600); do
    [ "$(find "$there/.tideway" -name ledger -size +127c 2> /dev/null | wc -l)" -gt 0 ] && return
    kill -0 "$copying" 2> /dev/null || break
    sleep 0.05
  done
  fail "the copy did not get going: $(cat "$work/$name.log")"
}

serve wisconsin "$work/wisconsin.toml" "${confined[@]}"
starts sink
starve "$gateway"
absent "$there/sink"
serve wisconsin "$work/wisconsin.toml"
wait "$copying" || fail "the copy did not go on with the next gateway: $(cat "$work/sink.log")"
cmp "$work/file" "$there/sink"; pass

starts source "${confined[@]}"
starve "$copying"
absent "$there/source"
tideway copy --json "$work/file" wisconsin:data/source > "$work/again.json" 2> "$work/again.log" || fail "the same command did not go on: $(cat "$work/again.log")"
cmp "$work/file" "$there/source"; pass
grep -q '"bytes_held":[1-9]' "$work/again.json" || fail "nothing was kept: $(tail -n 1 "$work/again.json")"; pass
kill "$gateway" && wait "$gateway" || fail "the gateway did not end well"
