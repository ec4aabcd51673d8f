#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Real file systems that say no in the middle of a copy: one that falls read-only by an error, and one with a quota. Each time the code is that
# of the trouble, nothing is visible, and the same command goes on when the trouble is over.
source "$(dirname "$0")/lib.sh"
small=$work/small image=$work/image
mkdir -p "$small"
truncate -s 300M "$image"
[ "$(id -u)" -eq 0 ] && mkfs.ext4 -q "$image" 2> /dev/null && mount -o loop "$image" "$small" 2> /dev/null || { echo "SKIP: needs root, mkfs.ext4 and loop devices"; exit 77; }
umount "$small"
make_sites 127.0.0.1 127.0.0.1
sed "s#^path = .*#path = \"$small/data\"#" "$work/wisconsin.toml" > "$work/there.toml"
head -c 50000000 /dev/urandom > "$work/file"
copy=("$bin/tideway" --config "$work/atlanta.toml" copy --json "$work/file" wisconsin:data/file)  # another rate is the same copy

# starts: the copy, in the background; some of it has arrived, and is on the disk, before this returns.
starts() {
  "${copy[@]}" --bwlimit 80Mbit > "$work/copy.json" 2> "$work/copy.log" &
  copying=$!
  running+=("$copying")
  for _ in $(seq 600); do
    [ "$(find "$small/data/.tideway" -name ledger -size +127c 2> /dev/null | wc -l)" -gt 0 ] && return
    kill -0 "$copying" 2> /dev/null || break
    sleep 0.05
  done
  fail "the copy did not get going: $(cat "$work/copy.log")"
}
# ends CODES: the copy ends with exit code 7 and a code that this expression is, and nothing is visible.
ends() {
  local code=0
  wait "$copying" || code=$?
  [ "$code" -eq 7 ] || fail "the copy ended with $code: $(cat "$work/copy.log")"; pass
  grep -qE "\(($1)\)" "$work/copy.log" || fail "it did not say ($1): $(cat "$work/copy.log")"; pass
  absent "$small/data/file"
}
# goes_on: the same command ends well, and brings only what was missing.
goes_on() {
  "${copy[@]}" > "$work/again.json" 2> "$work/again.log" || fail "the same command did not go on: $(cat "$work/again.log")"
  cmp "$work/file" "$small/data/file"; pass
  grep -q '"bytes_held":[1-9]' "$work/again.json" || fail "nothing was kept: $(tail -n 1 "$work/again.json")"; pass
}
stop() { kill "$gateway" && { wait "$gateway" 2> /dev/null || :; }; }

# S14, by an error of the file system, as when its disk is gone.
mount -o loop,errors=remount-ro "$image" "$small"
mkdir "$small/data"
trigger=/sys/fs/ext4/$(basename "$(findmnt -no SOURCE "$small")")/trigger_fs_error
serve there "$work/there.toml"
starts
echo e2e.mounts > "$trigger"
ends 'dest_readonly|dest_io'  # a sync under way is told of the error, and whatever comes behind it of what the file system made of that
refuses 7 dest_readonly "" "${copy[@]}"
stop
umount "$small"
e2fsck -fy "$image" > /dev/null 2>&1 || :  # 1: it has mended something
mount -o loop "$image" "$small"
serve there "$work/there.toml"
goes_on

# S14, by its operator; and nothing that runs holds it.
rm "$small/data/file"
mount -o remount,ro "$small"
refuses 7 dest_readonly "" "${copy[@]}"
mount -o remount,rw "$small"
"${copy[@]}" > /dev/null 2>&1 || fail "the same command did not go on when it could be written again"; pass
stop
umount "$small"

# S03. Of what this kernel may have, btrfs is the file system with quotas that needs nothing but itself.
command -v mkfs.btrfs > /dev/null && mkfs.btrfs -qf "$image" > /dev/null 2>&1 && mount -o loop "$image" "$small" 2> /dev/null || { echo "not tested: quotas, for want of btrfs"; exit 0; }
btrfs quota enable "$small"
btrfs subvolume create "$small/data" > /dev/null
btrfs qgroup limit 20M "$small/data"
serve there "$work/there.toml"
starts
ends dest_quota
grep -qi 'quota' "$work/copy.log" || fail "it did not speak of a quota: $(cat "$work/copy.log")"; pass
btrfs qgroup limit none "$small/data"
goes_on
stop
