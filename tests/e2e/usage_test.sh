#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A command line that is wrong is told what was meant and where the help is; help and versions are where people look for them.
source "$(dirname "$0")/lib.sh"
export TIDEWAY_CONFIG=$work/none.toml TIDEWAY_API=$work/none.sock
tideway() { "$bin/tideway" "$@"; }
says() {  # TEXT COMMAND...: it succeeds, and says so
  local text=$1; shift
  "$@" > "$work/out" 2>&1 || fail "$* ended with $?: $(cat "$work/out")"
  grep -qF -- "$text" "$work/out" || fail "$* does not say \"$text\": $(cat "$work/out")"; pass
}

refuses 2 usage "write one of copy, submit, jobs" tideway
refuses 2 usage "the nearest one is copy; see tideway --help" tideway cpy a b:c
refuses 2 usage "tideway jobs needs a verb" tideway jobs
refuses 2 usage "the nearest one is list; see tideway jobs --help" tideway jobs lst
refuses 2 usage "the nearest one is --progress; see tideway copy --help" tideway copy --progres a b:c
refuses 2 usage "a tree is copied whole" tideway copy -a a b:c
refuses 2 usage "nothing is removed" tideway copy --delete a b:c
refuses 2 usage "names no root" tideway copy a b:
refuses 4 daemon_unreachable "No such file or directory" tideway ls
refuses 2 usage "tideway peers takes no argument wisconsin" tideway peers wisconsin
refuses 2 usage "--weight: Value 0 not in range 1 to 1000" tideway copy --weight 0 a b:c
refuses 2 usage "no destination is given" tideway copy a
refuses 2 usage "--for" tideway bwlimit --for 2h
refuses 2 usage "RATE: \"10M\"" tideway bwlimit 10M
refuses 6 source_missing "No such file or directory" tideway verify "$work/nothing"
refuses 6 source_missing "has no manifest" tideway verify "$work"
refuses 4 daemon_unreachable "No such file or directory" tideway jobs list
refuses 2 usage '\x1b[31m' tideway peers --quiet=$'\e[31m'

says "tideway copy [OPTIONS] SRC... DST" tideway copy --help
says "PATTERN: * and ? match within a name" tideway copy --help
says "tideway 0." tideway --version
says "tidewayd 0." "$bin/tidewayd" --version
says '"tideway":"0.' tideway version --json
says '"verdict":"' tideway doctor --json

# Whatever is typed. (Where no file is that a word names, and no gateway.)
mkdir "$work/empty"
(cd "$work/empty" && python3 "$repo/tests/e2e/arguments.py" "$bin/tideway" "${SEED:-1}" 150) || fail "a command line ended as none may"; pass

# A training runs whether or not there is a gateway to tell.
code=0
tideway phase run --training llm7 -- sh -c 'exit 7' 2> "$work/err.log" || code=$?
[ "$code" -eq 7 ] || fail "without a gateway the command of phase run ended with $code"; pass
grep -q 'the command runs all the same' "$work/err.log" || fail "and nobody was told: $(cat "$work/err.log")"; pass
refuses 4 daemon_unreachable "" tideway phase begin --training llm7
