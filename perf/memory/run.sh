#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# How much memory a copy of many small files takes at either end: perf/memory/run.sh [--quick | ENTRIES...]   (default 10000 1000000)
#
# Pushes a tree of that many files of one byte over loopback, on tmpfs, lists it, and prints the largest resident size of
# both ends beside the configured budget ([engine] memory, the default of 1 GiB).
export TMPDIR=/dev/shm
source "$(dirname "${BASH_SOURCE[0]}")/../../tests/e2e/lib.sh"
make_sites 127.0.0.1 127.0.0.1
sed -i 's/^memory = .*/memory = "1GiB"/' "$work"/*.toml

peak_mib() { awk '/^VmHWM/ {printf "%d", $2 / 1024}' "/proc/$1/status"; }

make_tree() {
  python3 - "$work/tree" "$1" <<'PY'
import os, sys
root, count = sys.argv[1], int(sys.argv[2])
for i in range(count):
    folder = f"{root}/{i // 1000:05d}"
    if i % 1000 == 0: os.makedirs(folder)
    with open(f"{folder}/{i % 1000:03d}", "wb") as file: file.write(b"x")
PY
}

# push: the copy; its largest resident size goes to $work/source.
push() {
  python3 - "$work/source" "$bin/tideway" --config "$work/atlanta.toml" copy -q "$work/tree" wisconsin:data/tree <<'PY'
import os, sys
pid = os.fork()
if pid == 0: os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(pid, 0)
open(sys.argv[1], "w").write(str(usage.ru_maxrss // 1024))
sys.exit(os.waitstatus_to_exitcode(status))
PY
}

[ $# -gt 0 ] || set -- 10000 1000000
[ "$1" != --quick ] || set -- 10000
printf '%10s %9s %16s %16s %16s\n' entries seconds 'source MiB' 'gateway MiB' 'list MiB'
for entries in "$@"; do
  serve wisconsin "$work/wisconsin.toml"
  make_tree "$entries"
  from=$(date +%s%N)
  push
  to=$(date +%s%N)
  copied=$(peak_mib "$gateway")
  echo 5 > "/proc/$gateway/clear_refs" 2> /dev/null || :  # the peak starts again
  tideway ls wisconsin:data/tree > /dev/null
  printf '%10s %9s %16s %16s %16s\n' "$entries" "$(awk "BEGIN {printf \"%.1f\", ($to - $from) / 1e9}")" "$(cat "$work/source")" "$copied" "$(peak_mib "$gateway")"
  kill "$gateway" && wait "$gateway" 2> /dev/null || :
  rm -rf "$work/tree" "$work/wisconsin/data"
  mkdir "$work/wisconsin/data"
done
