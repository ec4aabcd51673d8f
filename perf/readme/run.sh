#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The measurements behind the tables of README.md, each with its command: some three hours on an idle machine of 2 cores, as root.
# perf/readme/run.sh [--quick]
set -euo pipefail
cd "$(dirname "$0")/.."
ways=alone,elsewhere,elsewhere-board,board,beacon,counters,scavenger,capped,unannounced,cubic,bbr
wan/run.sh --rtt 1,10,50,100,200 --loss 0,1 --what file --repeats 5 --limit 15 "$@"
wan/run.sh --rtt 50,100 --loss 0,1 --what tree,file --only tideway,daemon --repeats 5 "$@"
tide/run.sh --rate 1Gbit --rounds 5 --iterations 20 --modes "$ways" --relock 20% "$@"
