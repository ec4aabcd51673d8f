#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The systemd units we ship: as tight as promised, and no tighter than a gateway bears. Where strace is there, the system
# calls of a gateway at work are compared with those that the unit lets through.
source "$(dirname "$0")/lib.sh"
command -v systemd-analyze > /dev/null || { echo "SKIP: needs systemd-analyze"; exit 77; }
unit=$repo/config/systemd/tidewayd.service
exposure() { systemd-analyze security --offline=true --no-pager "$1" | sed -n 's/.*Overall exposure level for .*: \([0-9.]*\) .*/\1/p'; }
below() { awk -v is="$2" -v most="$3" 'BEGIN { exit !(is != "" && is <= most) }' || fail "$1 has the exposure \"$2\", above $3"; pass; }
below tidewayd.service "$(exposure "$unit")" 2.0
mkdir -p "$work/units/tidewayd.service.d"
cp "$unit" "$work/units/"
cp "$repo/config/systemd/tidewayd.service.d/dpdk.conf" "$work/units/tidewayd.service.d/"
below "with dpdk.conf" "$(exposure "$work/units/tidewayd.service")" 3.0
sed "s#/usr/bin/tidewayd#$bin/tidewayd#" "$unit" > "$work/units/tidewayd.service"
if ! systemd-analyze verify "$work/units/tidewayd.service" > "$work/verify" 2>&1 || grep -q tidewayd "$work/verify"; then
  fail "the unit is not right: $(cat "$work/verify")"
fi
pass

grep -qx LimitCORE=0 "$unit" || fail "a gateway may leave a core"; pass
grep -qx Restart=on-failure "$unit" && grep -qx WatchdogSec=30 "$unit" || fail "a gateway that dies, or hangs, is not started again"; pass

# As the unit runs it: an ordinary user without any capability, and a manager that is told how far it is.
make_sites 127.0.0.1 127.0.0.1
head -c 5000000 /dev/urandom > "$work/file"
if [ "$(id -u)" -eq 0 ] && command -v setpriv > /dev/null && command -v python3 > /dev/null; then
  chmod 755 "$work" && chown -R nobody "$work/wisconsin" && chmod -R o+rX "$work/wisconsin.toml"
  python3 -c 'import socket, sys
manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
manager.bind(sys.argv[1])
told = ""
while told != "STOPPING=1": print(told := manager.recv(99).decode(), flush=True)' "$work/notify" > "$work/told" &
  manager=$!
  running+=("$manager")
  for _ in $(seq 50); do [ -S "$work/notify" ] && break; sleep 0.1; done
  chmod 777 "$work/notify"
  serve wisconsin "$work/wisconsin.toml" env NOTIFY_SOCKET="$work/notify" WATCHDOG_USEC=200000 \
    setpriv --reuid nobody --regid nogroup --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs
  grep -q '^CapEff:.*0000000000000000$' "/proc/$gateway/status" || fail "it has capabilities"; pass
  [ "$(stat -c %u "/proc/$gateway/environ")" -eq 0 ] || fail "it may be dumped and debugged by its user"; pass
  tideway copy -q "$work/file" wisconsin:data/as-nobody
  tideway copy -q wisconsin:data/as-nobody "$work/from-nobody"
  cmp "$work/file" "$work/from-nobody"; pass
  beats() { grep -c '^WATCHDOG=1$' "$work/told"; }
  for _ in $(seq 100); do [ "$(beats)" -ge 3 ] && break; sleep 0.1; done
  [ "$(beats)" -ge 3 ] || fail "the watchdog was not told: $(cat "$work/told")"; pass
  kill -HUP "$gateway"
  said wisconsin "reloaded certificate="
  kill "$gateway" && wait "$gateway" 2> /dev/null || fail "the gateway did not end well"
  wait "$manager"
  [ "$(grep -v '^WATCHDOG=1$' "$work/told" | tr '\n' ' ')" = "READY=1 RELOADING=1 READY=1 STOPPING=1 " ] || fail "the manager was told: $(cat "$work/told")"; pass
  chown -R "$(id -u)" "$work/wisconsin"
fi

# What the filter lets through: the groups of the unit, taken apart.
expand() {
  local name
  for name in "$@"; do
    case $name in
      @*) expand $(systemd-analyze syscall-filter "$name" | sed -n 's/^ *\([@a-z0-9_-]*\)$/\1/p' | grep -vxF "$name") ;;
      *) echo "$name" ;;
    esac
  done
}
if ! command -v strace > /dev/null || ! strace -o /dev/null true 2> /dev/null; then
  echo "SKIP: system calls need strace"
  exit 0
fi
expand $(sed -n 's/^SystemCallFilter=//p' "$unit") | sort -u > "$work/allowed"
grep -qx io_uring_enter "$work/allowed" && grep -qx openat2 "$work/allowed" && grep -qx landlock_restrict_self "$work/allowed" || fail "the filter could not be taken apart"; pass
serve wisconsin "$work/wisconsin.toml" strace -f -qq -o "$work/trace"
if "$bin/tideway" doctor 2> /dev/null | grep -q '^OK .*Landlock'; then said wisconsin landlock_on; else said wisconsin landlock_off; fi
tideway copy -q --verify readback "$work/file" wisconsin:data/file
tideway copy -q wisconsin:data/file "$work/back"
daemon=$(pgrep -P "$gateway" | head -n 1)
kill -HUP "$daemon"
said wisconsin "reloaded certificate="
kill "$daemon"
wait "$gateway" || fail "the gateway did not end well"
sed -n 's/^[0-9]* \+\(<\.\.\. \)\?\([a-z0-9_]*\)[( ].*/\2/p' "$work/trace" | sort -u | grep -vxF -f "$work/allowed" > "$work/missing" || :
[ ! -s "$work/missing" ] || fail "the unit forbids system calls that the gateway makes: $(tr '\n' ' ' < "$work/missing")"; pass
[ "$(sed -n 's/^[0-9]* \+\([a-z0-9_]*\)(.*/\1/p' "$work/trace" | sort -u | wc -l)" -gt 30 ] || fail "strace saw nothing"; pass
for program in tideway tidewayd; do
  strace -f -qq -e trace=prctl -o "$work/first" "$bin/$program" --version > /dev/null
  grep -q 'prctl(PR_SET_DUMPABLE, \(SUID_DUMP_DISABLE\|0\)' "$work/first" || fail "$program may leave a core"; pass
done
