#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What the Python hooks cost a trainer: perf/hook/run.sh [--quick]
python=/usr/bin/python3  # of the system: the one its package of torch belongs to
[ -x "$python" ] || python=python3
PYTHONDONTWRITEBYTECODE=1 exec "$python" "$(dirname "${BASH_SOURCE[0]}")/run.py" "$@"
