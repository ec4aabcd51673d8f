#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A training loses its site and goes on at the other one. A small GPT is trained by two gloo processes, one per site, over an emulated
# wide-area link; it saves with torch.distributed.checkpoint every few seconds, and Tideway brings each checkpoint to the other site in
# what the training leaves of the link. Then both processes and the gateway of the first site are killed, and the training goes on at
# the other site, with the losses of a run that nobody disturbed.
#
#   sudo ./scripts/demo-trainer.sh                             the last line is PASS or FAIL
#   TIDEWAY_BIN=DIR ./scripts/demo-trainer.sh --steps 120      programs built elsewhere; flags of examples/gpt/demo.py
#
# Installs what it needs, builds if nothing is built, asks nothing, may be run again; writes below build/ only and ends what it started.
# build/demo-trainer has the logs and the picture. Needs root and network namespaces; without them it is skipped, with exit code 77.
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

name=demo-trainer
programs=(tideway tidewayd tideway-wan)
. scripts/demo_lib.sh
# What a run left that was killed before it could clean up. Its namespaces bear its process number, and hold nobody else's processes.
sweep() {
  local state bed space
  for state in "$work"/testbed/twdemo*; do
    [ -e "$state" ] || continue
    bed=${state##*/}
    kill -0 "${bed#twdemo}" 2>/dev/null && { echo "another run is under way: ${bed#twdemo}"; exit 1; }
    for space in a b; do ip netns pids "$bed-$space" 2>/dev/null | xargs -r kill -9 2>/dev/null || :; done
    TIDEWAY_TESTBED=$bed TIDEWAY_TESTBED_STATE=$PWD/$work/testbed scripts/testbed.sh down
  done
}

begin

echo "0. packages and build"
scripts/install_deps.sh demo >> "$log" 2>&1
needs_namespaces
sweep
find "$work" -mindepth 1 -maxdepth 1 ! -name demo-trainer.log -exec rm -rf {} +
build_programs programs
built=$SECONDS

# Debian's own python3: its torch is installed for no other one.
run /usr/bin/python3 -B examples/gpt/demo.py --bin "$bin" --work "$work" "$@"
echo "PASS demo-trainer in $((SECONDS - built)) s; the picture is $work/demo-trainer.svg"
