#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What single functions of the hot path cost, beside what no code can beat: perf/micro/run.sh [--quick] [flags, see --help]
exec python3 "$(dirname "$0")/run.py" "$@"
