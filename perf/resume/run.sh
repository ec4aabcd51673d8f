#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# How long after a kill the first new byte arrives: perf/resume/run.sh [--quick] [flags, see --help]
exec python3 "$(dirname "$0")/run.py" "$@"
