#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A gateway that is told of a training burst stops what it sends, lets a trickle through, and is back at its rate when the
# burst is over: by beacon, by `phase run`, and by itself when nobody says the end. A forged beacon does nothing.
source "$(dirname "$0")/lib.sh"
make_testbed_sites
head -c 150000000 /dev/urandom > "$work/wisconsin/data/file"
openssl rand -hex 32 > "$work/beacon.key"
openssl rand -hex 32 > "$work/other.key"
chmod 640 "$work"/*.key
cat >> "$work/wisconsin.toml" <<TOML
[[link]]
peer = "atlanta"
[phase]
listen = "10.77.0.2:7399"
key_file = "$work/beacon.key"
board = "$work/phase.board"
[[training]]
name = "llm7"
peers = ["atlanta"]
TOML

phase() { bed exec b env "TIDEWAY_BEACON_KEY_FILE=${key:-$work/beacon.key}" "$bin/tideway" phase "$@"; }
sent() { bed exec b cat /sys/class/net/wan0/statistics/tx_bytes; }
# sent_in SECONDS: what the gateway's interface sent.
sent_in() {
  local before
  before=$(sent)
  read -rt "$1" <> <(:) || :
  echo $(($(sent) - before))
}
# Half a second in which more than half of $open is sent; a machine that stands still for a moment has two more. Says the best.
goes_on() {
  local best=0 now
  for _ in 1 2 3; do
    now=$(sent_in 0.5)
    [ "$now" -le "$best" ] || best=$now
    [ "$best" -le $((open / 2)) ] || break
  done
  echo "$best"
}

bed up --rate 100Mbit --delay 10ms > /dev/null
serve wisconsin "$work/wisconsin.toml" "$repo/scripts/testbed.sh" exec b
bed exec a "$bin/tideway" --config "$work/atlanta.toml" copy -q --compress off wisconsin:data/file "$work/back" &
copy=$!
read -rt 2 <> <(:) || :
open=$(sent_in 0.5)
[ "$open" -gt 2000000 ] || fail "the copy does not fill the link: $open bytes in half a second"; pass

phase begin --training llm7 --beacon 10.77.0.2 --ttl 60s
read -rt 0.1 <> <(:) || :
closed=$(sent_in 0.5)
[ "$closed" -lt $((open / 50)) ] || fail "a closed gate lets $closed bytes pass, an open one $open"; pass
[ "$closed" -gt 0 ] || fail "a closed gate keeps no path alive"; pass
phase end --training llm7 --beacon 10.77.0.2
read -rt 0.1 <> <(:) || :
again=$(goes_on)
[ "$again" -gt $((open / 2)) ] || fail "the rate is not back: $again bytes instead of $open"; pass

phase run --training llm7 --beacon 10.77.0.2:7399 -- sh -c 'read -rt 0.6 <> /dev/null; exit 7' && fail "the command's exit code is lost" || [ $? -eq 7 ]; pass
key=$work/other.key phase begin --training llm7 --beacon 10.77.0.2 --ttl 60s
forged=$(goes_on)
[ "$forged" -gt $((open / 2)) ] || fail "a forged beacon holds the copy: $forged bytes instead of $open"; pass

phase begin --training llm7 --beacon 10.77.0.2 --ttl 300ms
read -rt 0.4 <> <(:) || :
forgotten=$(goes_on)
[ "$forgotten" -gt $((open / 2)) ] || fail "a forgotten end holds the copy: $forgotten bytes instead of $open"; pass
wait "$copy" || fail "the copy failed"
cmp "$work/wisconsin/data/file" "$work/back"; pass
