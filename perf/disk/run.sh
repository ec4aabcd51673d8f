#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# From disk to disk of this machine, beside cp and the device itself: perf/disk/run.sh [--quick] [--dir DIR] [flags, see --help]
exec python3 "$(dirname "$0")/run.py" "$@"
