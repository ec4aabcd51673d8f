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

# Credentials. Each trusts the authority of the other side, so that the daemon is the one who judges.
with_site() { sed "s#$work/atlanta/#$work/$1/#" "$work/atlanta.toml" > "$work/$1.toml"; }
copy_as() { "$bin/tideway" --config "$work/$1.toml" copy -q "$work/file" wisconsin:data/x; }
"$bin/tideway" pki init --out "$work/other-ca" --trust-domain example.org > /dev/null
"$bin/tideway" pki issue --ca "$work/other-ca" --site atlanta --gateway gw1 --out "$work/stranger" > /dev/null
cat "$work/other-ca/ca.crt" "$work/ca/ca.crt" > "$work/stranger/ca.crt"
with_site stranger
refuses 5 auth_failed "refused our certificate" copy_as stranger
said wisconsin cert_untrusted
"$bin/tideway" pki issue --ca "$work/ca" --site denver --gateway gw1 --out "$work/denver" > /dev/null
with_site denver
refuses 5 denied "" copy_as denver
said wisconsin "no grant"
"$bin/tideway" pki init --out "$work/foreign-ca" --trust-domain example.net > /dev/null
"$bin/tideway" pki issue --ca "$work/foreign-ca" --site atlanta --gateway gw1 --out "$work/foreign" > /dev/null
cat "$work/foreign-ca/ca.crt" "$work/ca/ca.crt" > "$work/foreign/ca.crt"
with_site foreign
refuses 5 auth_failed "" copy_as foreign

# A gateway that trusts both authorities still takes nobody of another trust domain, and nobody whose time is over: not as
# a client that is told so itself, not as one whose clock is wrong, and not as a server.
control_port=$((control_port + 1))
"$bin/tideway" pki issue --ca "$work/ca" --site wisconsin --gateway gw1 --out "$work/wide" > /dev/null
cat "$work/ca/ca.crt" "$work/foreign-ca/ca.crt" > "$work/wide/ca.crt"
mkdir "$work/wide/state"
write_config wisconsin 127.0.0.1 127.0.0.1 "$there" | sed "s#$work/wisconsin/\(ca\|gateway\|state\)#$work/wide/\1#" > "$work/wide.toml"
serve wide "$work/wide.toml"
wide=$gateway
write_config atlanta 127.0.0.1 127.0.0.1 "$work/atlanta/data" > "$work/to-wide.toml"
sed "s#$work/atlanta/#$work/foreign/#" "$work/to-wide.toml" > "$work/foreign-to-wide.toml"
refuses 5 auth_failed cert_identity copy_as foreign-to-wide  # by the client, about the gateway
openssl s_client -connect "127.0.0.1:$control_port" -cert "$work/foreign/gateway.crt" -key "$work/foreign/gateway.key" \
  -CAfile "$work/ca/ca.crt" -alpn tideway/1 -tls1_3 < /dev/null > /dev/null 2>&1 || :  # and by the gateway, about a client that does not look
said wide cert_identity
kill "$wide" && wait "$wide" 2> /dev/null || :
clock=$(echo /usr/lib/*/faketime/libfaketime.so.1)
if [ -e "$clock" ]; then
  # The library itself: the program of that name would stay between us and what we have to end.
  faketime() { env LD_PRELOAD="$clock" FAKETIME="$1" "${@:2}"; }
  faketime -100d "$bin/tideway" pki init --out "$work/old-ca" --trust-domain example.org > /dev/null
  faketime -100d "$bin/tideway" pki issue --ca "$work/old-ca" --site atlanta --gateway gw1 --out "$work/expired" > /dev/null
  faketime -100d "$bin/tideway" pki issue --ca "$work/old-ca" --site wisconsin --gateway gw1 --out "$work/expired-server" > /dev/null
  faketime -60d "$bin/tideway" pki issue --ca "$work/old-ca" --site wisconsin --gateway gw1 --out "$work/valid" > /dev/null
  faketime -60d "$bin/tideway" pki issue --ca "$work/old-ca" --site atlanta --gateway gw1 --out "$work/valid-client" > /dev/null
  sed "s#$work/atlanta/#$work/expired/#" "$work/to-wide.toml" > "$work/expired.toml"
  sed "s#$work/atlanta/#$work/valid-client/#" "$work/to-wide.toml" > "$work/valid-client.toml"
  sed "s#$work/wide/#$work/valid/#" "$work/wide.toml" > "$work/valid.toml"
  sed "s#$work/wide/#$work/expired-server/#" "$work/wide.toml" > "$work/expired-server.toml"
  serve valid "$work/valid.toml"
  refuses 5 auth_failed cert_expired copy_as expired
  refuses 5 auth_failed "refused our certificate" faketime -59d "$bin/tideway" --config "$work/expired.toml" copy -q "$work/file" wisconsin:data/x
  said valid cert_expired
  kill "$gateway" && wait "$gateway" 2> /dev/null || :
  refuses 5 auth_failed cert_expired "$bin/tidewayd" --config "$work/expired-server.toml"
  serve expired-server "$work/expired-server.toml" env LD_PRELOAD="$clock" FAKETIME=-59d
  refuses 5 auth_failed cert_expired copy_as valid-client
  kill "$gateway" && wait "$gateway" 2> /dev/null || :
else
  echo "SKIP: expired certificates need faketime"
fi
control_port=$((control_port - 1))
chmod 644 "$work/denver/gateway.key"
refuses 3 config_invalid gateway.key "$bin/tideway" --config "$work/denver.toml" copy -q "$work/file" wisconsin:data/x
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

# What a grant would say to it.
asks() { "$bin/tideway" --config "$work/wisconsin.toml" policy test --peer "spiffe://example.org/site/$1/gw/gw1" --op "$2" --path "$3" "${@:4}"; }
asks atlanta write data/x > "$work/out" && grep -q '^allowed by .*wisconsin.toml:[0-9]*' "$work/out" || fail "not explained: $(cat "$work/out")"; pass
asks atlanta write data/x --json | grep -q '"type":"policy".*"rule":".*wisconsin.toml:[0-9:]*"' || fail "not explained to a program"; pass
refuses 5 denied "no [[grant]]" asks atlanta delete data/x
refuses 5 denied "no [[grant]]" asks denver write data/x
refuses 5 denied nosuch asks atlanta write nosuch/x
refuses 2 usage ".." asks atlanta write data/../x
refuses 2 usage frobnicate asks atlanta frobnicate data/x

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

# A source that shrinks while it is read, pushed and pulled: the same, and whoever read it goes on.
for way in push pull; do
  head -c 100000000 /dev/urandom > "$there/shrinking"
  cp "$there/shrinking" "$work/shrinking"
  if [ "$way" = push ]; then set -- "$work/shrinking" wisconsin:data/shrunk; cut=$work/shrinking
  else set -- wisconsin:data/shrinking "$work/shrunk"; cut=$there/shrinking; fi
  : > "$work/shrink.json"  # what the one before has said says nothing of this one
  tideway copy --json --bwlimit 200Mbit "$@" > "$work/shrink.json" 2> "$work/err.log" &
  copying=$!
  running+=("$copying")
  for _ in $(seq 100); do grep -q '"bytes_done":[1-9]' "$work/shrink.json" && break; sleep 0.1; done
  truncate -s 1000000 "$cut"
  code=0; wait "$copying" || code=$?
  [ "$code" -eq 6 ] || [ "$code" -eq 1 ] || fail "a shrinking file ($way) gave exit code $code: $(cat "$work/err.log")"; pass
  grep -q source_changed "$work/shrink.json" || fail "not said: $(tail -n 3 "$work/shrink.json")"; pass
  absent "$work/shrunk"
  absent "$there/shrunk"
  rm -f "$there/shrinking"
done
still_serves

# A full destination.
if [ "$(id -u)" -eq 0 ] && mkdir "$work/small" && mount -t tmpfs -o size=8m none "$work/small" 2>/dev/null; then
  head -c 20000000 /dev/urandom > "$work/big"
  control_port=$((control_port + 1))
  mkdir "$work/full"
  write_config wisconsin 127.0.0.1 127.0.0.1 "$work/small" | sed "s#$work/wisconsin/state#$work/full#" > "$work/full.toml"
  write_config atlanta 127.0.0.1 127.0.0.1 "$work/atlanta/data" > "$work/to-full.toml"
  serve full "$work/full.toml"
  refuses 7 dest_full "needs at least 19.1 MiB (20000000 bytes) at the destination, and " \
    "$bin/tideway" --config "$work/to-full.toml" copy -q "$work/big" wisconsin:data/big
  absent "$work/small/big"
  absent "$work/small/.tideway"
  kill "$gateway" && wait "$gateway" 2>/dev/null || :
  control_port=$((control_port - 1))
fi

# Nobody there.
sed "s/:$control_port\"$/:1\"/" "$work/atlanta.toml" > "$work/closed.toml"
from=$SECONDS
refuses 4 peer_unreachable 127.0.0.1:1 copy_as closed
[ $((SECONDS - from)) -le 10 ] || fail "a refused connection took $((SECONDS - from)) s"; pass

# Configuration and command line.
printf '[site]\nname = "x"\nnmae = "y"\n' > "$work/bad.toml"
refuses 3 config_invalid "bad.toml:3" "$bin/tideway" --config "$work/bad.toml" copy -q "$work/file" wisconsin:data/x
refuses 3 config_invalid "nmae" "$bin/tidewayd" --config "$work/bad.toml"
refuses 2 usage --frobnicate tideway copy --frobnicate "$work/file" wisconsin:data/x
refuses 2 usage '10Gbit' tideway copy --bwlimit 10 "$work/file" wisconsin:data/x
refuses 2 usage '1 to 19' tideway copy --compress zstd:77 "$work/file" wisconsin:data/x
still_serves
