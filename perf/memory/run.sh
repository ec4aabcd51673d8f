#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# How much memory a copy of many small files takes at either end: perf/memory/run.sh [ENTRIES...]   (default 10000 1000000)
#
# Pushes a tree of that many files of one byte over loopback, on tmpfs, lists it, and prints the largest resident size of
# both ends beside the configured budget ([engine] memory, the default of 1 GiB).
set -Eeuo pipefail
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${TIDEWAY_BIN:-$repo/build/release/bin}
[ -x "$bin/tideway" ] || { echo "memory: $bin/tideway is not built: cmake --build --preset release --target programs" >&2; exit 1; }
work=$(mktemp -d /dev/shm/tideway-memory-XXXXXX)
running=()
finish() {
  for pid in "${running[@]}"; do kill "$pid" 2> /dev/null && wait "$pid" 2> /dev/null || :; done
  rm -rf "$work"
}
trap finish EXIT

"$bin/tideway" pki init --out "$work/ca" --trust-domain perf.example > /dev/null
for site in atlanta wisconsin; do
  "$bin/tideway" pki issue --ca "$work/ca" --site "$site" --gateway gw1 --out "$work/$site" > /dev/null
  mkdir -p "$work/$site/state" "$work/$site/data"
  cat > "$work/$site.toml" <<TOML
[site]
name = "$site"
gateway = "gw1"
trust_domain = "perf.example"
state_dir = "$work/$site/state"
[tls]
ca = "$work/$site/ca.crt"
cert = "$work/$site/gateway.crt"
key = "$work/$site/gateway.key"
[listen]
control = "127.0.0.1:17400"
[data_plane]
address = "127.0.0.1:17401"
[[root]]
name = "data"
path = "$work/$site/data"
[[grant]]
peer = "spiffe://perf.example/site/atlanta/gw/*"
root = "data"
ops = ["read", "list", "write"]
[[peer]]
name = "wisconsin"
control = "127.0.0.1:17400"
TOML
done

peak_mib() { awk '/^VmHWM/ {printf "%d", $2 / 1024}' "/proc/$1/status"; }

printf '%10s %9s %16s %16s %16s\n' entries seconds 'source MiB' 'gateway MiB' 'list MiB'
for entries in "${@:-10000 1000000}"; do
  for n in $entries; do
    "$bin/tidewayd" --config "$work/wisconsin.toml" > "$work/ready" 2> "$work/log" &
    gateway=$!
    running=("$gateway")
    for _ in $(seq 100); do grep -q '^ready' "$work/ready" && break; sleep 0.1; done
    python3 - "$work/tree" "$n" <<'PY'
import os, sys
root, count = sys.argv[1], int(sys.argv[2])
for i in range(count):
    folder = f"{root}/{i // 1000:05d}"
    if i % 1000 == 0: os.makedirs(folder)
    with open(f"{folder}/{i % 1000:03d}", "wb") as file: file.write(b"x")
PY
    from=$(date +%s.%N)
    /usr/bin/env python3 - "$work/source" "$bin/tideway" --config "$work/atlanta.toml" copy -q "$work/tree" "wisconsin:data/tree" <<'PY'
import os, sys
pid = os.fork()
if pid == 0: os.execv(sys.argv[2], sys.argv[2:])
_, status, usage = os.wait4(pid, 0)
open(sys.argv[1], "w").write(str(usage.ru_maxrss // 1024))
sys.exit(os.waitstatus_to_exitcode(status))
PY
    to=$(date +%s.%N)
    copied=$(peak_mib "$gateway")
    echo 5 > "/proc/$gateway/clear_refs" 2> /dev/null || :  # the peak starts again
    "$bin/tideway" --config "$work/atlanta.toml" ls wisconsin:data/tree > /dev/null
    listed=$(peak_mib "$gateway")
    printf '%10s %9.1f %16s %16s %16s\n' "$n" "$(echo "$to $from" | awk '{print $1 - $2}')" "$(cat "$work/source")" "$copied" "$listed"
    kill "$gateway" && wait "$gateway" 2> /dev/null || :
    rm -rf "$work/tree" "$work/wisconsin/data"
    mkdir "$work/wisconsin/data"
  done
done
