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

bin=${TIDEWAY_BIN:-build/release/bin}
work=build/demo-trainer
log=$work/demo-trainer.log
programs=(tideway tidewayd tideway-wan)
demo=

skip() { echo "SKIP demo-trainer: $*"; exit 77; }
finish() {
  local code=$?
  [ -z "$demo" ] || wait "$demo" || :  # told to end, it ends what it started first
  [ "$code" -eq 0 ] || [ "$code" -eq 77 ] || { tail -n 20 "$log" >&2 || :; echo "FAIL demo-trainer, see $work"; }
}
are_built() { for program in "${programs[@]}"; do [ -x "$bin/$program" ] || return; done; }
# What a run left that was killed before it could clean up. Its namespaces bear its process number, and hold nobody else's processes.
sweep() {
  local state name space
  for state in "$work"/testbed/twdemo*; do
    [ -e "$state" ] || continue
    name=${state##*/}
    kill -0 "${name#twdemo}" 2>/dev/null && { echo "another run is under way: ${name#twdemo}"; exit 1; }
    for space in a b; do ip netns pids "$name-$space" 2>/dev/null | xargs -r kill -9 2>/dev/null || :; done
    TIDEWAY_TESTBED=$name TIDEWAY_TESTBED_STATE=$PWD/$work/testbed scripts/testbed.sh down
  done
}

[ "$(id -u)" -eq 0 ] || skip "needs root, for network namespaces"
trap finish EXIT
mkdir -p "$work"
: > "$log"

echo "0. packages and build"
scripts/install_deps.sh demo >> "$log" 2>&1
{ ip netns add "twprobe$$" && ip netns del "twprobe$$"; } 2>> "$log" || skip "needs network namespaces, and this machine allows none"
sweep
find "$work" -mindepth 1 -maxdepth 1 ! -name demo-trainer.log -exec rm -rf {} +
if ! are_built; then
  [ -z "${TIDEWAY_BIN:-}" ] || { echo "TIDEWAY_BIN=$bin has not all of: ${programs[*]}" >&2; exit 1; }
  scripts/install_deps.sh build >> "$log" 2>&1
  cmake --preset release >> "$log" 2>&1
  cmake --build --preset release --target programs >> "$log" 2>&1
fi
built=$SECONDS

# Debian's own python3: its torch is installed for no other one.
/usr/bin/python3 -B examples/gpt/demo.py --bin "$bin" --work "$work" "$@" 2>> "$log" &
demo=$!
trap 'kill "$demo"' INT TERM
wait "$demo"
echo "PASS demo-trainer in $((SECONDS - built)) s; the picture is $work/demo-trainer.svg"
