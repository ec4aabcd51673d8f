#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Compiles the XDP program with which a port of net_af_xdp takes from an interface what is for its own addresses, and
# leaves the rest to the kernel (config/xdp/tideway_xdp.bpf.c):
#
#   scripts/xdp_program.sh [--vlan N] FILE.o ADDRESS...      e.g. /etc/tideway/tideway_xdp.o 10.77.0.12 fd77::12
#
# --vlan is the port's `vlan` in [data_plane.dpdk]: then frames with that tag are taken, and no others.
#
# then eal_args = ["--no-pci", "--vdev=net_af_xdp0,iface=eth1,xdp_prog=FILE.o"] in [data_plane.dpdk]. Needs clang,
# libbpf-dev and python3.
set -euo pipefail

fail() { echo "xdp_program: $1" >&2; echo "  next  $2" >&2; exit 1; }

vlan=0
if [ "${1-}" = --vlan ]; then
  vlan=${2-}
  [[ "$vlan" =~ ^[0-9]{1,4}$ ]] && [ "$vlan" -ge 1 ] && [ "$vlan" -le 4094 ] || fail "there is no VLAN \"$vlan\"" "write a number from 1 to 4094"
  shift 2
fi
[ $# -ge 2 ] || { sed -n '4,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
here=$(cd "$(dirname "$0")/.." && pwd)
out=$1
shift
command -v clang > /dev/null && [ -e /usr/include/bpf/bpf_helpers.h ] || fail "no compiler for BPF" "apt-get install clang libbpf-dev"

# Words of network order, IPv4 as ::ffff:a.b.c.d.
addresses=$(python3 - "$@" <<'PY'
import ipaddress, sys
for text in sys.argv[1:]:
    address = ipaddress.ip_address(text.split("/")[0])
    packed = bytes(10) + b"\xff\xff" + address.packed if address.version == 4 else address.packed
    words = ", ".join(f"bpf_htonl(0x{packed[i:i + 4].hex()})" for i in range(0, 16, 4))
    print(f"{{{{{words}}}}},", end=" ")
PY
) || fail "an address is wrong: $*" "write them as 10.77.0.12 or fd77::12"
# -g: libbpf reads the type of the map from what describes it to debuggers.
clang -target bpf -O2 -g -Wall -Wextra -Werror -Wno-pointer-arith "-DTIDEWAY_ADDRESSES=$addresses" "-DTIDEWAY_VLAN=$vlan" \
  -I "/usr/include/$(uname -m)-linux-gnu" -c "$here/config/xdp/tideway_xdp.bpf.c" -o "$out"
