#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# SIGHUP: certificates are renewed and peers sent away while copies run, without a restart. What does not fit changes nothing. At the end
# a job meets the end of its gateway's certificate, which lives 15 s so that the job has begun by then on any machine.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
serve wisconsin "$work/wisconsin.toml"
there=$work/wisconsin/data
head -c 40000000 /dev/urandom > "$work/file"
reload() { : > "$work/wisconsin.log"; kill -HUP "$gateway"; said wisconsin "$1"; }
# begin NAME: a copy that takes some seconds, of which a first part has arrived.
begin() {  # NAME [RATE]
  tideway copy --json --compress off --bwlimit "${2:-80Mbit}" "$work/file" "wisconsin:data/$1" > "$work/$1.json" 2> "$work/$1.err" &
  copying=$!
  running+=("$copying")
  for _ in $(seq 100); do grep -q '"bytes_done":[1-9]' "$work/$1.json" && break; sleep 0.1; done
}
fingerprint() { openssl x509 -in "$1" -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f; }

# X14: a new certificate and key, a copy running. Then one that does not fit its key.
begin renewed
rm -r "$work/wisconsin/gateway.crt" "$work/wisconsin/gateway.key"
"$bin/tideway" pki issue --ca "$work/ca" --site wisconsin --gateway gw1 --out "$work/fresh" > /dev/null
cp "$work/fresh/gateway.crt" "$work/fresh/gateway.key" "$work/wisconsin/"
reload "certificate=sha256:$(fingerprint "$work/fresh/gateway.crt")"
wait "$copying" || fail "the renewal ended a copy: $(cat "$work/renewed.err")"
cmp "$work/file" "$there/renewed"; pass
"$bin/tideway" pki issue --ca "$work/ca" --site wisconsin --gateway gw1 --out "$work/other" > /dev/null
cp "$work/other/gateway.crt" "$work/wisconsin/"
reload "reload_failed code=config_invalid"
tideway copy -q "$work/file" wisconsin:data/kept && cmp "$work/file" "$there/kept"; pass
cp "$work/fresh/gateway.crt" "$work/wisconsin/"

# C04: a file that cannot be read leaves the old one in force; what needs a restart is said.
cp "$work/wisconsin.toml" "$work/good.toml"
echo 'nmae = "x"' >> "$work/wisconsin.toml"
reload "reload_failed code=config_invalid"
grep -q 'reload_failed code=config_invalid.*nmae is not a known key' "$work/wisconsin.log" || fail "the key is not named: $(tail -n 3 "$work/wisconsin.log")"; pass
sed 's/^memory = .*/memory = "600MiB"/' "$work/good.toml" > "$work/wisconsin.toml"
reload "needs_restart section=[engine]"
cp "$work/good.toml" "$work/wisconsin.toml"

# A peer that is taken from [tls] allow loses its session, and nothing of its copy appears.
begin unwanted 20Mbit
sed 's#^\[listen\]#allow = ["spiffe://example.org/site/denver/gw/*"]\n[listen]#' "$work/good.toml" > "$work/wisconsin.toml"
reload session_withdrawn
code=0; wait "$copying" || code=$?
[ "$code" -eq 5 ] || fail "a copy of a peer that is not allowed any more gave exit code $code: $(cat "$work/unwanted.err")"; pass
absent "$there/unwanted"
refuses 5 auth_failed "refused our certificate" tideway copy -q "$work/file" wisconsin:data/unwanted

# So does one whose certificate a revocation list names.
cp "$work/good.toml" "$work/wisconsin.toml"
reload "reloaded certificate="
if command -v openssl > /dev/null; then
  begin revoked 20Mbit
  mkdir "$work/crl" && : > "$work/crl/index" && echo 01 > "$work/crl/number"
  printf '[ca]\ndefault_ca = x\n[x]\ndatabase = %s/index\ncrlnumber = %s/number\ndefault_md = sha256\n' "$work/crl" "$work/crl" > "$work/crl/ca.conf"
  authority=(-config "$work/crl/ca.conf" -cert "$work/ca/ca.crt" -keyfile "$work/ca/ca.key")
  openssl ca "${authority[@]}" -revoke "$work/atlanta/gateway.crt" 2> /dev/null
  openssl ca "${authority[@]}" -gencrl -crldays 1 -out "$work/list.crl" 2> /dev/null
  sed "s#^\[listen\]#crl = \"$work/list.crl\"\n[listen]#" "$work/good.toml" > "$work/wisconsin.toml"
  reload cert_revoked
  code=0; wait "$copying" || code=$?
  [ "$code" -eq 5 ] || fail "a copy of a revoked peer gave exit code $code: $(cat "$work/revoked.err")"; pass
  absent "$there/revoked"
fi

# X13: a certificate that ends soon is told, and a fresh one is not.
clock=$(echo /usr/lib/*/faketime/libfaketime.so.1)
if [ -e "$clock" ]; then
  cp "$work/good.toml" "$work/wisconsin.toml"
  env LD_PRELOAD="$clock" FAKETIME=-85d "$bin/tideway" pki init --out "$work/old-ca" --trust-domain example.org > /dev/null
  env LD_PRELOAD="$clock" FAKETIME=-85d "$bin/tideway" pki issue --ca "$work/old-ca" --site wisconsin --gateway gw1 --out "$work/old" > /dev/null
  cp "$work/old/ca.crt" "$work/old/gateway.crt" "$work/old/gateway.key" "$work/wisconsin/"
  reload "certificate_ends certificate=sha256:$(fingerprint "$work/old/gateway.crt") ends_in_days=4"
  cp "$work/ca/ca.crt" "$work/fresh/gateway.crt" "$work/fresh/gateway.key" "$work/wisconsin/"
  reload "ends_in_days=89"
  ! grep -q certificate_ends "$work/wisconsin.log" || fail "a warning about a fresh certificate"; pass

  # One that ends while a job runs: so does the session. The job waits, and goes on with a new one.
  wisconsin=$gateway
  socket=$work/api.sock
  export TIDEWAY_API=$socket
  move_atlanta "api=$socket"
  cp "$work/file" "$work/atlanta/data/file"
  mkdir "$work/kept" && mv "$work/atlanta/gateway.crt" "$work/atlanta/gateway.key" "$work/kept/"
  env LD_PRELOAD="$clock" FAKETIME="-$((90 * 86400 - 15))" "$bin/tideway" pki issue --ca "$work/ca" --site atlanta --gateway gw1 --out "$work/short" > /dev/null
  cp "$work/short/gateway.crt" "$work/short/gateway.key" "$work/atlanta/"
  serve atlanta "$work/atlanta.toml"
  atlanta=$gateway gateway=$wisconsin
  job=$(tideway submit --bwlimit 8Mbit "$work/atlanta/data/file" wisconsin:data/outlived)
  shows() { tideway jobs show $2 "$job" | grep -q "$1"; }
  soon() { for _ in $(seq 300); do shows "$1" "${2:-}" && { pass; return; }; sleep 0.1; done; fail "the job does not show $1: $(tideway jobs show "$job")"; }
  soon '"bytes_done":[1-9]' --json
  soon '^waits for *auth_failed'
  grep -q 'session_withdrawn .*cert_expired' "$work/wisconsin.log" || fail "the session outlived its certificate"; pass
  refuses 5 auth_failed cert_expired tideway copy -q --direct "$work/file" wisconsin:data/too-late
  cp "$work/kept/gateway.crt" "$work/kept/gateway.key" "$work/atlanta/"
  kill -HUP "$atlanta"
  soon '^state *running'
  tideway jobs set "$job" --bwlimit 4Gbit > /dev/null
  tideway jobs watch -q "$job" || fail "the job did not go on: $(tideway jobs show "$job")"
  cmp "$work/file" "$there/outlived"; pass
  kill "$atlanta" && wait "$atlanta" 2> /dev/null || fail "the gateway of atlanta did not end well"; pass
fi
kill "$gateway" && wait "$gateway" 2> /dev/null || fail "the gateway did not end well"; pass
