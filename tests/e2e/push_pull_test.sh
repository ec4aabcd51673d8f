#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A tree with everything odd in it goes there and back over loopback and stays the same; what the flags promise, holds.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
serve wisconsin "$work/wisconsin.toml"
there=$work/wisconsin/data

tree=$work/tree
mkdir -p "$tree/empty" "$tree/a b" "$tree/deep"
head -c 9000000 /dev/urandom > "$tree/large"
seq 1 200000 > "$tree/text"
: > "$tree/empty file"
printf x > "$tree/$(printf 'new\nline')"
printf x > "$tree/$(printf 'not-utf8-\377')"
printf x > "$tree/$(printf 'n%.0s' $(seq 255))"
printf x > "$tree/-dash"
printf kept > "$tree/a b/small.keep"
printf x > "$tree/read-only" && chmod 444 "$tree/read-only"
ln -s large "$tree/link"
ln -s ../large "$tree/a b/up"
ln -s nowhere "$tree/dangling"
truncate -s 64M "$tree/sparse"
printf end >> "$tree/sparse"
(cd "$tree/deep" && for _ in $(seq 40); do d=$(printf 'd%.0s' $(seq 120)); mkdir "$d"; cd "$d"; done; printf deep > bottom)
chmod 640 "$tree/text"
chmod 750 "$tree/a b"
touch -d '2001-02-03 04:05:06.123456789' "$tree/text" "$tree/empty"

tideway copy -q "$tree" wisconsin:data/tree
same_tree "$tree" "$there/tree"
[ "$(find "$there/tree/deep" -name bottom -execdir cat {} +)" = deep ] || fail "the deepest file is not the same"; pass
[ "$(stat -c %b "$there/tree/sparse")" -lt 1000 ] || fail "the holes of the sparse file became data"; pass
[ ! -e "$there/.tideway" ] || fail "staging was left behind"; pass

tideway copy -q wisconsin:data/tree "$work/back"
same_tree "$tree" "$work/back"
"$bin/tideway" verify -q "$there/tree"; pass
"$bin/tideway" verify -q "$work/back"; pass

# Again into the same place: nothing is sent, nothing changes.
tideway copy --json "$tree" wisconsin:data/tree > "$work/again.json" 2> "$work/again.log"
python3 - "$work/again.json" <<'PY' || fail "the second copy sent something"
import json, sys
summary = [json.loads(line) for line in open(sys.argv[1])][-1]
sys.exit(not (summary["type"] == "summary" and summary["bytes_sent"] == 0 and summary["kept"] > 5 and summary["exit"] == 0))
PY
pass
code=0; tideway copy -q --error-on-no-transfer "$tree" wisconsin:data/tree || code=$?
[ "$code" -eq 9 ] || fail "exit code $code instead of 9"; pass

# What differs there is not overwritten, and nothing else of that copy shows either.
printf changed > "$there/tree/text"
printf new > "$tree/new"
refuses 1 entries_failed "1 of" tideway copy -q "$tree" wisconsin:data/tree
absent "$there/tree/new"
[ "$(cat "$there/tree/text")" = changed ] || fail "the old file was touched"; pass
code=0; "$bin/tideway" verify -q "$there/tree" > /dev/null || code=$?
[ "$code" -eq 8 ] || fail "verify of a changed tree ended with $code"; pass

# Where things land.
tideway copy -q "$tree/large" wisconsin:data/one
cmp "$tree/large" "$there/one"; pass
tideway copy -q "$tree/large" wisconsin:data/into/
cmp "$tree/large" "$there/into/large"; pass
tideway copy -q "$tree/text" wisconsin:data/into
cmp "$tree/text" "$there/into/text"; pass
tideway copy -q "$tree/large" "$tree/a b" wisconsin:data/several
cmp "$tree/large" "$there/several/large" && [ -L "$there/several/a b/up" ]; pass
tideway copy -q "$tree/empty" wisconsin:data/nothing
[ -d "$there/nothing" ]; pass
tideway copy -q "$tree/empty file" wisconsin:data/empty-file
[ -f "$there/empty-file" ] && [ ! -s "$there/empty-file" ]; pass

# A link to a directory is the directory. Read-only files and directories arrive; so does what a destination lacks.
ln -s "$there/into" "$work/link-to-dir"
tideway copy -q "$work/link-to-dir" wisconsin:data/linked
cmp "$tree/text" "$there/linked/text"; pass
mkdir -p "$work/closed/dir" "$there/merged/dir"
printf x > "$work/closed/dir/f"
chmod 400 "$work/closed/dir/f"
chmod 500 "$work/closed/dir"
chmod 711 "$there/merged/dir"
tideway copy -q "$work/closed" wisconsin:data/merged
[ "$(stat -c %a "$there/merged/dir/f" "$there/merged/dir" | tr '\n' ' ')" = "400 711 " ] || fail "wrong modes after a merge"; pass
"$bin/tideway" verify -q "$there/merged"; pass
chmod 700 "$work/closed/dir"
mkdir "$work/into-me"
tideway copy -q wisconsin:data/tree "$work/into-me"
cmp "$tree/large" "$work/into-me/large"; pass
"$bin/tideway" verify -q "$work/into-me"; pass
if mkdir "$work/small" && mount -t tmpfs -o size=64m tideway-test "$work/small" 2> /dev/null; then
  tideway copy -q wisconsin:data/into "$work/small"
  cmp "$tree/text" "$work/small/text"; pass
  tideway copy -q "$work/small" wisconsin:data/from-mount
  cmp "$tree/text" "$there/from-mount/text"; pass
fi
refuses 3 name_reserved "belongs to Tideway" tideway copy -q "$tree/text" wisconsin:data/.tideway-manifest

# What is there is replaced only by who asks for it and may: a tree as a whole.
mkdir "$work/former" && echo former > "$work/former/only-former"
refuses 1 dest_exists "as a whole or not at all" tideway copy -q --publish rename wisconsin:data/tree "$work/former"
tideway copy -q --publish rename --overwrite always wisconsin:data/tree "$work/former"
[ ! -e "$work/former/only-former" ] && cmp "$tree/large" "$work/former/large" || fail "the former tree was not replaced"; pass
refuses 1 unsupported "as a whole" tideway copy -q --publish marker --overwrite always wisconsin:data/tree "$work/former"
refuses 5 denied "" tideway copy -q --overwrite always "$tree/text" wisconsin:data/raw

# Filters, lists, dry runs.
tideway copy -q --include '*.keep' --include '*/' --exclude '*' "$tree" wisconsin:data/filtered
[ "$(cd "$there/filtered" && find . -type f ! -name .tideway-manifest)" = "./a b/small.keep" ] || fail "the filter took something else"; pass
printf 'large\na b\n' | tideway copy -q --files-from - "$tree" wisconsin:data/listed
[ -f "$there/listed/large" ] && [ ! -e "$there/listed/text" ]; pass
printf 'large\na b\n' | tideway copy -q --files-from - wisconsin:data/tree "$work/listed"
[ -f "$work/listed/large" ] && [ -L "$work/listed/a b/up" ] && [ ! -e "$work/listed/text" ] || fail "a pull of listed names brought something else"; pass
tideway copy -q -n "$tree" wisconsin:data/dry 2> /dev/null
absent "$there/dry"
tideway ls wisconsin:data/tree > "$work/listing"
grep -q 'large$' "$work/listing" && grep -q 'dangling -> nowhere' "$work/listing" && ! grep -q bottom "$work/listing"; pass
[ "$(tideway ls wisconsin:)" = data ] || fail "the peer does not tell its root"; pass
tideway copy -q --compress off "$tree/text" wisconsin:data/raw
tideway copy -q --compress zstd:9 --flows 7 "$tree/text" wisconsin:data/packed
cmp "$there/raw" "$there/packed"; pass

# IPv6.
control_port=$((control_port + 1))
sed -e "s/127.0.0.1:[0-9]*/[::1]:$control_port/; s/^address = .*/address = \"[::1]:$((control_port + 10000))\"/; s#/wisconsin/state#/six#" "$work/wisconsin.toml" > "$work/wisconsin6.toml"
mkdir "$work/six"
sed -e "s/127.0.0.1:[0-9]*/[::1]:$control_port/; s/^address = .*/address = \"[::1]:$((control_port + 10000))\"/" "$work/atlanta.toml" > "$work/atlanta6.toml"
if grep -q 00000000000000000000000000000001 /proc/net/if_inet6 2>/dev/null; then
  serve wisconsin6 "$work/wisconsin6.toml"
  "$bin/tideway" --config "$work/atlanta6.toml" copy -q "$tree/large" wisconsin:data/six
  cmp "$tree/large" "$there/six"; pass
fi
