#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a user gets over a wide-area link: perf/wan/run.sh [--quick] [flags, see --help]
exec python3 "$(dirname "$0")/run.py" "$@"
