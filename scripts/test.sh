#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Installs what is missing, builds, and runs every test. Asks nothing, may be run again, writes below build/ only.
# Exit code 0 only if all passed; the last line is `PASS ...` or `FAIL ...`. A test whose facility is missing on this
# machine (root, namespaces, io_uring) is skipped by name and counted.
#
# Unit, conformance, property and simulation tests run with the sanitizers on, end-to-end tests against the release
# build, fuzz targets for a fixed number of runs each over their seeds.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

jobs=$(nproc)
logs=build/test-logs
failures=() skipped=()
passed=0
mkdir -p "$logs"

# The sanitizers of these compilers cannot place their shadow memory under the strongest address randomisation.
steady=()
setarch "$(uname -m)" -R true 2>/dev/null && steady=(setarch "$(uname -m)" -R)

# To note for each allocation by whom it was made takes a tenth of the time; a test run by hand notes it whole.
export ASAN_OPTIONS=malloc_context_size=4

# step NAME COMMAND...: runs it into a log; on failure shows the end of the log and notes the name.
step() {
  local name=$1 from=$SECONDS
  shift
  printf '%-18s' "$name"
  if "${steady[@]}" "$@" >"$logs/$name.log" 2>&1; then
    echo "ok      $((SECONDS - from)) s"
  else
    echo "FAILED  $((SECONDS - from)) s"
    tail -n 60 "$logs/$name.log"
    failures+=("$name")
    return 1
  fi
}

# run_tests NAME BUILD_FOLDER CTEST_OPTION...: one run of ctest into a log.
run_tests() {
  local name=$1 folder=$2 from=$SECONDS code=0
  shift 2
  "${steady[@]}" ctest --test-dir "$folder" --output-on-failure --no-tests=ignore "$@" >"$logs/$name.log" 2>&1 || code=$?
  echo "$code $((SECONDS - from))" >"$logs/$name.end"
}

# report_tests NAME: shows the summary of a run that has ended, and adds to the counts.
report_tests() {
  local name=$1 code took summary of failed
  read -r code took <"$logs/$name.end"
  if [[ $code -ne 0 ]]; then
    echo "$name"
    sed -n '/\*\*\*\(Failed\|Exception\|Timeout\|Not Run\)/,/^ *Start \|^[0-9]*% tests/p' "$logs/$name.log" | head -n 400
    sed -n '/The following tests FAILED/,/^Errors while/p' "$logs/$name.log"
    failures+=("$name")
  fi
  mapfile -t -O ${#skipped[@]} skipped < <(sed -n 's/^[[:space:]]*[0-9]* - \(.*\) (Skipped)$/\1/p' "$logs/$name.log")
  summary=$(grep -E '^[0-9]+% tests passed' "$logs/$name.log" | tail -n 1)
  printf '%-18s%s s\n%s\n' "$name" "$took" "${summary:-no tests here}"
  if [[ $summary =~ ,\ ([0-9]+)\ tests\ failed\ out\ of\ ([0-9]+) ]]; then
    failed=${BASH_REMATCH[1]} of=${BASH_REMATCH[2]}
    passed=$((passed + of - failed))
  fi
}

# The end-to-end tests mostly wait, for round trips and for time-outs, so the other build and its tests have the processors meanwhile,
# at the lowest priority.
e2e=
step packages scripts/install_deps.sh build test
if step configure-release cmake --preset release &&
   step build-release cmake --build --preset release -j "$jobs" --target programs --target tideway-trainer-sim; then
  run_tests tests-e2e build/release -L e2e &
  e2e=$!
  renice -n 19 -p $$ >/dev/null
fi
if step configure-check cmake --preset check && step build-check cmake --build --preset check -j "$jobs" --target tests --target fuzz; then
  run_tests tests-check build/check -j "$jobs" -LE e2e
  report_tests tests-check
fi
if [[ -n $e2e ]]; then
  wait "$e2e"
  report_tests tests-e2e
fi

passed=$((passed - ${#skipped[@]}))
took="$((SECONDS / 60)) min $((SECONDS % 60)) s"
[[ ${#skipped[@]} -eq 0 ]] || printf 'skipped: %s\n' "${skipped[@]}"
if [[ ${#failures[@]} -gt 0 ]]; then
  echo "FAIL ${failures[*]} ($passed tests passed, ${#skipped[@]} skipped, $took; logs in $logs)"
  exit 1
fi
echo "PASS $passed tests, ${#skipped[@]} skipped, $took"
