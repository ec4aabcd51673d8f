# SPDX-License-Identifier: Apache-2.0
#
# What the end-to-end tests share: a folder of their own, certificates, two configurations, gateways that are ended by
# process number, and checks that say what they expected. Sourced, not run.
set -Eeuo pipefail

# The system's programs, to which the packages belong that install_deps.sh adds. Another python3 may stand before its own: one that a
# version switch finds first takes 180 ms to start instead of 20, and some tests ask a gateway hundreds of times.
PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH

# On a machine that has been up for 100 days, as gateways are: what was never set lies further back than any limit. Where
# no such clock can be had, by the machine's own.
uptime=(unshare --time --monotonic 8640000 --boottime 8640000)
if [ -z "${TIDEWAY_E2E_UPTIME:-}" ] && "${uptime[@]}" true 2> /dev/null; then
  TIDEWAY_E2E_UPTIME=set exec "${uptime[@]}" "$BASH" "$0" "$@"
fi

repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
bin=${TIDEWAY_BIN:-$repo/build/release/bin}
[ -x "$bin/tideway" ] && [ -x "$bin/tidewayd" ] || { echo "SKIP: the programs are not built in $bin"; exit 77; }
work=$(mktemp -d)
running=()
namespaces=()    # beside those of the testbed
daemon_flags=()  # of the gateways, beside --config
checks=0

cleanup() {
  local code=$? pid space
  [ "$code" -eq 0 ] || [ "$code" -eq 77 ] || tail -n 15 "$work"/*.log 2>/dev/null
  for pid in "${running[@]}"; do kill -9 "$pid" 2>/dev/null || :; done
  for space in "${namespaces[@]}"; do ip netns del "$space" 2>/dev/null || :; done
  # A copy in the background is a shell of ours and a program behind it.
  for space in ${testbed:+"$testbed-a" "$testbed-b"}; do ip netns pids "$space" 2>/dev/null | xargs -r kill -9 2>/dev/null || :; done
  [ -z "${testbed:-}" ] || TIDEWAY_TESTBED=$testbed "$repo/scripts/testbed.sh" down > /dev/null 2>&1 || :
  [ -z "${huge_pages_before:-}" ] || echo "$huge_pages_before" > /proc/sys/vm/nr_hugepages
  mountpoint -q "$work/small" 2>/dev/null && umount -l "$work/small"  # whom we killed may hold it for a moment
  rm -rf "$work"
  [ "$code" -ne 0 ] || [ "$checks" -eq 0 ] || echo "$checks checks passed"
}
trap cleanup EXIT

# Ports of its own for each script that runs: 300 to listen at, and as many for data 10,000 above, all below those that the kernel gives to others. Whatever
# of the script still runs holds the lock.
take_ports() {
  local folder=/tmp/tideway-e2e-ports slot lock
  mkdir -p -m 1777 "$folder"
  for slot in $(shuf -i 0-32); do
    (umask 0 && : >> "$folder/$slot") 2> /dev/null || continue
    exec {lock}>> "$folder/$slot"
    control_port=$((12000 + slot * 300))
    flock --nonblock "$lock" && return
    exec {lock}>&-
  done
  echo "FAILED: all ports are in use" >&2
  exit 1
}
take_ports

fail() { echo "FAILED: $*" >&2; exit 1; }
pass() { checks=$((checks + 1)); }

# make_sites IP_A IP_B: certificates, roots and configurations of atlanta (dials) and wisconsin (serves).
make_sites() {
  local site ip
  "$bin/tideway" pki init --out "$work/ca" --trust-domain example.org > /dev/null
  for site in atlanta wisconsin; do
    [ "$site" = atlanta ] && ip=$1 || ip=$2
    "$bin/tideway" pki issue --ca "$work/ca" --site "$site" --gateway gw1 --out "$work/$site" > /dev/null
    mkdir -p "$work/$site/state" "$work/$site/data"
    write_config "$site" "$ip" "$2" "$work/$site/data" > "$work/$site.toml"
  done
}

# make_testbed_sites [IP_A IP_B]: the same in namespaces of their own, with a link between them that `bed up` makes; skips
# the test where that cannot be.
make_testbed_sites() {
  [ "$(id -u)" -eq 0 ] && ip netns add "twprobe$$" 2>/dev/null && ip netns del "twprobe$$" || { echo "SKIP: needs root and network namespaces"; exit 77; }
  testbed=twe2e$$
  export TIDEWAY_TESTBED=$testbed
  make_sites "${1:-10.77.0.1}" "${2:-10.77.0.2}"
}
bed() { "$repo/scripts/testbed.sh" "$@"; }

# write_config SITE IP PEER_IP ROOT
write_config() {
  cat <<TOML
[site]
name = "$1"
gateway = "gw1"
trust_domain = "example.org"
state_dir = "$work/$1/state"
[tls]
ca = "$work/$1/ca.crt"
cert = "$work/$1/gateway.crt"
key = "$work/$1/gateway.key"
[listen]
control = "$2:$control_port"
[engine]
memory = "512MiB"
[data_plane]
address = "$2:$((control_port + 10000))"
fallback = "off"
[[root]]
name = "data"
path = "$4"
[[grant]]
peer = "spiffe://example.org/site/atlanta/gw/*"
root = "data"
ops = ["read", "list", "write"]
[[peer]]
name = "wisconsin"
control = "$3:$control_port"
TOML
}

# serve NAME CONFIG [PREFIX...]: starts a gateway and waits for its ready line; its number is in $gateway.
serve() {
  local name=$1 config=$2
  shift 2
  rm -f "$work/$name.ready"  # of the one before
  "$@" "$bin/tidewayd" "${daemon_flags[@]}" --config "$config" > "$work/$name.ready" 2> "$work/$name.log" &
  gateway=$!
  running+=("$gateway")
  for _ in $(seq 300); do  # DPDK alone takes seconds to start on a busy machine
    grep -qs '^ready' "$work/$name.ready" && return
    kill -0 "$gateway" 2>/dev/null || break
    sleep 0.1
  done
  cat "$work/$name.log" >&2
  fail "$name did not become ready"
}

# move_atlanta KEY=VALUE...: both gateways run on this host, so that of atlanta listens elsewhere, and has more keys in [listen].
move_atlanta() {
  local pair keys=""
  for pair in "$@"; do keys+="${pair%%=*} = \"${pair#*=}\"\n"; done
  awk -v control="127.0.0.1:$((control_port + 1))" -v data="127.0.0.1:$((control_port + 10100))" -v keys="$keys" '
    /^control = / && !moved++ { printf "control = \"%s\"\n%s", control, keys; next }
    /^address = / { printf "address = \"%s\"\n", data; next }
    { print }' "$work/atlanta.toml" > "$work/moved.toml"
  mv "$work/moved.toml" "$work/atlanta.toml"
}

# share_link CAPACITY [LINE...]: the gateway of atlanta has a link to wisconsin that the training llm7 uses, too; more lines of [[link]].
share_link() {
  printf '[[link]]\npeer = "wisconsin"\ncapacity = "%s"\n' "$1" >> "$work/atlanta.toml"
  [ $# -eq 1 ] || printf '%s\n' "${@:2}" >> "$work/atlanta.toml"
  printf '[[training]]\nname = "llm7"\npeers = ["wisconsin"]\n' >> "$work/atlanta.toml"
}

tideway() { "$bin/tideway" --config "$work/atlanta.toml" "$@"; }

# ask METHOD PATH [BODY [LAST-EVENT-ID]]: status and body of what the gateway at $socket answers.
ask() { python3 - "$socket" "$@" <<'PY'
import contextlib, os, socket, sys
method, path, body, last_event = (sys.argv[2:] + ["", ""])[:4]
line = socket.socket(socket.AF_UNIX)
line.settimeout(20)
line.connect(sys.argv[1])
resume = f"Last-Event-ID: {last_event}\r\n" if last_event else ""
line.sendall(f"{method} {path} HTTP/1.0\r\nHost: tideway\r\nContent-Length: {len(body.encode())}\r\n{resume}\r\n{body}".encode())
head, _, rest = b"".join(iter(lambda: line.recv(65536), b"")).partition(b"\r\n\r\n")
with contextlib.suppress(BrokenPipeError):  # a reader that found what it looks for does not wait for the rest
    os.write(1, head.split()[1] + b" " + rest + b"\n")
PY
}

# bursts SITE ADDRESS: from now on bursts of a third of 100 Mbit/s, 120 ms of each 400, from a site of the testbed to the other's; no
# program announces them. Their number is in $bursts.
bursts() {
  "$repo/scripts/testbed.sh" exec "$1" python3 - "$2" <<'PY' &
import socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
start = time.monotonic()
for burst in range(1000):
    begin = start + 0.4 * burst
    for packet in range(360):
        while time.monotonic() < begin + packet * 0.000333: time.sleep(0.0002)
        out.sendto(bytes(1400), (sys.argv[1], 9))
PY
  bursts=$!
  running+=("$bursts")
}

# link_becomes EXPRESSION VALUE [SECONDS]: of Python, over the first link that GET /v1/links has, its first gate and its trainings by name.
link_becomes() {
  python3 - "$socket" "$@" <<'PY' || fail "$1 does not become $2"
import json, socket, sys, time
until = time.monotonic() + float(sys.argv[4] if len(sys.argv) > 4 else 60)
while True:
    line = socket.socket(socket.AF_UNIX)
    line.connect(sys.argv[1])
    line.sendall(b"GET /v1/links HTTP/1.0\r\n\r\n")
    answer = b"".join(iter(lambda: line.recv(65536), b""))
    link = json.loads(answer.split(b"\r\n\r\n", 1)[1])["links"][0]
    gate, training = link["gates"][0], {one["training"]: one for one in link["trainings"]}
    found = str(eval(sys.argv[2]))
    if found == sys.argv[3]: break
    if time.monotonic() > until: sys.exit("it is %s, of %s" % (found, link))
    time.sleep(0.05)
PY
  pass
}

# metrics_have LINE: within ten seconds a line of the gateway at $socket is like that, an extended regular expression; all are in metrics then.
metrics_have() {
  for _ in $(seq 100); do
    ask GET /metrics > "$work/metrics"
    grep -Eq "$1" "$work/metrics" && { pass; return; }
    sleep 0.1
  done
  fail "no metric is like $1: $(grep "$(grep -o 'tideway_[a-z_]*' <<< "$1")" "$work/metrics")"
}

# refuses EXIT CODE TEXT COMMAND...: the command ends with that exit code and names the stable code and the text.
refuses() {
  local exit_code=$1 code=$2 text=$3 got=0
  shift 3
  "$@" > "$work/out" 2> "$work/err.log" || got=$?
  [ "$got" -eq "$exit_code" ] || fail "$* ended with $got instead of $exit_code: $(cat "$work/err.log")"
  grep -qF "($code)" "$work/err.log" || fail "$* did not say ($code): $(cat "$work/err.log")"
  grep -qF -- "$text" "$work/err.log" || fail "$* did not name \"$text\": $(cat "$work/err.log")"
  pass
}

# said LOG TEXT: the gateway's log names what the peer is not told.
said() {
  for _ in $(seq 50); do
    grep -qF -- "$2" "$work/$1.log" && { pass; return; }  # a client may be gone before the gateway has judged it
    sleep 0.1
  done
  fail "$1 did not log \"$2\": $(tail -n 5 "$work/$1.log")"
}

# Nothing but our own folder is where a copy that failed wanted to go.
absent() { [ ! -e "$1" ] && [ ! -L "$1" ] || fail "$1 is there"; pass; }

list_tree() {
  (cd "$1" && find . -mindepth 1 ! -name .tideway-manifest \( -type l -printf 'l %l %P\0' -o -printf '%y %m %T@ %P\0' \) |
    sort -z | cat -v | sed 's/\^@/\n/g')
}

# The same names, types, modes, times (but of links), link targets and bytes; our manifest apart.
same_tree() {
  list_tree "$1" > "$work/list.1"
  list_tree "$2" > "$work/list.2"
  cmp -s "$work/list.1" "$work/list.2" || fail "$1 and $2 differ: $(diff "$work/list.1" "$work/list.2" | cut -c1-120 | head -n 6)"
  # Paths below deep/ are longer than what diff can name.
  diff --recursive --no-dereference --exclude=.tideway-manifest --exclude=deep "$1" "$2" > "$work/diff.log" || fail "$1 and $2 differ: $(head -n 4 "$work/diff.log")"
  pass
}
