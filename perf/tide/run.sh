#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Bulk beside a trainer on one emulated link: perf/tide/run.sh [flags, see --help]
exec python3 "$(dirname "$0")/run.py" "$@"
