#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# How long after a gate closes the last bulk packet leaves, on a backend that is polled (net_ring) and over kernel UDP, each
# beside its limit: perf/gate/run.sh [--quick] [--bursts 200] [--rounds 5]
exec python3 "$(dirname "$0")/run.py" "$@"
