#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The self-test over DPDK passes without huge pages, for an ordinary user as for root, leaves nothing behind, and says
# what is wrong when it cannot run.
source "$(dirname "$0")/lib.sh"
"$bin/tideway" doctor > "$work/doctor.log" 2>&1 || :
grep -q 'DPDK: ' "$work/doctor.log" || fail "the doctor says nothing about DPDK: $(cat "$work/doctor.log")"; pass
if grep -q 'DPDK: not in this build' "$work/doctor.log"; then
  refuses 1 unsupported dpdk "$bin/tideway" selftest --dpdk
  echo "SKIP: the programs are built without DPDK"
  exit 77
fi

# passes NAME COMMAND...: the command runs the self-test below a folder of its own, to its end, over the ports.
passes() {
  local name=$1 step
  shift
  mkdir "$work/$name"
  chmod 1777 "$work/$name"
  TMPDIR=$work/$name "$@" selftest --dpdk --json > "$work/$name.out" 2> "$work/$name.log" || fail "$name: $(cat "$work/$name.log")"; pass
  for step in start make push pull verify compare; do
    grep -q "\"name\":\"$step\"" "$work/$name.out" || fail "$name: no step $step in $(cat "$work/$name.out")"
  done
  grep '"name":"push"' "$work/$name.out" | grep -Eq '"packets_sent":[0-9]{5,}' || fail "$name: the tree did not cross the ports"; pass
  grep -q '"state":"passed"' "$work/$name.out"; pass
  [ -z "$(ls -A "$work/$name")" ] || fail "$name left $(ls -A "$work/$name")"; pass
}
passes itself "$bin/tideway"
if [ "$(id -u)" -eq 0 ] && setpriv --reuid nobody --clear-groups true 2> /dev/null; then
  chmod 0755 "$work"
  # Nobody may look below where the programs were built.
  install -m 0755 "$bin/tideway" "$work/tideway"
  passes nobody setpriv --reuid nobody --clear-groups "$work/tideway"
fi

refuses 2 usage "--dpdk" "$bin/tideway" selftest
refuses 7 dest_io "set TMPDIR" env TMPDIR=/proc "$bin/tideway" selftest --dpdk
mkdir "$work/ended"
code=0
TMPDIR=$work/ended timeout --preserve-status --signal TERM 0.7 "$bin/tideway" selftest --dpdk > /dev/null 2> "$work/ended.log" || code=$?
[ "$code" -eq 143 ] || [ "$code" -eq 0 ] || fail "interrupted, it ended with $code: $(cat "$work/ended.log")"; pass
[ -z "$(ls -A "$work/ended")" ] || fail "interrupted, it left $(ls -A "$work/ended")"; pass
