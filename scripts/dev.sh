#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Daily work, one verb each; run it from anywhere.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
  cat <<'TEXT'
usage: scripts/dev.sh VERB
  build [PRESET]            configure and build; PRESET is dev (default), tsan, release or fuzz
  test [REGEX]              unit, conformance, property and simulation tests of the dev build, those that match REGEX
  lint [FILE...]            check_style.py, then clang-tidy over FILEs (default: files changed since origin/main or HEAD)
  sim SEED                  replay one seed of the simulations, with the sanitizers
  seeds [N] [FIRST]         run N seeds (default 10,000) of each simulation, from FIRST (1) on, in a release build
  fuzz [TARGET] [SECONDS]   all fuzz targets or one, 60 seconds each
  storm [SAVES] [SECONDS]   save checkpoints (default 1,000) under kills of the trainer, both gateways and the link, while somebody at the
                            destination looks a thousand times a second; ends early, and well, after SECONDS (default 900); needs root
  coverage [TEST...]        which lines the tests reach, by folder; all but the end-to-end ones, or these programs alone (storage_test ...)
  perf [NAME|all] [FLAGS]   release programs, then perf/NAME/run.sh, or all of them; without NAME lists what there is
  check                     what scripts/test.sh runs
TEXT
}

jobs=$(nproc)

build() {
  local preset=${1:-dev}
  shift || true
  scripts/install_deps.sh build test
  cmake --preset "$preset" >/dev/null
  cmake --build --preset "$preset" -j "$jobs" "$@"
}

run_tests() {
  build dev
  ctest --test-dir build/dev -j "$jobs" --output-on-failure -LE 'e2e|fuzz' ${1:+-R "$1"}
}

lint() {
  local files=("$@") base status=0
  scripts/check_style.py || status=1
  if [[ ${#files[@]} -eq 0 ]]; then
    base=$(git merge-base HEAD origin/main 2>/dev/null || git rev-parse HEAD)
    mapfile -t files < <({ git diff --name-only --diff-filter=d "$base"; git ls-files -o --exclude-standard; } |
                         grep -E '^(src|apps|tests|perf)/.*\.cc$' | grep -v '_fuzz\.cc$' | sort -u)
  fi
  [[ ${#files[@]} -gt 0 ]] || { echo "lint: no changed .cc file"; return $status; }
  build dev >/dev/null  # generated headers, and the compile commands that clang-tidy reads
  # Warnings about flags that only g++ knows are not about our code.
  printf '%s\0' "${files[@]}" | xargs -0 -n 1 -P "$jobs" clang-tidy -p build/dev --quiet \
    --extra-arg=-Wno-unknown-warning-option || status=1
  return $status
}

sim() {
  [[ $# -eq 1 && $1 =~ ^[0-9]+$ ]] || { usage >&2; exit 2; }
  build dev --target sim_test
  TIDEWAY_SIM_SEED=$1 build/dev/bin/sim_test --gtest_filter='*Seeds*'
}

seeds() {
  local count=${1:-10000} first=${2:-1} from shard running=() status=0 log=build/release/seeds
  build release --target sim_test
  mkdir -p "$log"
  from=$SECONDS
  for ((shard = 0; shard < jobs; shard++)); do
    TIDEWAY_SIM_SEEDS=$count TIDEWAY_SIM_FIRST=$first GTEST_TOTAL_SHARDS=$jobs GTEST_SHARD_INDEX=$shard \
      nice build/release/bin/sim_test --gtest_filter='*Seeds*' > "$log/$shard.log" 2>&1 &
    running+=("$!")
  done
  for shard in "${!running[@]}"; do
    wait "${running[$shard]}" && continue
    status=1
    grep -h -B 12 '; replay it with: ' "$log/$shard.log" || tail -n 20 "$log/$shard.log"
  done
  cat "$log"/*.log | awk -v took="$((SECONDS - from))" '/^[0-9]+ seeds in / { all += $1 } END { print all + 0 " seeds in " took " s" }'
  return $status
}

fuzz() {
  local target=${1:-} seconds=${2:-60}
  if [[ $target =~ ^[0-9]+$ ]]; then seconds=$target target=; fi
  scripts/install_deps.sh build test
  cmake --preset check -DTIDEWAY_FUZZ_LIMIT="-max_total_time=$seconds" >/dev/null
  cmake --build --preset check -j "$jobs" --target "${target:+${target}_}fuzz"
  ctest --test-dir build/check -j "$jobs" --output-on-failure -L fuzz ${target:+-R "^fuzz\.$target\$"}
}

storm() {
  [[ ${1:-1} =~ ^[1-9][0-9]*$ && ${2:-1} =~ ^[0-9]+$ ]] || { usage >&2; exit 2; }
  build release --target programs
  SAVES=${1:-1000} SECONDS_MAX=${2:-900} KILLS=${KILLS:-4} SEED=${SEED:-$$} tests/e2e/checkpoint_storm_test.sh
}

coverage() {
  local test
  scripts/install_deps.sh build test
  cmake -S . -B build/coverage -G Ninja -DCMAKE_BUILD_TYPE=Debug -DTIDEWAY_UNITY=ON -DCMAKE_CXX_FLAGS='-O0 --coverage' >/dev/null
  cmake --build build/coverage -j "$jobs" ${1:+--target "$@"}
  find build/coverage -name '*.gcda' -delete
  if [[ $# -eq 0 ]]; then
    ctest --test-dir build/coverage -j "$jobs" -LE e2e >/dev/null || echo "coverage: some tests failed" >&2
  fi
  for test in "$@"; do
    "build/coverage/bin/$test" >/dev/null || echo "coverage: some tests of $test failed" >&2
  done
  scripts/coverage_report.py build/coverage
}

perf() {
  local names=() name failed=()
  for name in perf/*/run.sh; do names+=("$(basename "$(dirname "$name")")"); done
  if [[ $# -eq 0 ]]; then printf '%s\n' "${names[@]}"; return; fi
  if [[ $1 == all ]]; then mapfile -t names < <(printf '%s\n' "${names[@]}" | grep -vx readme); else names=("$1"); fi  # readme runs others
  [[ -x perf/${names[0]}/run.sh ]] || { echo "dev.sh: there is no perf/$1; scripts/dev.sh perf lists what there is" >&2; exit 2; }
  shift
  scripts/install_deps.sh build perf
  cmake --preset release >/dev/null
  cmake --build --preset release -j "$jobs" --target programs tideway-trainer-sim tideway-gate-latency tideway-cold-start tideway-udp-floor tideway_client tideway_nccl  # perf/micro builds its own
  for name in "${names[@]}"; do
    echo "== $name"
    "perf/$name/run.sh" "$@" || failed+=("$name")
  done
  [[ ${#failed[@]} -eq 0 ]] || { echo "dev.sh: failed: ${failed[*]}" >&2; return 1; }
}

verb=${1:-help}
shift || true
case $verb in
  build) build "$@" ;;
  test) run_tests "$@" ;;
  lint) lint "$@" ;;
  sim) sim "$@" ;;
  seeds) seeds "$@" ;;
  fuzz) fuzz "$@" ;;
  storm) storm "$@" ;;
  coverage) coverage "$@" ;;
  perf) perf "$@" ;;
  check) exec scripts/test.sh ;;
  help | -h | --help) usage ;;
  *) echo "dev.sh: unknown verb '$verb'" >&2; usage >&2; exit 2 ;;
esac
