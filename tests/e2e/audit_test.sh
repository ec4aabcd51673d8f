#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The audit log of a gateway: it names who did what by which rule, survives rotation and kill -9, and shows what somebody
# changed in it. A full disk stops no copy.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
serve wisconsin "$work/wisconsin.toml"
log=$work/wisconsin/state/audit.jsonl
# has FILE TEXT...: one line holds all of them.
has() {
  local file=$1 found
  shift
  for _ in $(seq 50); do
    found=$(cat "$file" 2> /dev/null || :)
    for text in "$@"; do found=$(grep -F -- "$text" <<< "$found" || :); done
    [ -n "$found" ] && { pass; return; }
    sleep 0.1
  done
  fail "$file has no line with $*: $(tail -n 5 "$file")"
}
stop() { kill "$gateway" && wait "$gateway" 2> /dev/null || fail "the gateway did not end well"; }
atlanta='"peer":"spiffe://example.org/site/atlanta/gw/gw1"'

# Who, what, by which rule, with which outcome.
head -c 3000000 /dev/urandom > "$work/file"
tideway copy --json "$work/file" wisconsin:data/file > "$work/copy.json"
root=$(sed -n 's/.*"root":"\(sha256:[0-9a-f]*\)".*/\1/p' "$work/copy.json")
grep -qF "\"path\":\"file\",\"transfer\"" <(grep -F '"event":"published"' "$log") || fail "the copy ended before it was in the log"; pass
has "$log" '"event":"session_accepted"' "$atlanta" '"certificate":"sha256:'
has "$log" '"event":"grant_allowed"' "$atlanta" '"op":"write","root":"data","path":"file"' wisconsin.toml
has "$log" '"event":"published"' "$atlanta" '"path":"file"' '"bytes":3000000' "\"hash\":\"$root\""
tideway copy -q wisconsin:data/file "$work/back"
has "$log" '"event":"transfer_done"' "$atlanta" '"op":"read"' '"bytes":3000000'
refuses 5 denied "" tideway copy -q "$work/file" "wisconsin:nosuch/a\"b"
has "$log" '"event":"grant_denied"' "$atlanta" '"path":"a\"b","rule":"no grant"'
refuses 6 source_missing "" tideway copy -q wisconsin:data/gone "$work/x"
has "$log" '"event":"transfer_failed"' "$atlanta" '"code":"source_missing"'

# Who replaces something needs a rule for that besides, and both decisions are there.
head -c 3000 /dev/urandom > "$work/newer"
refuses 5 denied "" tideway copy -q --overwrite always "$work/newer" wisconsin:data/file
has "$log" '"event":"grant_denied"' "$atlanta" '"op":"overwrite","root":"data","path":"file","rule":"no grant"'
said wisconsin "grant_denied peer=spiffe://example.org/site/atlanta/gw/gw1 op=overwrite"
cmp "$work/file" "$work/wisconsin/data/file"; pass
sed -i 's/"write"\]/"write", "overwrite"]/' "$work/wisconsin.toml"
kill -HUP "$gateway"
has "$log" '"event":"reloaded"'
tideway copy -q --overwrite always "$work/newer" wisconsin:data/file
has "$log" '"event":"grant_allowed"' "$atlanta" '"op":"overwrite","root":"data","path":"file"' wisconsin.toml
has "$log" '"event":"published"' "$atlanta" '"op":"overwrite","root":"data","path":"file"' '"bytes":3000,'
"$bin/tideway" pki init --out "$work/other-ca" --trust-domain example.org > /dev/null
"$bin/tideway" pki issue --ca "$work/other-ca" --site atlanta --gateway gw1 --out "$work/stranger" > /dev/null
cat "$work/other-ca/ca.crt" "$work/ca/ca.crt" > "$work/stranger/ca.crt"
sed "s#$work/atlanta/#$work/stranger/#" "$work/atlanta.toml" > "$work/stranger.toml"
refuses 5 auth_failed "" "$bin/tideway" --config "$work/stranger.toml" copy -q "$work/file" wisconsin:data/x
has "$log" '"event":"session_refused","peer":"127.0.0.1:' 'cert_untrusted'
if command -v python3 > /dev/null; then
  python3 -c 'import json,sys; [json.loads(line) for line in open(sys.argv[1])]' "$log" || fail "a line is no JSON"; pass
fi

# P16: whoever starts a second one on its state folder by mistake, with the same ports or others, is told who has it, and leaves no mark
# there; the chain is checked below.
sed "s/:$control_port\"/:$((control_port + 7))\"/; s/:$((control_port + 10000))\"/:$((control_port + 10070))\"/" "$work/wisconsin.toml" > "$work/second.toml"
kept() { (cd "$work/wisconsin/state" && stat -c '%n %i' lock audit.jsonl && cat lock); }
before=$(kept)
for config in wisconsin second; do
  refuses 10 state_locked "process $gateway of host" "$bin/tidewayd" --config "$work/$config.toml"
  [ "$(kept)" = "$before" ] || fail "a gateway that was refused changed the other's state"; pass
done

# Rotation, while it runs, and a crash.
mv "$log" "$log.1"
kill -HUP "$gateway"
has "$log" '"event":"reloaded"'
crashed=$gateway
kill -9 "$gateway"
wait "$gateway" 2> /dev/null || :
printf '{"v":1,"seq":99,"ti' >> "$log"
serve wisconsin "$work/wisconsin.toml"
has "$log" '"event":"audit_opened","unfinished_bytes_removed":19'
said wisconsin "state_taken_over from=\"process $crashed of host"
stop
verify() { "$bin/tideway" audit verify "$@"; }
verify "$log.1" "$log" > "$work/out" || fail "the chain is broken: $(cat "$work/out")"; pass
verify "$log" > "$work/out" && grep -q "begins at seq" "$work/out" || fail "no note that it begins later"; pass
end=$(sed -n 's/.* audit_end .*hash=\(sha256:[0-9a-f]*\).*/\1/p' "$work/wisconsin.log" | tail -n 1)
verify --last "$end" "$log.1" "$log" > "$work/out" && grep -qF "last $end" "$work/out" || fail "the gateway told another end: $end"; pass

# What somebody did to it.
changed() { refuses 8 hash_mismatch "$1" verify "${@:2}" "$work/bad"; }
sed '4s/atlanta/denver/' "$log.1" > "$work/bad";  changed "bad:5: the line before it (seq 4) was changed"
sed '3,4d' "$log.1" > "$work/bad";                changed "bad:3: 2 lines before this one are missing, from seq 3 on"
{ sed -n 1,2p "$log.1"; sed -n 4p "$log.1"; sed -n 3p "$log.1"; sed 1,4d "$log.1"; } > "$work/bad"; changed "bad:3: 1 lines before this one are missing"
{ cat "$log.1"; sed -n 2p "$log.1"; } > "$work/bad"; changed "seq 2 stands behind"
head -c -20 "$log.1" > "$work/bad";               changed "is cut off"
whole=$(verify "$log.1" | sed -n 's/.*last \(sha256:[0-9a-f]*\).*/\1/p')
head -n -1 "$log.1" > "$work/bad"
verify "$work/bad" > /dev/null || fail "a chain without its last line is a chain"; pass
changed "not the one that was noted" --last "$whole"
: > "$work/nothing"
refuses 9 nothing_to_do "no line to check" verify "$work/nothing"
for wrong in foo "${end#sha256:}" "${end%?}" "${end}0" "${end%?}g"; do refuses 2 usage "sha256: and 64 hex digits" verify --last "$wrong" "$log"; done
verify --last "sha256:$(tr a-f A-F <<< "${end#sha256:}")" "$log.1" "$log" > /dev/null || fail "the same hash in capitals is another one"; pass
refuses 2 usage "sha256: and 64 hex digits" verify --last "" "$log"  # a variable that is not set
refuses 6 source_missing nowhere verify "$work/nowhere"

# No place for it: the start is refused. A full disk: copies go on, the gateway says so, and what waited is written then.
sed "s#^state_dir = .*#state_dir = \"$work/no/such/place\"#" "$work/wisconsin.toml" > "$work/homeless.toml"
refuses 3 config_invalid no/such/place "$bin/tidewayd" --config "$work/homeless.toml"
if [ "$(id -u)" -eq 0 ] && mkdir "$work/small" && mount -t tmpfs -o size=64k none "$work/small" 2> /dev/null; then
  sed "s#^state_dir = .*#state_dir = \"$work/small\"#" "$work/wisconsin.toml" > "$work/full.toml"
  serve full "$work/full.toml"
  head -c 100000 /dev/zero > "$work/small/ballast" 2> /dev/null || :
  for i in 1 2 3 4 5 6; do tideway copy -q "$work/file" "wisconsin:data/full$i"; cmp "$work/file" "$work/wisconsin/data/full$i"; pass; done
  said full "audit_not_written code=dest_full"
  rm "$work/small/ballast"
  has "$work/small/audit.jsonl" '"event":"published"' full6
  stop
  verify "$work/small/audit.jsonl" > /dev/null || fail "the chain broke on a full disk"; pass
fi
