# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash disable=SC2154
#
# What the demos share; they source it with their `name` and the `programs` they run.
bin=${TIDEWAY_BIN:-build/release/bin}
work=build/$name
log=$work/$name.log
child=

skip() { echo "SKIP $name: $*"; exit 77; }
finish() {
  local code=$?
  [ -z "$child" ] || wait "$child" || :  # told to end, it ends what it started first
  [ "$code" -eq 0 ] || [ "$code" -eq 77 ] || { tail -n 20 "$log" >&2 || :; echo "FAIL $name, see $work"; }
}

# Before anything else: what is missing is said, and an empty log begins.
begin() {
  [ "$(id -u)" -eq 0 ] || skip "needs root, for network namespaces"
  trap finish EXIT
  mkdir -p "$work"
  : > "$log"
}
needs_namespaces() { { ip netns add "twprobe$$" && ip netns del "twprobe$$"; } 2>> "$log" || skip "needs network namespaces, and this machine allows none"; }

# Those of `programs` that nobody has built yet.
build_programs() {
  local program is_built=yes
  for program in "${programs[@]}"; do [ -x "$bin/$program" ] || is_built=; done
  [ -z "$is_built" ] || return 0
  [ -z "${TIDEWAY_BIN:-}" ] || { echo "TIDEWAY_BIN=$bin has not all of: ${programs[*]}" >&2; exit 1; }
  scripts/install_deps.sh build >> "$log" 2>&1
  cmake --preset release >> "$log" 2>&1
  cmake --build --preset release --target "$@" >> "$log" 2>&1
}

# To its end, or until the demo is told to end.
run() {
  "$@" 2>> "$log" &
  child=$!
  trap 'kill "$child"' INT TERM
  wait "$child"
}
