#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a queue of many jobs does to a gateway: perf/queue/run.sh [--quick | JOBS...]   (default 1000 100000)
#
# Writes that many jobs, every tenth with a deadline, into the store of a gateway whose link is paused, starts it, and prints how long
# it takes to answer and to plan. The limits are 50 ms for an answer and 500 ms for a plan, with 100,000 jobs.
[ "${1:-}" != --help ] || { sed -n '4,8s/^#\( \|$\)//p' "${BASH_SOURCE[0]}"; exit; }
export TMPDIR=/dev/shm
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/e2e/lib.sh"
make_sites 127.0.0.1 127.0.0.1
socket=$work/api.sock
export TIDEWAY_API=$socket
# Nothing is sent today and tomorrow, and all day after that.
day=$(date -u +%w)
names=(Sun Mon Tue Wed Thu Fri Sat)
awk -v api="$socket" '/^control = / && !done++ { print; printf "api = \"%s\"\n", api; next } { print }' "$work/atlanta.toml" > "$work/moved.toml"
printf '[[link]]\npeer = "wisconsin"\ncapacity = "100Gbit"\ntimetable = "%s-00:00,pause %s-00:00,off"\n' "${names[day]}" "${names[(day + 2) % 7]}" |
  cat "$work/moved.toml" - > "$work/atlanta.toml"
echo x > "$work/atlanta/data/one"

[ $# -gt 0 ] || set -- 1000 100000
[ "$1" != --quick ] || set -- 10000
printf '| jobs | request | median ms | p99 ms | longest ms |\n|---|---|---|---|---|\n'
for jobs in "$@"; do
  rm -rf "$work/atlanta/state" && mkdir "$work/atlanta/state"
  serve atlanta "$work/atlanta.toml"
  tideway submit "$work/atlanta/data/one" wisconsin:data/one > /dev/null
  kill "$gateway" && wait "$gateway" || :
  python3 "$repo/perf/queue/fill.py" "$work/atlanta/state/jobs.sqlite" "$jobs"
  serve atlanta "$work/atlanta.toml"
  python3 "$repo/perf/queue/ask.py" "$socket" "$jobs"
  kill "$gateway" && wait "$gateway" || :
done
