#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What bash completes, as the program that is completed prints it.
source "$(dirname "$0")/lib.sh"
source <("$bin/tideway" completion bash)

# completes WORDS... LAST: what there is for LAST after those words.
completes() {
  COMP_WORDS=(tideway "$@")
  COMP_CWORD=$#
  COMPREPLY=()
  _tideway
  echo "${COMPREPLY[*]}"
}
# offers WORD ARGUMENTS...
offers() {
  local word=$1; shift
  [[ " $(completes "$@") " == *" $word "* ]] || fail "no $word after: tideway $*: $(completes "$@")"; pass
}

offers jobs job
offers --config --con
offers set jobs s
offers show jobs ""
offers --class jobs set --cl
offers --class jobs set 7b1e --cl   # a job by its id
offers --weight jobs set 7b1e --class staging --w
offers --deadline submit --class staging /data/set wisconsin:data/set --dead
offers --include copy ./a:b wisconsin:data/x --inc
offers bash completion ""
[ -z "$(completes jobs set 7b1e --nothing)" ] || fail "a flag that does not exist"; pass
[[ " $(completes jobs set 7b1e --) " != *" --dry-run "* ]] || fail "a flag of another verb"; pass
