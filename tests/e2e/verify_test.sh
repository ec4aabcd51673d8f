#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What is verified how far: read back from the device before it is published, and read again at any time later.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
serve wisconsin "$work/wisconsin.toml"
there=$work/wisconsin/data

tree=$work/tree
mkdir -p "$tree/shards" "$tree/empty"
head -c 9000000 /dev/urandom > "$tree/shards/a"
head -c 70000000 /dev/urandom > "$tree/shards/b"
for i in $(seq 300); do echo "$i" > "$tree/small-$i"; done
truncate -s 30M "$tree/sparse"
: > "$tree/nothing"

# Read back in both directions, with small, large, sparse and empty files.
tideway copy -q --verify readback "$tree" wisconsin:data/tree
same_tree "$tree" "$there/tree"
tideway copy --json --verify readback wisconsin:data/tree "$work/back" > "$work/summary.json" 2> /dev/null
same_tree "$tree" "$work/back"
grep -q '"leaves_rejected":0' "$work/summary.json" || fail "something had to be sent twice"; pass

# A file system in memory cannot be read back: said before anything is sent, and never lowered.
if [ "$(stat -f -c %T /dev/shm 2> /dev/null)" = tmpfs ]; then
  shm=/dev/shm/tideway-verify-$$
  mkdir "$shm"
  refuses 3 verify_unavailable "prove nothing" tideway copy -q --verify readback wisconsin:data/tree "$shm/back"
  absent "$shm/back"
  rm -rf "$shm"
fi
