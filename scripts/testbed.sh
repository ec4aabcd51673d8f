#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Two sites and a wide-area link on one machine, in network namespaces of their own:
#
#   <name>-a  wan0 10.77.0.1/24 fd77::1/64  --  <name>-w  tideway-wan  --  <name>-b  wan0 10.77.0.2/24 fd77::2/64
#
#   scripts/testbed.sh up [--interface-mtu N] [--plain-frames] [flags of tideway-wan]    e.g. up --rate 1Gbit --delay 25ms --loss 0.1%
#   scripts/testbed.sh exec a|b COMMAND...        runs a command at a site
#   scripts/testbed.sh restart [flags]            the same namespaces, another link
#   scripts/testbed.sh cut                        ends the link and keeps the sites: its statistics are complete then
#   scripts/testbed.sh status                     what the link did so far
#   scripts/testbed.sh down                       ends and removes what `up` started, nothing else
#
# --plain-frames keeps the kernel from gluing packets together that arrive at a site, for whoever reads frames beside it.
#
# TIDEWAY_TESTBED names the testbed (default tw), so several live side by side. TIDEWAY_WAN is the emulator's binary; by
# default the release or else the dev build. Needs root (or CAP_NET_ADMIN, CAP_SYS_ADMIN and CAP_NET_RAW).
set -Eeuo pipefail

here=$(cd "$(dirname "$0")/.." && pwd)
name=${TIDEWAY_TESTBED:-tw}
state=${TIDEWAY_TESTBED_STATE:-/run/tideway-testbed}/$name  # a folder that is root's alone, as the namespaces are
a=$name-a w=$name-w b=$name-b

fail() { echo "testbed: $1" >&2; [ $# -lt 2 ] || echo "  next  $2" >&2; exit 1; }
usage() { sed -n '3,20s/^# \{0,1\}//p' "$0"; exit "${1:-0}"; }

case $name in *[!a-zA-Z0-9_-]*|'') fail "TIDEWAY_TESTBED=\"$name\" is not a plain name" "use letters and digits" ;; esac

find_emulator() {
  for candidate in "${TIDEWAY_WAN:-}" "$here/build/release/bin/tideway-wan" "$here/build/dev/bin/tideway-wan"; do
    [ -n "$candidate" ] && [ -x "$candidate" ] && { echo "$candidate"; return; }
  done
  fail "no tideway-wan found" "cmake --preset release && cmake --build --preset release --target tideway-wan"
}

# Our emulator, and not whatever got its process number later.
emulator_pid() {
  local pid
  pid=$(cat "$state/pid" 2>/dev/null) || return 1
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = tideway-wan ] || return 1
  [ "$(awk '{print $22}' "/proc/$pid/stat")" = "$(cat "$state/pid_start")" ] || return 1
  echo "$pid"
}

start_emulator() {
  local emulator pid
  emulator=$(find_emulator)
  : > "$state/wan.log"
  rm -f "$state/stats.jsonl"
  # exec, so that the number is the emulator's own.
  ip netns exec "$w" "$emulator" to_a to_b --stats "$state/stats.jsonl" "$@" > "$state/wan.log" 2>&1 < /dev/null &
  pid=$!
  for _ in $(seq 100); do
    grep -q '^ready' "$state/wan.log" && break
    kill -0 "$pid" 2>/dev/null || { cat "$state/wan.log" >&2; return 1; }
    read -rt 0.05 <> <(:) || :
  done
  grep -q '^ready' "$state/wan.log" || { kill "$pid"; fail "the emulator did not become ready in 5 s"; }
  echo "$pid" > "$state/pid"
  awk '{print $22}' "/proc/$pid/stat" > "$state/pid_start"
  disown "$pid"
  echo "$*" > "$state/flags"
}

stop_emulator() {
  local pid
  pid=$(emulator_pid) || return 0
  kill -TERM "$pid"
  for _ in $(seq 100); do
    kill -0 "$pid" 2>/dev/null || break
    read -rt 0.05 <> <(:) || :
  done
  kill -KILL "$pid" 2>/dev/null || :
  rm -f "$state/pid"
}

# One site: namespace, its end of a veth pair, addresses. The other end is called $3 in the link's namespace.
make_site() {
  local site=$1 host=$2 far=$3 mtu=$4
  ip netns add "$site" && echo "$site" >> "$state/namespaces"
  # TCP gets what a fast long path needs: it is the comparison, and should be at its best.
  ip netns exec "$site" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 \
    net.ipv4.tcp_rmem="4096 131072 268435456" net.ipv4.tcp_wmem="4096 131072 268435456" \
    net.ipv4.tcp_slow_start_after_idle=0 net.ipv4.tcp_no_metrics_save=1
  ip link add wan0 mtu "$mtu" netns "$site" type veth peer name "$far" mtu "$mtu" netns "$w"
  # Every frame on the link must be one packet with its checksum in place: nothing is left to a device that is not there.
  offloads_off "$site" wan0
  offloads_off "$w" "$far"
  # Receiving is another matter: like a real NIC, the site's end collects what arrives (NAPI with GRO) and has it handled
  # at the site's expense; else all of it would run, frame by frame, inside the emulator's send calls.
  ip netns exec "$site" ethtool -K wan0 gro on > /dev/null
  ip -n "$site" link set dev lo up
  ip -n "$site" link set dev wan0 txqueuelen 10000 up
  ip -n "$w" link set dev "$far" txqueuelen 10000 up
  ip netns exec "$site" sh -c 'echo 1 > /sys/class/net/wan0/threaded' 2> /dev/null || :  # only works while it is up
  ip -n "$site" addr add "10.77.0.$host/24" dev wan0
  ip -n "$site" addr add "fd77::$host/64" dev wan0 nodad
}

offloads_off() {
  ip netns exec "$1" ethtool -K "$2" tx off rx off sg off tso off gso off gro off > /dev/null
}

up() {
  local mtu=1500 plain=()
  if [ "${1:-}" = --interface-mtu ]; then mtu=${2:?}; shift 2; fi
  if [ "${1:-}" = --plain-frames ]; then plain=("$a" "$b"); shift; fi
  [ "$(id -u)" = 0 ] || fail "network namespaces need root" "sudo $0 up ..."
  for tool in ip ethtool sysctl; do
    command -v "$tool" > /dev/null || fail "$tool is missing" "apt-get install iproute2 ethtool procps"
  done
  [ ! -e "$state/namespaces" ] || fail "testbed $name is up already" "$0 down, or another TIDEWAY_TESTBED"
  for space in "$a" "$w" "$b"; do
    [ ! -e "/run/netns/$space" ] || fail "the namespace $space exists and is not ours" "choose another TIDEWAY_TESTBED"
  done
  find_emulator > /dev/null
  mkdir -p "$state"
  trap 'down_quietly' ERR
  ip netns add "$w" && echo "$w" > "$state/namespaces"
  # The link itself has no opinions: no addresses, no router discovery, no frames of its own.
  ip netns exec "$w" sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1
  make_site "$a" 1 to_a "$mtu"
  make_site "$b" 2 to_b "$mtu"
  for space in "${plain[@]}"; do ip netns exec "$space" ethtool -K wan0 gro off > /dev/null; done
  start_emulator "$@" || { down_quietly; fail "the emulator refused its flags: $*" "tideway-wan --help"; }
  trap - ERR
  echo "up: $a 10.77.0.1 fd77::1 -- $w ($*) -- $b 10.77.0.2 fd77::2, mtu $mtu"
}

down() {
  stop_emulator
  if [ -e "$state/namespaces" ]; then
    while read -r space; do ip netns del "$space" 2>/dev/null || :; done < "$state/namespaces"
  fi
  rm -rf "$state"
}
down_quietly() { trap - ERR; down > /dev/null 2>&1 || :; }

verb=${1:-}
[ $# -eq 0 ] || shift
case $verb in
  up) up "$@" ;;
  down) down ;;
  cut) stop_emulator ;;
  restart)
    [ -e "$state/namespaces" ] || fail "testbed $name is not up" "$0 up ..."
    stop_emulator
    start_emulator "$@" || fail "the emulator refused its flags: $*" "tideway-wan --help" ;;
  exec)
    case ${1:-} in a|b) site=$name-$1 ;; *) fail "exec needs a site, a or b" "$0 exec a COMMAND" ;; esac
    shift
    [ $# -gt 0 ] || fail "exec needs a command" "$0 exec a COMMAND"
    [ -e "$state/namespaces" ] || fail "testbed $name is not up" "$0 up ..."
    exec ip netns exec "$site" "$@" ;;
  status)
    pid=$(emulator_pid) || fail "testbed $name is not up" "$0 up ..."
    echo "testbed $name, emulator $pid: $(cat "$state/flags")"
    lines=$(wc -l < "$state/wan.log")
    kill -USR1 "$pid"
    for _ in $(seq 40); do
      [ "$(wc -l < "$state/wan.log")" -gt "$lines" ] && break
      read -rt 0.05 <> <(:) || :
    done
    tail -n "+$((lines + 1))" "$state/wan.log" ;;
  -h|--help|help) usage ;;
  *) usage 2 >&2 ;;
esac
