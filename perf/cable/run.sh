#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# From file to file between two sites joined by a cable, beside peers: perf/cable/run.sh [--quick] [--mtu 9000] [flags, see --help]
exec python3 "$(dirname "$0")/run.py" "$@"
