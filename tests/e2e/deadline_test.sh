#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Deadlines: what fits is taken and done first, what does not is refused with what would; rates of classes change under way, and a timetable stops
# jobs and lets them go on.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
socket=$work/api.sock
move_atlanta "api=$socket"
printf '[[link]]\npeer = "wisconsin"\ncapacity = "160Mbit"\n' >> "$work/atlanta.toml"
export TIDEWAY_API=$socket
here=$work/atlanta/data
there=$work/wisconsin/data
head -c 5000000 /dev/urandom > "$here/small"     # a quarter of a second
head -c 100000000 /dev/urandom > "$here/large"   # five, and more with the slack
serve wisconsin "$work/wisconsin.toml"
serve atlanta "$work/atlanta.toml"
shows() { tideway jobs show "$1" | grep -q "$2" || fail "job $1 shows no \"$2\": $(tideway jobs show "$1")"; pass; }
# shows_soon JOB TEXT: within ten seconds.
shows_soon() {
  for _ in $(seq 100); do tideway jobs show "$1" | grep -q "$2" && { pass; return; }; sleep 0.1; done
  fail "job $1 does not get \"$2\": $(tideway jobs show "$1")"
}

# ---- the answer ------------------------------------------------------------------------------------------------------
tideway submit --dry-run --deadline 1m "$here/large" wisconsin:data/large > "$work/fits" || fail "a minute is enough: $(cat "$work/fits")"
grep -q "^answer  *fits$" "$work/fits" && grep -q "^confidence  *high$" "$work/fits" || fail "no answer: $(cat "$work/fits")"; pass
code=0; tideway submit --dry-run --json --deadline 2s "$here/large" wisconsin:data/large > "$work/late" || code=$?
[ "$code" -eq 11 ] && grep -q '"feasible":false' "$work/late" && grep -q '"reason":"leftover"' "$work/late" || fail "exit code $code: $(cat "$work/late")"; pass
refuses 11 deadline "can be met" tideway submit --deadline 2s "$here/large" wisconsin:data/large
refuses 2 usage "no time" tideway submit --deadline soon "$here/large" wisconsin:data/large
ask POST /v1/jobs '{"sources":["wisconsin:data/large"],"destination":"data:back","deadline":"2099-01-01T00:00:00Z","bytes":5}' > "$work/pull"
grep -q '^400 .*"code":"unsupported".*not for this gateway' "$work/pull" || fail "a promise for a peer: $(cat "$work/pull")"; pass
refuses 2 usage "more often" tideway submit --every 30m --rpo 30m "$here/small" wisconsin:data/every
# A minute is left of each half hour, in which the link carries 1.2 GB at most.
truncate -s 1500000000 "$here/holes"
tideway submit --dry-run --every 30m --rpo 31m "$here/large" wisconsin:data/every > "$work/rpo" || fail "a minute is enough: $(cat "$work/rpo")"
refuses 11 deadline "can be met" tideway submit --every 30m --rpo 31m "$here/holes" wisconsin:data/every
tideway submit --dry-run --every 30m --rpo 40m "$here/holes" wisconsin:data/every > "$work/rpo" || fail "ten minutes are enough: $(cat "$work/rpo")"; pass
absent "$there/large"
# A restore goes before it, and nobody knows yet how much that is: it waits for one of three sessions.
restores=()
for i in 1 2 3; do restores+=("$(tideway submit --class restore --bwlimit 1Mbit "$here/small" "wisconsin:data/restore-$i")"); done
restores+=("$(ask POST /v1/jobs '{"sources":["data:small"],"destination":"wisconsin:data/restore-4","class":"restore","weight":2}' | grep -o '"id":"[0-9a-f]*"' | head -n 1 | cut -d '"' -f 4)")
tideway submit --dry-run --deadline 2m "$here/large" wisconsin:data/large > "$work/vague" || fail "two minutes are enough: $(cat "$work/vague")"
grep -q "^confidence  *low$" "$work/vague" || fail "nobody knows what goes before it: $(cat "$work/vague")"; pass
shows_soon "${restores[3]}" "^held by  *planned_later"
# One of each class runs whoever else does.
others=()
for i in 1 2; do others+=("$(tideway submit --class best-effort --bwlimit 1Mbit "$here/large" "wisconsin:data/other-$i")"); done
shows_soon "${others[1]}" "^held by  *lower_class"
for job in "${restores[@]}" "${others[@]}"; do tideway jobs cancel "$job" > /dev/null; done

# ---- a deadline goes first -----------------------------------------------------------------------------------------------
slow=$(tideway submit --class checkpoint "$here/large" wisconsin:data/plain)
due=$(tideway submit --deadline 3s --class best-effort --submission-id once "$here/small" wisconsin:data/due)
shows "$due" "^deadline"
tideway jobs watch -q "$due"
cmp "$here/small" "$there/due"; pass
absent "$there/plain"
# The same submission is the same job, however full the link is by now.
code=0; tideway jobs set "$slow" --deadline 1s > /dev/null 2> "$work/set" || code=$?
[ "$code" -eq 11 ] || fail "a second is not enough for what is left: exit code $code, $(cat "$work/set")"; pass
tideway jobs set "$slow" --deadline 2m --bwlimit 15Mbit > /dev/null  # so that it is there for what follows
shows "$slow" "^deadline"

# ---- live rates ----------------------------------------------------------------------------------------------------------
printf '[class.staging]\nrate = "8Mbit"\n' >> "$work/atlanta.toml"
: > "$work/atlanta.log"
kill -HUP "$gateway"
said atlanta "reloaded certificate="
grep -q needs_restart "$work/atlanta.log" && fail "a rate needs a restart: $(cat "$work/atlanta.log")"; pass
refuses 11 deadline "ceiling" tideway submit --deadline 20s --class staging "$here/large" wisconsin:data/ceiling
sleep 1.2  # planning rests for a second
tideway schedule show > "$work/plan"
grep -q "^class staging .*ceiling 8" "$work/plan" && grep -q "^link wisconsin  capacity 160" "$work/plan" && grep -q "^$slow  running .*deadline" "$work/plan" || fail "the plan: $(cat "$work/plan")"; pass
ask GET /v1/schedule > "$work/plan.json"
grep -q '^200 .*"policy":"deadline"' "$work/plan.json" || fail "the plan: $(cat "$work/plan.json")"; pass
ask GET /metrics > "$work/metrics"
grep -q '^tideway_jobs_at_risk 0$' "$work/metrics" && grep -q '^tideway_deadline_slack_seconds ' "$work/metrics" || fail "no metrics of deadlines: $(grep -E 'risk|slack' "$work/metrics")"; pass
# reload EXPRESSION: of sed, over the gateway's configuration.
reload() {
  sed -i "$1" "$work/atlanta.toml"
  : > "$work/atlanta.log"
  kill -HUP "$gateway"
  said atlanta "reloaded certificate="
}
reload 's/^capacity = .*/&\ntimetable = "00:00,pause"/'
said atlanta "job_paused job=$slow reason=timetable"
shows_soon "$slow" "^held by  *timetable"
late=$(tideway submit "$here/small" wisconsin:data/late)
shows_soon "$late" "^held by  *timetable"
absent "$there/late"
reload 's/^timetable = .*/timetable = "00:00,off"/'
shows_soon "$slow" "^state  *running"
tideway jobs watch -q "$late"
cmp "$here/small" "$there/late"; pass
tideway jobs set "$slow" --bwlimit off > /dev/null
tideway jobs watch -q "$slow"
cmp "$here/large" "$there/plain"; pass
