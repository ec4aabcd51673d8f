#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# N18, N19: floods of connections that never become a session. One source takes nothing from others; many sources hold up
# newcomers for as long as they last, and never a copy that runs. The log stays short, and memory flat.
source "$(dirname "$0")/lib.sh"
command -v python3 > /dev/null || { echo "SKIP: needs python3"; exit 77; }
make_sites 127.0.0.1 127.0.0.1
serve wisconsin "$work/wisconsin.toml"
"$bin/tideway" pki init --out "$work/other-ca" --trust-domain example.org > /dev/null
"$bin/tideway" pki issue --ca "$work/other-ca" --site atlanta --gateway gw1 --out "$work/stranger" > /dev/null
head -c 10000000 /dev/urandom > "$work/file"
flood() {  # SECONDS SOURCES
  python3 "$repo/tests/e2e/flood.py" "$control_port" "$1" "$2" "$work/stranger/gateway.crt" "$work/stranger/gateway.key" > "$work/made" &
  flooding=$!
  running+=("$flooding")
}
resident() { awk '/^VmRSS/ {print $2}' "/proc/$gateway/status"; }
tideway copy -q "$work/file" wisconsin:data/before
before=$(resident)

# From one source: newcomers get in while it lasts.
flood 60 1
sleep 1
for i in 1 2 3; do tideway copy -q "$work/file" "wisconsin:data/one$i"; cmp "$work/file" "$work/wisconsin/data/one$i"; pass; done
kill "$flooding" || fail "the flood was over before the copies"
wait "$flooding" 2> /dev/null || :

# From 40 sources, more than there is room for: the copy that runs goes on.
tideway copy --json --compress off --bwlimit 16Mbit "$work/file" wisconsin:data/many > "$work/many.json" &
copying=$!
running+=("$copying")
for _ in $(seq 100); do grep -q '"bytes_done":[1-9]' "$work/many.json" && break; sleep 0.1; done
flood 6 40
wait "$copying" || fail "the flood ended a copy"; pass
cmp "$work/file" "$work/wisconsin/data/many"; pass
wait "$flooding"
[ "$(cat "$work/made")" -ge 1280 ] || fail "only $(cat "$work/made") connections were made"; pass
grown=$(($(resident) - before))
[ "$grown" -le 65536 ] || fail "memory grew by $grown KiB"; pass

# Both floods took some 10 s, with four causes: one line a second each, in both logs.
for log in "$work/wisconsin.log" "$work/wisconsin/state/audit.jsonl"; do
  lines=$(grep -c session_refused "$log")
  [ "$lines" -ge 4 ] && [ "$lines" -le 100 ] || fail "$lines lines about refused sessions in $log"; pass
  grep -q and_others "$log" || fail "no count of the others in $log"; pass
done
grep -q 'code=auth_failed why=".*cert_untrusted' "$work/wisconsin.log" || fail "the strangers' certificate is not named"; pass
grep -q 'code=overloaded' "$work/wisconsin.log" || fail "the limit is not named"; pass

# Newcomers are back when the strangers' 10 s are over.
for _ in $(seq 12); do tideway copy -q "$work/file" wisconsin:data/after 2> /dev/null && break; sleep 1; done
cmp "$work/file" "$work/wisconsin/data/after"; pass
