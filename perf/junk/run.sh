#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What strangers' datagrams cost a copy that runs: perf/junk/run.sh [--quick] [flags, see --help]
exec python3 "$(dirname "$0")/run.py" "$@"
