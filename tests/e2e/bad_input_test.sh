#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What goes wrong from outside ends with its exit code and a sentence that names it; the gateway goes on serving others.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
serve wisconsin "$work/wisconsin.toml"
there=$work/wisconsin/data
printf hello > "$work/file"
still_serves() {
  rm -f "$there/good"
  tideway copy -q "$work/file" wisconsin:data/good
  cmp "$work/file" "$there/good"; pass
}

# Credentials.
with_site() { sed "s#$work/atlanta/#$work/$1/#" "$work/atlanta.toml" > "$work/$1.toml"; }
"$bin/tideway" pki init --out "$work/other-ca" --trust-domain example.org > /dev/null
"$bin/tideway" pki issue --ca "$work/other-ca" --site atlanta --gateway gw1 --out "$work/stranger" > /dev/null
cp "$work/ca/ca.crt" "$work/stranger/ca.crt"
with_site stranger
refuses 5 auth_failed "" "$bin/tideway" --config "$work/stranger.toml" copy -q "$work/file" wisconsin:data/x
"$bin/tideway" pki issue --ca "$work/ca" --site denver --gateway gw1 --out "$work/denver" > /dev/null
with_site denver
refuses 5 denied "" "$bin/tideway" --config "$work/denver.toml" copy -q "$work/file" wisconsin:data/x
"$bin/tideway" pki init --out "$work/foreign-ca" --trust-domain example.net > /dev/null
"$bin/tideway" pki issue --ca "$work/foreign-ca" --site atlanta --gateway gw1 --out "$work/foreign" > /dev/null
with_site foreign
refuses 5 auth_failed "" "$bin/tideway" --config "$work/foreign.toml" copy -q "$work/file" wisconsin:data/x
if command -v faketime > /dev/null; then
  refuses 5 auth_failed cert_expired faketime '+100 days' "$bin/tideway" --config "$work/atlanta.toml" copy -q "$work/file" wisconsin:data/x
fi
chmod 644 "$work/denver/gateway.key"
refuses 3 config_invalid gateway.key "$bin/tideway" --config "$work/denver.toml" copy -q "$work/file" wisconsin:data/x
sed 's/site\/atlanta/site\/nobody/; s/^name = "wisconsin"$/&/' "$work/atlanta.toml" > /dev/null
still_serves

# Names.
refuses 5 denied nosuch tideway copy -q "$work/file" wisconsin:nosuch/x
refuses 2 usage ".." tideway copy -q "$work/file" wisconsin:data/../x
refuses 2 usage nowhere tideway copy -q "$work/file" nowhere:data/x
refuses 6 source_missing no-such-file tideway copy -q "$work/no-such-file" wisconsin:data/x
refuses 6 source_missing gone tideway copy -q wisconsin:data/gone "$work/x"
ln -s /etc "$there/out"
code=0; tideway copy -q wisconsin:data/out/passwd "$work/stolen" 2> "$work/err.log" || code=$?
[ "$code" -ne 0 ] || fail "a symlink led out of the root"; pass
absent "$work/stolen"
code=0; tideway copy -q "$work/file" wisconsin:data/out/planted 2> "$work/err.log" || code=$?
[ "$code" -ne 0 ] && [ ! -e /etc/planted ] || fail "a symlink led out of the root"; pass
still_serves

# Sources.
mkdir "$work/tree" && printf a > "$work/tree/good" && mkfifo "$work/tree/pipe" && ln -s /etc/passwd "$work/tree/away"
code=0; tideway copy "$work/tree" wisconsin:data/skips 2> "$work/err.log" || code=$?
[ "$code" -eq 12 ] || fail "skipped entries gave exit code $code"; pass
grep -q special_file "$work/err.log" && grep -q unsafe_link "$work/err.log" && [ -f "$there/skips/good" ]; pass
if [ "$(id -u)" -eq 0 ] && command -v setpriv > /dev/null; then
  mkdir "$work/readable" && printf a > "$work/readable/open" && printf b > "$work/readable/shut"
  chmod 000 "$work/readable/shut"
  chmod -R o+rX "$work/atlanta" "$work/atlanta.toml" && chmod 755 "$work" "$work/readable" && chown -R nobody "$work/atlanta" && chmod 600 "$work/atlanta/gateway.key"
  refuses 1 entries_failed "" setpriv --reuid nobody --clear-groups "$bin/tideway" --config "$work/atlanta.toml" copy "$work/readable" wisconsin:data/unreadable
  grep -q shut "$work/err.log" || fail "the unreadable file was not named: $(cat "$work/err.log")"; pass
  absent "$there/unreadable"
  chown -R root "$work/atlanta"
fi
head -c 30000000 /dev/urandom > "$work/moving"
(for _ in $(seq 200); do printf x >> "$work/moving"; sleep 0.02; done) &
writer=$!
running+=("$writer")
code=0; tideway copy --bwlimit 100Mbit "$work/moving" wisconsin:data/moving > "$work/out" 2> "$work/err.log" || code=$?
kill "$writer" 2>/dev/null || :
[ "$code" -eq 6 ] || [ "$code" -eq 1 ] || fail "a changing file gave exit code $code: $(cat "$work/err.log")"; pass
grep -q source_changed "$work/err.log" || fail "not said: $(cat "$work/err.log")"; pass
absent "$there/moving"
still_serves

# A full destination.
if [ "$(id -u)" -eq 0 ] && mkdir "$work/small" && mount -t tmpfs -o size=8m none "$work/small" 2>/dev/null; then
  head -c 20000000 /dev/urandom > "$work/big"
  control_port=$((control_port + 1))
  write_config wisconsin 127.0.0.1 127.0.0.1 "$work/small" > "$work/full.toml"
  write_config atlanta 127.0.0.1 127.0.0.1 "$work/atlanta/data" > "$work/to-full.toml"
  serve full "$work/full.toml"
  refuses 7 dest_full "" "$bin/tideway" --config "$work/to-full.toml" copy -q "$work/big" wisconsin:data/big
  absent "$work/small/big"
  kill "$gateway" && wait "$gateway" 2>/dev/null || :
  control_port=$((control_port - 1))
fi

# Nobody there, and a port that lets nothing through.
sed "s/:$control_port\"$/:1\"/" "$work/atlanta.toml" > "$work/closed.toml"
from=$SECONDS
refuses 4 peer_unreachable 127.0.0.1:1 "$bin/tideway" --config "$work/closed.toml" copy -q "$work/file" wisconsin:data/x
[ $((SECONDS - from)) -le 10 ] || fail "a refused connection took $((SECONDS - from)) s"; pass

# Configuration and command line.
printf '[site]\nname = "x"\nnmae = "y"\n' > "$work/bad.toml"
refuses 3 config_invalid "bad.toml:3" "$bin/tideway" --config "$work/bad.toml" copy -q "$work/file" wisconsin:data/x
refuses 3 config_invalid "bad.toml:3" "$bin/tidewayd" --config "$work/bad.toml"
refuses 2 usage --frobnicate tideway copy --frobnicate "$work/file" wisconsin:data/x
refuses 2 usage '10Gbit' tideway copy --bwlimit 10 "$work/file" wisconsin:data/x
refuses 2 usage '1 to 19' tideway copy --compress zstd:77 "$work/file" wisconsin:data/x
still_serves
