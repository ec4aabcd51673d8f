#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# C01, N24: the clocks on the walls of two sites are an hour apart, and one of them jumps while a copy and a job run: neither notices. One that is
# ten years ahead lets nobody in, says that it may be the clock, and does so no longer once it is right.
source "$(dirname "$0")/lib.sh"
command -v cc > /dev/null && command -v python3 > /dev/null || { echo "SKIP: needs a C compiler and python3"; exit 77; }
cc -shared -fPIC -O1 -o "$work/clock_at.so" "$repo/tests/e2e/clock_at.c" -ldl
hour=3600 years=$((10 * 366 * 86400))

# ahead SECONDS FILE: from now on, of whoever runs by that clock.
ahead() { python3 -c 'import os, struct, sys
file = os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
os.pwrite(file, struct.pack("q", int(sys.argv[1])), 0)' "$@"; }
by_clock() { env LD_PRELOAD="$work/clock_at.so" TIDEWAY_CLOCK="$1" "${@:2}"; }

# Certificates that are two hours old are valid by all three.
ahead $((-2 * hour)) "$work/then"
LD_PRELOAD=$work/clock_at.so TIDEWAY_CLOCK=$work/then make_sites 127.0.0.1 127.0.0.1
there=$work/wisconsin/data
socket=$work/api.sock
move_atlanta "api=$socket"
head -c 8000000 /dev/urandom > "$work/file"
touch -d '2020-02-02 02:02:02.123456789 UTC' "$work/file"
mkdir -p "$work/atlanta/data" && cp -p "$work/file" "$work/atlanta/data/file"

ahead "$hour" "$work/clock"
serve wisconsin "$work/wisconsin.toml" env LD_PRELOAD="$work/clock_at.so" TIDEWAY_CLOCK="$work/clock"
wisconsin=$gateway
serve atlanta "$work/atlanta.toml"
python3 - "$work/wisconsin/state/audit.jsonl" <<'PY' || fail "the clock of wisconsin is not an hour ahead"; pass
import datetime, json, sys, time
for _ in range(100):
    lines = open(sys.argv[1]).read().split("\n")[:-1]  # the last one may be under way
    if lines: break
    time.sleep(0.1)
told = datetime.datetime.fromisoformat(json.loads(lines[-1])["time"].replace("Z", "+00:00")).timestamp()
sys.exit(not 3000 < told - time.time() < 4200)
PY

# goes_on NAME: the copy, which is sending, has said twice more how far it is.
goes_on() {
  local before now
  before=$(grep -c '"bytes_total":[1-9]' "$work/$1.json" || :)
  for _ in $(seq 300); do
    now=$(grep -c '"bytes_total":[1-9]' "$work/$1.json" || :)
    [ "$now" -lt $((before + 2)) ] || { pass; return; }
    kill -0 "$copying" 2> /dev/null || break
    sleep 0.1
  done
  fail "the copy stands still: $(tail -n 2 "$work/$1.json" "$work/$1.log")"
}
tideway copy --direct --json --compress off --bwlimit 4Mbit "$work/file" wisconsin:data/copied > "$work/copied.json" 2> "$work/copied.log" &
copying=$!
running+=("$copying")
job=$(TIDEWAY_API=$socket tideway submit --bwlimit 8Mbit "$work/atlanta/data/file" wisconsin:data/job)
goes_on copied
for jump in $((-hour)) 0 "$hour"; do
  ahead "$jump" "$work/clock"
  goes_on copied
done
wait "$copying" || fail "a copy did not survive that a clock jumped: $(cat "$work/copied.log")"
TIDEWAY_API=$socket tideway jobs watch -q "$job" || fail "a job did not survive that a clock jumped: $(TIDEWAY_API=$socket tideway jobs show "$job")"
for name in copied job; do
  cmp "$work/file" "$there/$name"; pass
  [ "$(stat -c %y "$work/file")" = "$(stat -c %y "$there/$name")" ] || fail "$name has another time than its source"; pass
done
"$bin/tideway" verify -q "$there/copied"; pass

# Ten years on every certificate has ended, whoever looks.
ahead "$years" "$work/clock"
refuses 5 auth_failed "refused our certificate" tideway copy --direct -q "$work/file" wisconsin:data/late
said wisconsin cert_expired
ahead "$years" "$work/far"
refuses 5 auth_failed "check the clocks of both gateways" by_clock "$work/far" "$bin/tideway" --config "$work/atlanta.toml" copy --direct -q "$work/file" wisconsin:data/late
absent "$there/late"
ahead 0 "$work/clock"
tideway copy --direct -q "$work/file" wisconsin:data/late && cmp "$work/file" "$there/late"; pass
kill "$wisconsin" && wait "$wisconsin" 2> /dev/null || fail "the gateway did not end well"; pass
