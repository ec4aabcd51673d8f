#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# X09: names below a root are swapped for links while peers read, list and write below them. Copies may fail; nothing outside
# of the root is read, listed, made or changed.
source "$(dirname "$0")/lib.sh"
command -v python3 > /dev/null || { echo "SKIP: needs python3"; exit 77; }
make_sites 127.0.0.1 127.0.0.1
there=$work/wisconsin/data
outside=$work/outside
mkdir -p "$outside/sub" "$there/dir/sub"
for place in "$outside" "$there/dir"; do
  [ "$place" = "$outside" ] && word=SECRET || word=inside
  for name in file sub/file; do printf '%s' "$word" > "$place/$name"; done
done
printf SECRET > "$outside/only-outside"
ln -s "$outside" "$there/door"
ln -s "$outside/file" "$there/dir/door"
ln -s "$outside/sub" "$there/dir/subdoor"
serve wisconsin "$work/wisconsin.toml"
before=$(list_tree "$outside"; cat "$outside/file" "$outside/sub/file")
# swap OUT FOLDER A B...: begins to swap. The inner one comes first: once the outer one swaps, the name of `dir` may lead outside.
swap() {
  local out=$1
  shift
  python3 "$repo/tests/e2e/path_race.py" "$@" > "$out" 2> "$out.log" &
  running+=("$!") flippers+=("$!")
  for _ in $(seq 100); do [ -s "$out" ] && return; sleep 0.1; done
  fail "nothing is swapped in $1: $(cat "$out.log")"
}
flippers=()
swap "$work/race2" "$there/dir" file door sub subdoor
swap "$work/race" "$there" dir door

won=0
for i in $(seq 25); do
  tideway copy -q wisconsin:data/dir "$work/pulled/$i" 2> /dev/null && won=$((won + 1)) || :
  tideway copy -q wisconsin:data/dir/file "$work/file.$i" 2> /dev/null && won=$((won + 1)) || :
  tideway ls wisconsin:data/dir >> "$work/listed" 2> /dev/null && won=$((won + 1)) || :
  printf planted > "$work/seed"
  tideway copy -q "$work/seed" "wisconsin:data/dir/planted.$i" 2> /dev/null && won=$((won + 1)) || :
  tideway copy -q "$work/seed" "wisconsin:data/dir/sub/planted.$i" 2> /dev/null && won=$((won + 1)) || :
done
for flipper in "${flippers[@]}"; do
  kill -0 "$flipper" 2> /dev/null || fail "a swap failed: $(cat "$work"/race*.log)"
done
pass
[ "$won" -gt 0 ] || fail "no copy ever won, so nothing was tried"; pass
! grep -rlI SECRET "$work/pulled" "$work"/file.* 2> /dev/null || fail "a secret was read"; pass
! grep -q only-outside "$work/listed" || fail "a folder outside was listed"; pass
[ "$before" = "$(list_tree "$outside"; cat "$outside/file" "$outside/sub/file")" ] || fail "something outside was made or changed"; pass
echo "$won of 125 copies and lists won the race"
