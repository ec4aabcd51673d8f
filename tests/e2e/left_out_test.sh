#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a source leaves out on purpose is told to whoever asked, for a pull as for a push, and a list goes no deeper than
# it shows.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
serve wisconsin "$work/wisconsin.toml"
there=$work/wisconsin/data

tree=$there/tree
mkdir -p "$tree/sub/deeper"
printf a > "$tree/good"
printf b > "$tree/sub/deeper/bottom"
mkfifo "$tree/pipe" "$tree/sub/another"
ln -s /etc/passwd "$tree/sub/away"

refuses 12 special_file '"tree/pipe"' tideway copy wisconsin:data/tree "$work/pulled"
grep -q '(unsafe_link)' "$work/err.log" && grep -q 'another' "$work/err.log" || fail "not all was named: $(cat "$work/err.log")"; pass
grep -q 'skipped *3' "$work/err.log" || fail "the summary does not count: $(cat "$work/err.log")"; pass
[ "$(cat "$work/pulled/good")" = a ] && [ "$(cat "$work/pulled/sub/deeper/bottom")" = b ] || fail "the rest is not there"; pass
absent "$work/pulled/pipe"
"$bin/tideway" verify -q "$work/pulled"; pass

code=0; tideway copy -q --json wisconsin:data/tree "$work/json" > "$work/json.out" 2> /dev/null || code=$?
[ "$code" -eq 12 ] || fail "exit code $code instead of 12"; pass
grep -q '"skipped":3' "$work/json.out" && [ "$(grep -c '"status":"skipped"' "$work/json.out")" -eq 3 ] || fail "$(cat "$work/json.out")"; pass

# The walk stops at what is shown: a directory below that nobody may read does not matter.
tideway ls wisconsin:data/tree > "$work/listing" 2> "$work/err.log"
grep -q 'good$' "$work/listing" && grep -q 'sub/$' "$work/listing" && ! grep -q 'deeper\|bottom' "$work/listing" ||
  fail "the listing is $(cat "$work/listing")"; pass
