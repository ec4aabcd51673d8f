#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# How much memory a copy of many files takes at either end: perf/memory/run.sh [--quick] [--files 10000000] [flags, see --help]
exec python3 "$(dirname "$0")/run.py" "$@"
