#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The Python package against two real gateways, tests/python/real_gateway.py, and libtideway by its example, examples/c/trainer.c.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
move_atlanta "api=$work/api.sock"
cat >> "$work/atlanta.toml" <<TOML
[[link]]
peer = "wisconsin"
[phase]
board = "$work/phase.board"
[[training]]
name = "llm7"
peers = ["wisconsin"]
TOML
serve wisconsin "$work/wisconsin.toml"
serve atlanta "$work/atlanta.toml"

python=/usr/bin/python3  # of the system: the one its packages of torch and fsspec belong to
[ -x "$python" ] || python=python3
export TIDEWAY_API=$work/api.sock TIDEWAY_BOARD=$work/phase.board
PYTHONDONTWRITEBYTECODE=1 "$python" "$repo/tests/python/real_gateway.py" "$work/atlanta/data" "$work/wisconsin/data" > "$work/python.log" 2>&1 ||
  { cat "$work/python.log"; fail "the Python package"; }
# The example in C hands its checkpoints to the same gateway.
library=$(cd "$bin/../src/client" && pwd)
sanitize=$(sed -n 's/^TIDEWAY_SANITIZE:STRING=\(..*\)/-fsanitize=\1/p' "$bin/../CMakeCache.txt")
cc $sanitize -I "$repo/include" "$repo/examples/c/trainer.c" -L "$library" -ltideway -o "$work/trainer" || fail "the example in C does not build"
LD_LIBRARY_PATH=$library "$work/trainer" "$work/atlanta/data/c" wisconsin:data/c > "$work/trainer.log" 2>&1 ||
  { cat "$work/trainer.log"; fail "the example in C"; }
cmp "$work/atlanta/data/c/step-6/model.safetensors" "$work/wisconsin/data/c/step-6/model.safetensors" || fail "the checkpoint of the example in C"
grep -o '^test_.*skipped.*' "$work/python.log" || :
pass
