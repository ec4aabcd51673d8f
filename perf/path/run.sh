#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the data path costs per packet and stage, and the AEAD alone: perf/path/run.sh [--quick] [flags, see --help]
exec python3 "$(dirname "$0")/run.py" "$@"
