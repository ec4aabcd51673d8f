#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A deadline that the gaps of a training leave no room for: refused, unless the owners of job and link allow a share of its bursts; then it fits at a
# cost, is reported at risk, and crosses while the training communicates, as a restore does; a job without that waits.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
socket=$work/api.sock
move_atlanta "api=$socket"
share_link 80Mbit 'leftover_floor = "1Mbit"' 'may_hurt_training = "20%"'
export TIDEWAY_API=$socket
head -c 6000000 /dev/urandom > "$work/atlanta/data/file"
serve wisconsin "$work/wisconsin.toml"
serve atlanta "$work/atlanta.toml"
link_becomes 'gate["state"]' open

# ---- the answer: 6 MB are 48 s of the floor ------------------------------------------------------------------------------
file=("$work/atlanta/data/file" wisconsin:data/there)
answers() { grep -q "^$1$" "$work/answer" || fail "no \"$1\": $(cat "$work/answer")"; pass; }
tideway submit --dry-run --deadline 1h "${file[@]}" > "$work/answer"
answers "answer  *fits"
answers "confidence  *medium"
refuses 11 deadline "can be met" tideway submit --deadline 15s "${file[@]}"
code=0; tideway submit --dry-run --deadline 15s "${file[@]}" > "$work/answer" || code=$?
[ "$code" -eq 11 ] || fail "exit code $code: $(cat "$work/answer")"; pass
answers "needs  *hybrid, 5% of the link during bursts"
tideway submit --dry-run --deadline 15s --may-hurt 10% "${file[@]}" > "$work/answer"
answers "answer  *fits at cost"
answers "cost  *hybrid, 5% of the link during bursts"
refuses 2 usage "--may-hurt" tideway submit --deadline 15s --may-hurt all "${file[@]}"

# ---- in a burst that does not end ----------------------------------------------------------------------------------------
tideway phase begin --training llm7 --ttl 60s
link_becomes 'gate["state"]' closed
waits=$(tideway submit "$work/atlanta/data/file" wisconsin:data/waits)
crosses=$(tideway submit --deadline 15s --may-hurt 10% "${file[@]}")
metrics_have '^tideway_jobs_at_risk 1$'
said atlanta "deadline_at_risk job=$crosses peer=wisconsin"
for _ in $(seq 100); do tideway schedule show | grep -q "^$crosses .*hybrid" && break; sleep 0.1; done
tideway schedule show > "$work/plan"
grep -q "^$crosses .*hybrid" "$work/plan" || fail "its mode is another: $(cat "$work/plan")"; pass
tideway jobs watch -q "$crosses" || fail "it did not cross in the burst: $(tideway jobs show "$crosses")"
cmp "$work/atlanta/data/file" "$work/wisconsin/data/there"; pass
# A restore does not stop for a training, unless its class is told to.
tideway jobs watch -q "$(tideway submit --class restore "$work/atlanta/data/file" wisconsin:data/restored)"
cmp "$work/atlanta/data/file" "$work/wisconsin/data/restored"; pass
link_becomes 'gate["state"]' closed 0
tideway jobs show "$waits" | grep -q "^state  *running" && tideway jobs show "$waits" | grep -q "^held by  *gate:llm7" || fail "the other one does not wait: $(tideway jobs show "$waits")"; pass
absent "$work/wisconsin/data/waits"
tideway phase end --training llm7
tideway jobs watch -q "$waits"
cmp "$work/atlanta/data/file" "$work/wisconsin/data/waits"; pass
