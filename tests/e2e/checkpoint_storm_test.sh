#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Saves, found by a watch or handed over by a hook, while the trainer, the gateways of both sites and the link between them are killed: nobody at
# the destination ever sees a part of a checkpoint, and the newest whole one arrives. Six saves here; a thousand are scripts/dev.sh storm.
#
#   SAVES=1000 KILLS=4 SECONDS_MAX=900 SEED=7 tests/e2e/checkpoint_storm_test.sh
source "$(dirname "$0")/lib.sh"
make_testbed_sites
saves=${SAVES:-6} kills=${KILLS:-2}
storm=$repo/tests/e2e/checkpoint_storm.py trainer=$repo/tests/e2e/dcp.py
socket=$work/api.sock
sed -i "s|^control = .*10.77.0.1.*|&\napi = \"$socket\"|" "$work/atlanta.toml"
sed -i 's/"write"\]/"write", "delete"]/' "$work/wisconsin.toml"
cat >> "$work/atlanta.toml" <<TOML
[[watch]]
dir = "data:runs/llm7"
format = "dcp"
to = ["wisconsin:data/runs/llm7"]
settle = "300ms"
poll = "200ms"
keep = 5
TOML
root=$work/atlanta/data there=$work/wisconsin/data/runs/llm7
export TIDEWAY_API=$socket
link() { bed "$1" --rate 400Mbit --delay 5ms --loss 0.1% > /dev/null; }
start() { # NAME: its number is in $pid_NAME
  local side=a
  [ "$1" = wisconsin ] && side=b
  serve "$1" "$work/$1.toml" "$repo/scripts/testbed.sh" exec "$side"
  declare -g "pid_$1=$gateway"
}
link up
start wisconsin
start atlanta
python3 "$trainer" poll "$there" > "$work/poll.out" & poller=$!
running+=("$poller")

# What the storm asks to be killed.
dies() {
  local pid
  case $1 in
    link) bed cut > /dev/null; link restart ;;
    *)
      pid="pid_$1"
      kill -9 "${!pid}"
      wait "${!pid}" 2> /dev/null || :
      start "$1" ;;
  esac
}
coproc run { exec python3 "$storm" "$saves" "${SEED:-7}" "$root" "$kills" "${SECONDS_MAX:-900}" 2> "$work/storm.log"; }
running+=("$run_PID")
exec {say}>&"${run[1]}" {hear}<&"${run[0]}"
said=""
while read -r said <&"$hear"; do
  case $said in done*) break ;; *) dies "$said"; echo >&"$say" ;; esac
done
read -r _ newest counts <<< "$said"
[ -n "$newest" ] || fail "the storm ended early: $(cat "$work/storm.log")"
for _ in $(seq 600); do [ -d "$there/step-$newest" ] && break; sleep 0.1; done
python3 "$trainer" check "$there/step-$newest" || fail "the newest, step-$newest, did not arrive: $(bed exec a "$bin/tideway" --config "$work/atlanta.toml" jobs list)"; pass
kill -TERM "$poller"
wait "$poller" || fail "a partial checkpoint was seen: $(cat "$work/poll.out")"; pass
grep -q '\[.*step' "$work/poll.out" || fail "the poller saw none: $(cat "$work/poll.out")"; pass
echo "seed=${SEED:-7} asked=$saves $counts arrived=$(grep -o "'step-" "$work/poll.out" | wc -l) looks=$(cut -d' ' -f1 "$work/poll.out") partial=0"
