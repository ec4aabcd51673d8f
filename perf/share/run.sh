#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# How two copies share a link: perf/share/run.sh [--quick] [flags, see --help], as root
exec python3 "$(dirname "$0")/run.py" "$@"
