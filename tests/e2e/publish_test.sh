#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# How a tree appears at its destination, as --publish and --last say.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
there=$work/wisconsin/data
tree=$work/checkpoint
mkdir -p "$tree/shards"
for i in 1 2 3; do head -c 300000 /dev/urandom > "$tree/shards/$i"; done
echo '{}' > "$tree/.metadata"
echo done > "$tree/A-DONE"
serve wisconsin "$work/wisconsin.toml"

# As a whole, and again: nothing is left to do.
tideway copy -q --publish rename "$tree" wisconsin:data/whole
same_tree "$tree" "$there/whole"
tideway copy -q --publish rename "$tree" wisconsin:data/whole; pass
tideway verify "$there/whole" > /dev/null; pass

# Nothing is added to a tree that is there, and nothing is sent for it.
echo more > "$tree/more"
refuses 1 dest_exists "publishes a tree as a whole" tideway copy -q --publish rename "$tree" wisconsin:data/whole
absent "$there/whole/more"
tideway copy -q --publish marker "$tree" wisconsin:data/whole
cmp "$tree/more" "$there/whole/more"; pass

# Part by part, in a directory that is made for it.
tideway copy -q --publish marker --last 'A-DONE*' "$tree" wisconsin:data/parts
diff -r "$tree" "$there/parts"; pass
absent "$there/parts/.tideway-manifest"
tideway verify "$there/parts" > /dev/null; pass

# File by file; again, and with one more: what is there is not sent again, and all of it can be verified.
tideway copy -q --publish each --last 'A-DONE*' "$tree" wisconsin:data/each
diff -r "$tree" "$there/each"; pass
tideway verify "$there/each" > /dev/null; pass
echo later > "$tree/later"
tideway copy -q --publish each --resume-verify all "$tree" wisconsin:data/each
cmp "$tree/later" "$there/each/later"; pass
refuses 2 usage "--resume-verify some" tideway copy -q --resume-verify some "$tree" wisconsin:data/each
refuses 2 usage "--publish soon" tideway copy -q --publish soon "$tree" wisconsin:data/soon
refuses 2 usage "cannot be the last part" tideway copy -q --last a/b "$tree" wisconsin:data/slash
[ -z "$(find "$there/.tideway" -mindepth 1 -maxdepth 1 ! -name manifests)" ] || fail "staging was left behind"; pass
