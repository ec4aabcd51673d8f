#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Real processes on a real file system die before each of their calls to the disk in turn: a sink that pulls, a gateway that is
# pushed to, one that is pulled from, a source, a repair. Each time the same command goes on from there, and readers that look a
# thousand times a second never see a part of a tree. Every second point (of who only reads, each), or with TIDEWAY_KILL_STRIDE=1 all of them; and a sink
# once at each point that has a name (docs/durability.md, "Crash points").
source "$(dirname "$0")/lib.sh"
command -v cc > /dev/null || { echo "SKIP: needs a C compiler"; exit 77; }
cc -shared -fPIC -O1 -o "$work/kill_at.so" "$repo/tests/e2e/kill_at.c" -ldl
make_sites 127.0.0.1 127.0.0.1
for site in atlanta wisconsin; do printf '[storage]\nio = "threads"\n' >> "$work/$site.toml"; done  # each call is one of the C library
there=$work/wisconsin/data here=$work/here trash=$work/trash
stride=${TIDEWAY_KILL_STRIDE:-2}
calls_max=400
points=0 published=0

tree=$there/source
mkdir -p "$tree/dir/deep" "$here" "$trash"
head -c 70000 /dev/urandom > "$tree/a"
: > "$tree/b"
echo c > "$tree/dir/c"
head -c 300000 /dev/urandom > "$tree/dir/deep/d"
echo last > "$tree/.metadata"
ln -s c "$tree/dir/link"
wide=$there/wide  # for who only reads, and does so once for each small file
mkdir -p "$wide" "$there/many" "$work/pulled"
for file in $(seq 24); do head -c $((file * 1000)) /dev/urandom > "$wide/$file"; done

"$repo/tests/e2e/reader.py" "$tree" ckpt "$here" "$there" > "$work/reader.out" 2>&1 &
reader=$!
"$repo/tests/e2e/reader.py" "$wide" ckpt "$there/many" "$work/pulled" > "$work/wide_reader.out" 2>&1 &
wide_reader=$!
running+=("$reader" "$wide_reader")

# take FOLDER: the tree is whole; out of the way at once, for the next one.
take() {
  same_tree "$tree" "$1/ckpt"
  published=$((published + 1))
  mv "$1/ckpt" "$trash/$published"
}
# dies_at N COMMAND...: its exit code is in $code; 137 when it was killed.
dies_at() {
  local at=$1
  shift
  code=0
  { env LD_PRELOAD="$work/kill_at.so" TIDEWAY_KILL_AT="$at" TIDEWAY_KILL_LOG="$work/points" "$@" >> "$work/killed.log" 2>&1 || code=$?; } 2> /dev/null
}

# each_point FOLDER COMMAND...: the command with a kill at point 1, 2, 3..., each run going on from the one before, until one that
# began anew has fewer points.
each_point() {
  local folder=$1 at is_fresh=1
  shift
  for ((at = 1; at < calls_max; at += stride)); do
    dies_at "$at" "$@"
    [ "$code" -ne 10 ] || { at=$((at - stride)); sleep 0.05; continue; }  # the gateway has not noticed yet that the last one died
    if [ "$code" -eq 137 ]; then
      points=$((points + 1)) is_fresh=0
      [ ! -e "$folder/ckpt" ] || same_tree "$tree" "$folder/ckpt"
      continue
    fi
    [ "$code" -eq 0 ] || fail "after a kill at point $at ($(tail -n 1 "$work/points")) of $*: exit code $code: $(tail -n 3 "$work/killed.log")"
    take "$folder"
    [ "$is_fresh" -eq 0 ] || return 0
    is_fresh=1
  done
  fail "no end of points"
}

serve wisconsin "$work/wisconsin.toml"
each_point "$here" "$bin/tideway" --config "$work/atlanta.toml" copy -q wisconsin:data/source "$here/ckpt"
sink=$points
tree=$wide stride=1 TIDEWAY_KILL_CALLS=reads each_point "$there/many" "$bin/tideway" --config "$work/atlanta.toml" copy -q "$wide" wisconsin:data/many/ckpt
source=$((points - sink))

# pulls AT: in $code, however long the gateway takes to notice that the one before has died.
pulls() {
  for _ in $(seq 100); do
    dies_at "$1" "$bin/tideway" --config "$work/atlanta.toml" copy -q wisconsin:data/source "$here/ckpt"
    [ "$code" -eq 10 ] || return 0
    sleep 0.05
  done
}
named=$(sed -n 's/^| \(K[0-9][0-9]\) | [^-].* |$/\1/p' "$repo/docs/durability.md")
for name in $named; do
  pulls "$name#1"
  [ "$code" -eq 137 ] || fail "nobody died at $name: exit code $code"
  [[ $(tail -n 1 "$work/points") == "$name "* ]] || fail "killed elsewhere than at $name: $(tail -n 1 "$work/points")"
  pulls 0
  [ "$code" -eq 0 ] || fail "after a kill at $(tail -n 1 "$work/points"): exit code $code: $(tail -n 3 "$work/killed.log")"
  take "$here"
  pass
done
[ "$(wc -w <<< "$named")" -ge 16 ] || fail "only $named have names"; pass

# A repair that dies before each of its calls: a damaged file is as it was or whole, others are not touched, and the next one ends it.
mended=$work/mended rotten=$work/rotten
mkdir "$mended"
"$bin/tideway" --config "$work/atlanta.toml" copy -q --publish rename wisconsin:data/source "$mended/tree"
for file in a dir/deep/d; do
  mkdir -p "$rotten/$(dirname "$file")" && cp -p "$tree/$file" "$rotten/$file"
  printf XYZ | dd of="$rotten/$file" bs=1 seek=50000 conv=notrunc status=none && touch -r "$tree/$file" "$rotten/$file"
done
rot() {  # in place, with the times of before, and on the disk
  local file
  for file in a dir/deep/d; do
    dd if="$rotten/$file" of="$mended/tree/$file" conv=notrunc,fsync status=none && touch -r "$tree/$file" "$mended/tree/$file"
  done
}
untouched=$(stat -c %i:%z "$mended/tree/dir/c" "$mended/tree/b")
before=$(wc -l < "$work/points") is_fresh=1
rot
for ((at = 1; at < calls_max; at += stride)); do
  dies_at "$at" "$bin/tideway" --config "$work/atlanta.toml" repair -q "$mended/tree" --from wisconsin:data/source
  for file in a dir/deep/d; do
    cmp -s "$mended/tree/$file" "$tree/$file" || cmp -s "$mended/tree/$file" "$rotten/$file" || fail "a repair that died at $(tail -n 1 "$work/points") left another $file"
  done
  [ "$(stat -c %i:%z "$mended/tree/dir/c" "$mended/tree/b")" = "$untouched" ] || fail "a repair touched what was sound, at $(tail -n 1 "$work/points")"
  [ "$code" -ne 10 ] || { at=$((at - stride)); sleep 0.05; continue; }
  [ "$code" -ne 137 ] || { is_fresh=0; continue; }
  [ "$code" -eq 0 ] || fail "a repair behind others that died ended with $code: $(tail -n 3 "$work/killed.log")"
  same_tree "$tree" "$mended/tree"
  [ "$is_fresh" -eq 0 ] || break  # one that began anew has fewer calls
  is_fresh=1
  rot
done
repairs=$(($(wc -l < "$work/points") - before))
[ "$at" -lt "$calls_max" ] && [ "$repairs" -ge 10 ] || fail "a repair died at $repairs points only"; pass
kill "$gateway" && wait "$gateway" || fail "the gateway did not end well"

# gateway_dies FOLDER COMMAND...: a gateway that dies at its first call, the next one at its second, and so on, under that copy. That a copy dials
# again by itself is another test's.
gateway_dies() {
  local folder=$1 at is_fresh=1 copying ended code
  shift
  for ((at = 1; at < calls_max; at += stride)); do
    LD_PRELOAD="$work/kill_at.so" TIDEWAY_KILL_AT=$at TIDEWAY_KILL_LOG="$work/points" "$bin/tidewayd" --config "$work/wisconsin.toml" > "$work/dying.ready" 2>> "$work/dying.log" &
    gateway=$!
    running+=("$gateway")
    until grep -qs '^ready' "$work/dying.ready" || ! kill -0 "$gateway" 2> /dev/null; do sleep 0.01; done
    "$@" > "$work/copied.log" 2>&1 &
    copying=$!
    running+=("$copying")
    code=0 ended=
    wait -n -p ended "$gateway" "$copying" 2> /dev/null || code=$?
    kill -9 "$gateway" "$copying" 2> /dev/null || :
    { wait "$gateway" "$copying" || :; } 2> /dev/null
    if [ "$code" -ne 0 ]; then  # the gateway is gone, whoever of the two was first to end
      points=$((points + 1)) is_fresh=0
      [ ! -e "$folder/ckpt" ] || same_tree "$tree" "$folder/ckpt"
      continue
    fi
    take "$folder"
    [ "$is_fresh" -eq 0 ] || return 0
    is_fresh=1
  done
  fail "no end of points"
}
before=$points
gateway_dies "$there" "$bin/tideway" --config "$work/atlanta.toml" copy -q "$tree" wisconsin:data/ckpt
gateway_points=$((points - before)) before=$points
tree=$wide stride=1 TIDEWAY_KILL_CALLS=reads gateway_dies "$work/pulled" "$bin/tideway" --config "$work/atlanta.toml" copy -q wisconsin:data/wide "$work/pulled/ckpt"
gateway_source=$((points - before))

# ends_well READER OUT: it saw whole trees, and nothing else; how often it looked is in $looks.
ends_well() {
  local code=0 whole
  kill "$1" 2> /dev/null || :
  wait "$1" || code=$?
  [ "$code" -eq 0 ] || fail "a reader saw a part of the tree: $(cat "$2")"
  read -r looks whole < "$2"
  [ "$whole" -ge 1 ] || fail "a reader never saw a whole one"
  pass
}
ends_well "$wide_reader" "$work/wide_reader.out"
ends_well "$reader" "$work/reader.out"
cut -d : -f 1 "$work/points" | sort | uniq -c
echo "points: $sink of a sink, $source of a source, $gateway_points of a gateway that is pushed to, $gateway_source of one that is pulled from, $repairs of a repair; $published publishes; a reader looked $looks times"
[ "$points" -ge 60 ] || [ "$stride" -gt 2 ] || fail "only $points processes were killed"; pass
# Of each kind of process, or the one that dies at many hides that another dies nowhere.
at_least() { [ "$2" -ge "$3" ] || [ "$stride" -gt 2 ] || fail "a $1 was killed at $2 points only"; pass; }
at_least sink "$sink" 15
at_least source "$source" 20
at_least "gateway that is pulled from" "$gateway_source" 20
at_least "gateway that is pushed to" "$gateway_points" 15
