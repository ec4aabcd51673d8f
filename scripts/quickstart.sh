#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# From a fresh machine to a first copy: installs what it needs, builds, starts two gateways on loopback (sites atlanta and
# wisconsin, config/local-pair/), copies a real tree and a generated checkpoint from one to the other and back, compares,
# verifies, and prints a report. Asks nothing, may be run again; writes below build/ only and ends what it started.
#
#   TIDEWAY_CHECKPOINT_MIB=4096 ./scripts/quickstart.sh     a larger checkpoint (default 1024)
#   TIDEWAY_TREE=/usr/include ./scripts/quickstart.sh       another tree (default /usr/share/doc)
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

checkpoint_mib=${TIDEWAY_CHECKPOINT_MIB:-1024}
tree=${TIDEWAY_TREE:-/usr/share/doc}
bin=build/release/bin
pair=build/local-pair
from=build/quickstart
log=$from/quickstart.log
gateways=()

finish() {
  local code=$?
  for pid in "${gateways[@]}"; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
  rm -rf "$pair"/{atlanta,wisconsin}/data/* "$from/back" "$from/step-9000"  # the folders stay, for those who go on by hand
  [ "$code" -eq 0 ] || { tail -n 20 "$log" >&2; echo "FAIL quickstart, see $log"; }
}
trap finish EXIT
say() { printf '%s\n' "$*"; }

rm -rf "$pair" "$from"
mkdir -p "$from/back"

say "1. packages and build"
scripts/install_deps.sh build > "$log" 2>&1
cmake --preset release >> "$log" 2>&1
cmake --build --preset release --target programs >> "$log" 2>&1

say "2. two sites: certificates, roots, gateways"
"$bin/tideway" pki init --out "$pair/ca" --trust-domain example.org >> "$log"
for site in atlanta wisconsin; do
  "$bin/tideway" pki issue --ca "$pair/ca" --site "$site" --gateway gw1 --out "$pair/$site" >> "$log"
  mkdir -p "$pair/$site/state" "$pair/$site/data"
  "$bin/tidewayd" --config "config/local-pair/$site.toml" > "$from/$site.ready" 2> "$from/$site.log" &
  gateways+=($!)
done
for site in atlanta wisconsin; do
  for _ in $(seq 100); do [ -s "$from/$site.ready" ] && break; sleep 0.1; done
  [ -s "$from/$site.ready" ] || { cat "$from/$site.log" >> "$log"; exit 1; }
  say "   $(cat "$from/$site.ready")"
done

say "3. a checkpoint of $checkpoint_mib MiB: 8 shards of random weights, and metadata that compresses"
mkdir -p "$from/step-9000/optim"
shard=$((checkpoint_mib * 1024 * 1024 / 8))
for rank in 0 1 2 3 4 5 6 7; do head -c "$shard" /dev/urandom > "$from/step-9000/optim/rank_$rank.pt"; done
seq 1 400000 > "$from/step-9000/metadata.json"
ln -s optim/rank_0.pt "$from/step-9000/latest"

# copy NAME SRC DST: runs it from atlanta, shows its summary, keeps the figures for the report.
report=()
copy() {
  local name=$1 code=0
  "$bin/tideway" --config config/local-pair/atlanta.toml copy -P --json "$2" "$3" 2>&1 > "$from/$name.json" |
    tee -a "$log" | grep -v '^tideway: skipped' | sed 's/^/   /' || code=${PIPESTATUS[0]}
  [ "$code" -eq 0 ] || [ "$code" -eq 12 ] || { cat "$from/$name.json" >> "$log"; return "$code"; }  # 12: links out of the tree were left out
  report+=("$(python3 - "$name" "$from/$name.json" <<'PY'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
s = next(line for line in lines if line["type"] == "summary")
gbit = s["bytes"] * 8 / s["seconds"] / 1e9
print(f'{sys.argv[1]:<22}{s["entries"]:>8}{s["bytes"] / 2**20:>11.1f}{s["seconds"]:>9.2f}{gbit:>9.2f}{s["ratio"]:>8.2f}'
      f'{s["loss"] * 100:>8.2f}{s["skipped"]:>9}  {s["root"]}')
PY
)")
}

say "4. $tree and the checkpoint: to wisconsin, and back"
copy tree-push "$tree" wisconsin:data/doc
copy tree-pull wisconsin:data/doc "$from/back/doc"
copy checkpoint-push "$from/step-9000" wisconsin:data/step-9000
copy checkpoint-pull wisconsin:data/step-9000 "$from/back/step-9000"

say "5. compare and verify"
# same A B: the same files, links and bytes, but for our manifest and for the links that lead out of the tree.
same() {
  diff --recursive --no-dereference --exclude=.tideway-manifest "$1" "$2" > "$from/diff" 2>&1 && return
  grep -v '^Only in' "$from/diff" >> "$log" && return 1
  sed -n 's/^Only in \(.*\): \(.*\)$/\1\/\2/p' "$from/diff" | while read -r path; do
    [ -L "$path" ] || { echo "missing: $path" >> "$log"; return 1; }
  done
}
same "$tree" "$from/back/doc"
same "$from/step-9000" "$from/back/step-9000"
"$bin/tideway" verify "$pair/wisconsin/data/doc" 2>> "$log"
"$bin/tideway" verify "$pair/wisconsin/data/step-9000" 2>> "$log"
say "   every file that came back is the same as its source, byte for byte"

say
printf '%-22s%8s%11s%9s%9s%8s%8s%9s  %s\n' copy entries MiB seconds Gbit/s ratio 'loss %' skipped root
printf '%s\n' "${report[@]}"
say
say "The sources stay where they were; the copies are removed again. To go on by hand: config/local-pair/atlanta.toml"
echo "PASS quickstart in $SECONDS s"
