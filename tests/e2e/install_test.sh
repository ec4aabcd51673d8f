#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What README.md says to install: the programs run from where they are put, and the unit starts them from there.
source "$(dirname "$0")/lib.sh"
build=$(dirname "$bin")
[ -e "$build/cmake_install.cmake" ] || { echo "SKIP: $bin is in no build folder"; exit 77; }
command -v cmake > /dev/null || { echo "SKIP: needs cmake"; exit 77; }

DESTDIR=$work/dest cmake --install "$build" --component programs --prefix /usr > "$work/install.log"
started=$(sed -n 's/^ExecStart=\([^ ]*\).*/\1/p' "$work/dest/usr/lib/systemd/system/tidewayd.service")
[ -x "$work/dest$started" ] || fail "the unit starts $started, which is not installed: $(cat "$work/install.log")"; pass
"$work/dest$started" --version | grep -q '^tidewayd [0-9]' || fail "tidewayd does not run from where it is installed"; pass
"$work/dest/usr/bin/tideway" --version | grep -q '^tideway [0-9]' || fail "tideway does not run from where it is installed"; pass
grep -q '^u tideway ' "$work/dest/usr/lib/sysusers.d/tideway.conf" || fail "nobody makes the user of the unit"; pass
