# SPDX-License-Identifier: Apache-2.0
#
# What the end-to-end tests of the dpdk backend share. Sourced after lib.sh, not run.

# needs_dpdk DRIVER: skips the test where the build or the driver is not there.
needs_dpdk() {
  "$bin/tideway" doctor > "$work/doctor.log" 2>&1 || :
  grep -q 'DPDK: in this build' "$work/doctor.log" || { echo "SKIP: the programs are built without DPDK"; exit 77; }
  [ -n "$(find /usr/lib /usr/local/lib -name "librte_$1.so*" 2> /dev/null | head -n 1)" ] || { echo "SKIP: the driver $1 of DPDK is not installed"; exit 77; }
}

# with_port SITE ADDRESS [KEY = VALUE]...: the configuration of SITE with a port of its own beside the kernel.
with_port() {
  local site=$1 address=$2
  shift 2
  sed 's/^\[data_plane\]$/[data_plane]\nbackend = "dpdk"/' "$work/$site.toml"
  printf '[data_plane.dpdk]\naddress = "%s"\n' "$address"
  printf '%s\n' "$@"
}

# eal WORD...: the line of the configuration.
eal() { local words; words=$(printf ', "%s"' "$@"); printf 'eal_args = [%s]' "${words:2}"; }

end() { kill "$gateway" && wait "$gateway" 2> /dev/null || :; }

# copy NAME ARGUMENTS...: from site a, with the configuration of that name.
copy() { local config=$1; shift; bed exec a "$bin/tideway" --config "$work/$config.toml" copy -q "$@"; }

# there_and_back NAME CONFIG: pushes $work/file, pulls it again, and compares both.
there_and_back() {
  copy "$2" "$work/file" "wisconsin:data/$1"
  cmp "$work/file" "$work/wisconsin/data/$1" || fail "$1: what was pushed differs"; pass
  copy "$2" "wisconsin:data/$1" "$work/$1.back"
  cmp "$work/file" "$work/$1.back" || fail "$1: what was pulled differs"; pass
}

# answers_ping SITE ADDRESS: an echo request of that site is answered; the link may lose some.
answers_ping() {
  bed exec "$1" python3 - "$2" <<'PY' || fail "$2 does not answer an echo request"
import socket, struct, sys, time
address = sys.argv[1]
is_ipv4 = ":" not in address
request, reply = (8, 0) if is_ipv4 else (128, 129)
def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return ~((total & 0xFFFF) + (total >> 16)) & 0xFFFF
family, protocol = (socket.AF_INET, socket.IPPROTO_ICMP) if is_ipv4 else (socket.AF_INET6, socket.IPPROTO_ICMPV6)
with socket.socket(family, socket.SOCK_RAW, protocol) as raw:
    for number in range(1, 41):
        body = struct.pack("!HH", 7401, number) + b"tideway!"
        head = struct.pack("!BBH", request, 0, 0)
        # The kernel fills in the checksum of ICMPv6.
        raw.sendto(struct.pack("!BBH", request, 0, checksum(head + body)) + body, (address, 0))
        # What else comes in (neighbours, groups) is no answer, and none that is missing.
        until = time.monotonic() + 0.5
        while (left := until - time.monotonic()) > 0:
            raw.settimeout(left)
            try:
                got = raw.recv(2048)
            except socket.timeout:
                break
            if got[20 if is_ipv4 else 0:].startswith(bytes([reply, 0])): sys.exit(0)
sys.exit(1)
PY
  pass
}
