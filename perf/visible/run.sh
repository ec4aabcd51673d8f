#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# How long after the end of a save its checkpoint is visible at the target: perf/visible/run.sh [--quick] [flags, see --help]
PYTHONDONTWRITEBYTECODE=1 exec python3 "$(dirname "$0")/run.py" "$@"
