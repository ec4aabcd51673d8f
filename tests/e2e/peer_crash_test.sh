#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A peer that crashes whenever a job runs: the first times the job goes on as soon as it is back; from the fourth on it takes its growing
# pauses, because it may be what the peer crashes on.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
export TIDEWAY_API=$work/api.sock
move_atlanta "api=$TIDEWAY_API"
mkdir "$work/atlanta/data/tree"
head -c 8000000 /dev/urandom > "$work/atlanta/data/tree/file"

# Sends at last, or again.
sends() {
  for _ in $(seq 200); do
    tideway jobs show --json "$job" | grep -q '"stage":"send"' && return
    sleep 0.05
  done
  fail "the job does not go on: $(tideway jobs show "$job")"
}

serve atlanta "$work/atlanta.toml"
serve wisconsin "$work/wisconsin.toml"
job=$(tideway submit --bwlimit 100kbit "$work/atlanta/data/tree" wisconsin:data/there)  # nothing of it is ever complete
for _ in 1 2 3 4; do
  sends
  kill -9 "$gateway"
  gone=$(date +%s%N)
  for _ in $(seq 200); do tideway jobs show --json "$job" | grep -q '"stage":"send"' || break; sleep 0.05; done  # it knows of the crash
  serve wisconsin "$work/wisconsin.toml"
  back=$(date +%s%N)
done
sends
restarted=$(((back - gone) / 1000000)) paused=$((($(date +%s%N) - back) / 1000000))
# The fourth pause is 3 s or more, and began when the peer went; a job for which its return is enough goes on within a second of that. Where the
# restart took most of the pause, the two look alike.
[ "$restarted" -gt 1800 ] || [ "$paused" -ge $((2900 - restarted)) ] || fail "the job went on $paused ms after the peer was back, to crash it again"; pass
grep -q peer_is_back "$work/atlanta.log" || fail "nobody looked whether the peer was back"; pass
