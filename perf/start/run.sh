#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a cold copy and a warm one lose to start and end, in virtual time: perf/start/run.sh [--quick] [--start cold,known,warm,steady] [--rtt 100,200]
# [--seeds 3] [--look 20]
# Without flags three seeds of each cell.
[ "${1:-}" != --help ] || { sed -n '4,6s/^# //p' "${BASH_SOURCE[0]}"; exit; }
bin=${TIDEWAY_BIN:-$(dirname "${BASH_SOURCE[0]}")/../../build/release/bin}
[ $# -gt 0 ] || set -- --seeds 3
[ "$1" != --quick ] || set -- --rtt 100 --look 20 "${@:2}"
exec "$bin/tideway-cold-start" "$@"
