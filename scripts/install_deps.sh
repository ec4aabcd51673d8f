#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs the Debian 12 packages that Tideway needs. Asks nothing, installs only what is missing, may be run again.
#   scripts/install_deps.sh [build] [test] [perf] [tide] [demo]   without a group: build and test
set -euo pipefail

build=(build-essential cmake ninja-build ccache pkg-config git libssl-dev liburing-dev libzstd-dev libxxhash-dev
       protobuf-compiler libprotobuf-dev nlohmann-json3-dev libtomlplusplus-dev libcli11-dev libspdlog-dev
       libsqlite3-dev libmicrohttpd-dev libdpdk-dev)
test=(libgtest-dev librapidcheck-dev libbenchmark-dev clang clang-tidy clang-format libclang-rt-14-dev lld python3 iproute2 nftables ethtool rsync
      procps openssl faketime dpdk dpdk-dev libbpf-dev tshark strace chromium prometheus e2fsprogs btrfs-progs)
# The peers of perf/wan and perf/disk, and what draws the plots. No service is started, see below.
perf=(libbenchmark-dev iperf3 rsync openssh-client openssh-server rclone uftp globus-gridftp-server-progs globus-gass-copy-progs fio
      iproute2 ethtool procps python3 python3-matplotlib)
# scripts/demo-tide.sh, and scripts/demo-trainer.sh
tide=(git python3 python3-matplotlib iproute2 ethtool procps)
demo=(git python3 python3-torch python3-matplotlib iproute2 ethtool procps)
# Sealing by ipsec-mb exists on x86-64 only; elsewhere OpenSSL does it.
[[ $(uname -m) == x86_64 ]] && build+=(libipsec-mb-dev)
# What the Python package meets, and what installs and checks it.
test+=(python3-torch python3-fsspec python3-pip mypy)

wanted=()
for group in "${@:-build test}"; do
  for name in $group; do
    case $name in
      build) wanted+=("${build[@]}") ;;
      test) wanted+=("${test[@]}") ;;
      perf) wanted+=("${perf[@]}") ;;
      tide) wanted+=("${tide[@]}") ;;
      demo) wanted+=("${demo[@]}") ;;
      *) echo "install_deps.sh: unknown group '$name'; the groups are: build test perf tide demo" >&2; exit 2 ;;
    esac
  done
done

is_installed() { [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]; }

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "install_deps.sh: no apt on this system. Install what corresponds to: ${wanted[*]}" >&2
  exit 1
fi

missing=()
for package in "${wanted[@]}"; do
  is_installed "$package" || missing+=("$package")
done
[[ ${#missing[@]} -eq 0 ]] && exit 0

as_root=()
if [[ $EUID -ne 0 ]]; then
  # -n: a password prompt would be a question.
  if ! sudo -n true 2>/dev/null; then
    echo "install_deps.sh: not root, and sudo is missing or wants a password. Run: sudo apt-get install ${missing[*]}" >&2
    exit 1
  fi
  as_root=(sudo -n)
fi

echo "install_deps.sh: installing ${missing[*]}"
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
hold=
trap 'rm -f "$log"; [[ -z $hold ]] || "${as_root[@]}" rm -f "$policy"' EXIT
# Some packages are servers, which Debian would start at once. Only a measurement starts them, on a link of its own.
if [[ ! -e $policy ]]; then
  hold=yes
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod 755 "$policy"
fi
apt() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1; }
# Package lists may be old or absent, as in a fresh container: refresh them only when the first try fails.
if ! apt install -y --no-install-recommends "${missing[@]}"; then
  if ! apt update || ! apt install -y --no-install-recommends "${missing[@]}"; then
    tail -n 20 "$log" >&2
    echo "install_deps.sh: apt could not install: ${missing[*]}" >&2
    exit 1
  fi
fi
