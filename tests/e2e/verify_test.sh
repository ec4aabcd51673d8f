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

# Where the seal of each packet is enough, what is published and kept is as good to verify.
tideway copy -q --verify wire "$tree" wisconsin:data/wire
same_tree "$tree" "$there/wire"
"$bin/tideway" verify -q "$there/wire"; pass

# A file system in memory cannot be read back: said before anything is sent, and never lowered.
if [ "$(stat -f -c %T /dev/shm 2> /dev/null)" = tmpfs ]; then
  shm=/dev/shm/tideway-verify-$$
  mkdir "$shm"
  refuses 3 verify_unavailable "prove nothing" tideway copy -q --verify readback wisconsin:data/tree "$shm/back"
  absent "$shm/back"
  rm -rf "$shm"
fi

# A byte that rots on the disk is found there, whatever memory says, and only its leaf is fetched again.
"$bin/tideway" verify -q --scrub "$work/back"; pass
if command -v strace > /dev/null; then  # and makes room for whoever else reads there
  strace -f -o "$work/calls" -e trace=ioprio_set,setpriority "$bin/tideway" verify -q --scrub "$work/back"
  grep -q 'ioprio_set(.*IDLE' "$work/calls" || fail "a scrub reads with the priority of others: $(cat "$work/calls")"; pass
  grep -q 'setpriority(PRIO_PROCESS, 0, 19)' "$work/calls" || fail "a scrub computes with the priority of others: $(cat "$work/calls")"; pass
fi
rot() { printf X | dd of="$1" bs=1 seek="$2" conv=notrunc,fsync status=none; touch -r "$tree/${1#"$work/back/"}" "$1"; }
rot "$work/back/shards/b" 5000000
rot "$work/back/small-7" 0
rm "$work/back/shards/a" && touch -r "$tree/shards" "$work/back/shards"
before=$(stat -c %i "$work/back/small-8")
code=0; "$bin/tideway" verify --scrub --json "$work/back" > "$work/scrub.json" 2> /dev/null || code=$?
[ "$code" -eq 8 ] || fail "a scrub of damaged files ended with $code"; pass
grep -q '"path":"shards/b".*bytes 4194304 to 8388607' "$work/scrub.json" || fail "the damage was not named: $(cat "$work/scrub.json")"; pass
grep '"path":"shards/b"' "$work/scrub.json" | grep -q '"code":"hash_mismatch"' || fail "damage has no code: $(cat "$work/scrub.json")"; pass
tideway repair --json "$work/back" --from wisconsin:data/tree > "$work/repair.json" 2> "$work/repair.log" || fail "$(cat "$work/repair.log")"
same_tree "$tree" "$work/back"
"$bin/tideway" verify -q --scrub "$work/back"; pass
grep -q '"state":"repaired".*"bytes_sent":13194306' "$work/repair.json" || fail "other bytes were fetched: $(tail -n 1 "$work/repair.json")"; pass
[ "$(stat -c %i "$work/back/small-8")" = "$before" ] || fail "a file without damage was replaced"; pass
absent "$work/.tideway"

says=$(tideway repair "$work/back" --from wisconsin:data/tree 2>&1); [[ $says == *"sound"*"nothing fetched"* ]] || fail "$says"; pass
tideway repair --json "$work/back" --from wisconsin:data/tree 2> /dev/null | grep -q '"state":"sound"' || fail "another state than the text says"; pass

# A tree of another root mends nothing.
cp -a "$tree" "$work/other" && echo other > "$work/other/small-9"
tideway copy -q "$work/other" wisconsin:data/other
rot "$work/back/small-7" 0
refuses 8 manifest_mismatch "root" tideway repair "$work/back" --from wisconsin:data/other
[ "$(head -c 1 "$work/back/small-7")" = X ] || fail "it was mended from another tree"; pass

# Trees of a site that signs: the key travels by hand, the signature with the tree.
"$bin/tideway" pki signing-key --out "$work/atlanta-key" > /dev/null
"$bin/tideway" pki signing-key --out "$work/other-key" > /dev/null
[ "$(stat -c %a "$work/atlanta-key/signing.key")" = 600 ] || fail "the signing key is readable by others"; pass
kill "$gateway" && wait "$gateway" 2> /dev/null || :
printf '[[signer]]\nsite = "atlanta"\nkey = "%s"\n' "$work/atlanta-key/signing.pub" >> "$work/wisconsin.toml"
serve wisconsin "$work/wisconsin.toml"
refuses 8 manifest_mismatch "is not signed" tideway copy -q "$tree" wisconsin:data/unsigned
absent "$there/unsigned"
printf '[signing]\nkey = "%s"\n' "$work/other-key/signing.key" >> "$work/atlanta.toml"
refuses 8 manifest_mismatch "not the one of its [[signer]]" tideway copy -q "$tree" wisconsin:data/forged
absent "$there/forged"
sed -i "s|$work/other-key|$work/atlanta-key|" "$work/atlanta.toml"
tideway copy -q "$tree" wisconsin:data/signed
tideway copy -q "$tree/small-1" wisconsin:data/one
"$bin/tideway" verify -q --signer "$work/atlanta-key/signing.pub" "$there/signed"; pass
"$bin/tideway" verify -q --signer "$work/atlanta-key/signing.pub" "$there/one"; pass
echo planted > "$there/signed/shards/model.pkl"
refuses 8 manifest_mismatch "shards" "$bin/tideway" verify --signer "$work/atlanta-key/signing.pub" "$there/signed"
says=$("$bin/tideway" verify "$there/signed" 2>&1); [[ $says == *"1 entry is there and not in the manifest, the first in shards"* ]] || fail "$says"; pass
rm "$there/signed/shards/model.pkl"
tideway copy -q --publish marker "$tree" wisconsin:data/parts
echo other > "$there/parts/beside"
says=$("$bin/tideway" verify --signer "$work/atlanta-key/signing.pub" "$there/parts" 2>&1) || fail "$says"; pass
[[ $says == *"1 entry is there and not in the manifest, the first in parts; the signature says nothing of that"* ]] || fail "$says"; pass
echo planted > "$there/parts/shards/model.pkl"
refuses 8 manifest_mismatch "parts/shards" "$bin/tideway" verify --signer "$work/atlanta-key/signing.pub" "$there/parts"
refuses 3 config_invalid "name the signing.pub" "$bin/tideway" verify --signer "$work/atlanta-key/signing.key" "$there/signed"
refuses 2 usage "lies at a peer" "$bin/tideway" verify wisconsin:data/signed
mkdir "$there/added" && cp -p "$tree/small-1" "$there/added/"
tideway copy -q "$tree" wisconsin:data/added
"$bin/tideway" verify -q "$there/added"; pass
refuses 8 manifest_mismatch "were there before the copy" "$bin/tideway" verify --signer "$work/atlanta-key/signing.pub" "$there/added"
refuses 8 manifest_mismatch "not one of this key" "$bin/tideway" verify --signer "$work/other-key/signing.pub" "$there/signed"
refuses 8 manifest_mismatch "without a signature" "$bin/tideway" verify --signer "$work/other-key/signing.pub" "$work/back"
