#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Checkpoints leave their trainer by themselves: a watched directory is replicated to two sites, through races, a trainer that cleans up
# and kill -9 of the gateway; a hook and the inbox hand theirs over; pointers follow; and restore brings the newest back, from another
# replica when one dies.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
trainer=$repo/tests/e2e/dcp.py
socket=$work/api.sock
metrics=$((control_port + 2))
# Three gateways on one host: atlanta has the trainer, wisconsin and oslo what it saves.
"$bin/tideway" pki issue --ca "$work/ca" --site oslo --gateway gw1 --out "$work/oslo" > /dev/null
mkdir -p "$work/oslo/state" "$work/oslo/data"
write_config oslo 127.0.0.1 127.0.0.1 "$work/oslo/data" | sed "s/:$control_port\"/:$((control_port + 3))\"/; s/:$((control_port + 10000))\"/:$((control_port + 10200))\"/; s/\"write\"\]/\"write\", \"overwrite\"]/" > "$work/oslo.toml"
sed -i 's/"write"\]/"write", "overwrite", "delete"]/' "$work/wisconsin.toml"
move_atlanta "api=$socket" "metrics=127.0.0.1:$metrics"
cat >> "$work/atlanta.toml" <<TOML
[[peer]]
name = "oslo"
control = "127.0.0.1:$((control_port + 3))"
[[watch]]
dir = "data:runs/llm7"
series = "llm7"
to = ["wisconsin:data/runs/llm7", "oslo:data/runs/llm7"]
settle = "300ms"
poll = "200ms"
deadline = "10h"
[[grant]]
peer = "local:user/nobody"
root = "data"
prefix = "shared"
ops = ["read"]
TOML
export TIDEWAY_API=$socket
here=$work/atlanta/data
runs=$here/runs/llm7
there=$work/wisconsin/data/runs/llm7
also=$work/oslo/data/runs/llm7
mkdir -p "$runs"

serve wisconsin "$work/wisconsin.toml"
wisconsin=$gateway
serve oslo "$work/oslo.toml"
serve atlanta "$work/atlanta.toml"
atlanta=$gateway
for site in wisconsin oslo; do
  python3 "$trainer" poll "$work/$site/data/runs/llm7" > "$work/poll-$site.out" &
  running+=("$!")
  pollers+=("$!")
done

# arrives DIR...: within ten seconds, and whole.
arrives() {
  local dir
  for dir; do
    for _ in $(seq 200); do [ -d "$dir" ] && break; sleep 0.05; done
    python3 "$trainer" check "$dir" || fail "$dir did not arrive: $(tideway jobs list; ls "$here/.tideway/inbox" "$here/.tideway/pins"; cat "$here"/.tideway/inbox/*)"
    pass
  done
}
pins() { find "$here/.tideway/pins" -mindepth 1 -maxdepth 1 | wc -l; }

# ---- the watch -------------------------------------------------------------------------------------------------------------
# Its sessions stand before there is anything to send.
stands() { ask GET /v1/peers | python3 -c 'import json, sys; sys.exit(not all(peer["up"] for peer in json.loads(sys.stdin.read()[4:])["peers"]))'; }
for _ in $(seq 200); do stands && break; sleep 0.05; done
stands || fail "no session stands with those that the watch sends to: $(ask GET /v1/peers)"; pass
python3 "$trainer" save "$runs/step-100" 100
arrives "$there/step-100" "$also/step-100"
# Saved again into one directory: the old marker stands beside new shards for longer than anything settles. And the trainer cleans up
# while what it removes is sent.
tideway bwlimit 20Mbit > /dev/null
mkdir "$here/being-made" && python3 "$trainer" save "$here/being-made/x" 1
touch -d '1 minute ago' "$here/being-made/x/.metadata"
python3 -c "import os, sys; open(os.path.join(sys.argv[1], '__0_0.distcp'), 'r+b').write(b'half of another save')" "$here/being-made/x"
mv "$here/being-made/x" "$runs/step-200"
sleep 0.8
absent "$there/step-200"
python3 "$trainer" resave "$runs/step-200" 200 0.6
for _ in $(seq 100); do [ "$(pins)" -gt 0 ] && break; sleep 0.05; done
[ "$(pins)" -gt 0 ] || fail "nothing is pinned: $(tideway jobs list)"; pass
rm -r "$runs/step-200"
tideway bwlimit 80Mbit > /dev/null
arrives "$there/step-200" "$also/step-200"

# ---- kill -9 while one is sent ----------------------------------------------------------------------------------------------
python3 "$trainer" save "$runs/step-300" 300
for _ in $(seq 200); do tideway jobs list --json | grep -q '"state":"running"' && break; sleep 0.05; done
kill -9 "$atlanta"
wait "$atlanta" 2> /dev/null || :
rm -r "$runs/step-100" "$runs/step-300"  # the trainer goes on meanwhile
python3 "$trainer" save "$runs/step-400" 400
serve atlanta "$work/atlanta.toml"
atlanta=$gateway
arrives "$there/step-400" "$also/step-400"
kill -TERM "${pollers[@]}"
for poller in "${pollers[@]}"; do wait "$poller" || fail "a partial checkpoint was seen: $(cat "$work"/poll-*.out)"; pass; done
grep -q "step-200.*step-400" "$work/poll-wisconsin.out" || fail "the poller saw too little: $(cat "$work/poll-wisconsin.out")"; pass
# What arrived is published as soon as the sink has said so.
for _ in $(seq 100); do [ "$(pins)" -eq 0 ] && break; sleep 0.05; done
[ "$(pins)" -eq 0 ] || fail "pins are left: $(ls "$here/.tideway/pins")"; pass
ask GET '/v1/checkpoints?series=llm7&state=published' > "$work/listed"
python3 - "$work/listed" <<'PY' || fail "what is published: $(cat "$work/listed")"
import json, sys
text = open(sys.argv[1]).read()
assert text.startswith("200 "), text
rows = {row["step"]: row for row in json.loads(text[4:])}
assert set(rows) >= {100, 200, 400}, rows
assert sorted(rows[400]["sites"]) == ["oslo", "wisconsin"] and rows[400]["root_hash"].startswith("sha256:") and rows[400]["bytes"] > 4 << 20
PY
pass

# ---- a hook with its own pin, its pointer, and the inbox ---------------------------------------------------------------------
mkdir -p "$here/other"
python3 "$trainer" save "$here/other/global_step500" 500
ln -s .metadata "$here/other/global_step500/.link" && mkdir "$here/other/global_step500/.empty"
echo global_step500 > "$here/other/latest"
cp -a "$here/other/global_step500" "$here/.tideway/pins/hook-1"
request='{"submission_id":"hook-1","series":"other","path":"data:other/global_step500","pin":"hook-1","format":"dcp","to":["wisconsin:data/other"],"deadline":"2099-01-01T00:00:00Z","publish":"rename","pointers":["latest"],"supersede":"latest","keep":1,"member":[0,1],"labels":{}}'
rm -r "$here/other/global_step500"
first=$(ask POST /v1/checkpoints "$request")
case $first in "202 "*'"id"'*) pass ;; *) fail "the hook was answered $first" ;; esac
[ "$(ask POST /v1/checkpoints "$request" | grep -o '"id":"[0-9a-f]*"')" = "$(grep -o '"id":"[0-9a-f]*"' <<< "$first")" ] || fail "the same submission became another job"; pass
arrives "$work/wisconsin/data/other/global_step500"
[ "$(readlink "$work/wisconsin/data/other/global_step500/.link")" = .metadata ] || fail "the link in the hook's pin did not arrive"; pass
[ -d "$work/wisconsin/data/other/global_step500/.empty" ] || fail "the empty directory in the hook's pin did not arrive"; pass
# When it has to be there goes with the job, of a hook as of a watch.
ask GET "/v1/jobs/$(grep -o '"id":"[0-9a-f]*"' <<< "$first" | cut -d '"' -f 4)" | grep -q '"deadline":"2099-01-01T00:00:00' || fail "the hook's deadline did not reach its job"; pass
ask GET '/v1/jobs?limit=1000' | python3 -c 'import json, sys; jobs = [job["spec"] for job in json.loads(sys.stdin.read()[4:])["jobs"] if job["spec"].get("series") == "llm7"]; sys.exit(not jobs or not all(spec.get("deadline") for spec in jobs))' || fail "the watch's deadline did not reach its jobs"; pass
for _ in $(seq 100); do [ -e "$work/wisconsin/data/other/latest" ] && break; sleep 0.05; done
grep -qx global_step500 "$work/wisconsin/data/other/latest" || fail "the pointer did not follow: $(tideway jobs list)"; pass
python3 "$trainer" save "$here/other/global_step600" 600
echo global_step600 > "$here/other/latest"
sed 's/hook-1/in-1/; s/global_step500/global_step600/; s/"pin":"[^"]*",//; s/data:other/other/' <<< "$request" > "$here/.tideway/inbox/in-1.tmp"
mv "$here/.tideway/inbox/in-1.tmp" "$here/.tideway/inbox/in-1.json"
arrives "$work/wisconsin/data/other/global_step600"
grep -q '"id"' "$here/.tideway/inbox/in-1.status.json" || fail "the inbox has no answer: $(ls "$here/.tideway/inbox")"; pass
for _ in $(seq 100); do grep -qsx global_step600 "$work/wisconsin/data/other/latest" && break; sleep 0.05; done
grep -qx global_step600 "$work/wisconsin/data/other/latest" || fail "the pointer did not go on: $(tideway jobs list)"; pass
# Of this series one is kept, once the pointer names no older one.
for _ in $(seq 100); do [ -d "$work/wisconsin/data/other/global_step500" ] || break; sleep 0.05; done
absent "$work/wisconsin/data/other/global_step500"
# The log says so behind the removal, which is seen first.
removed='"event":"removed".*"op":"delete".*"path":"other/global_step500"'
for _ in $(seq 100); do grep -q "$removed" "$work/wisconsin/state/audit.jsonl" && break; sleep 0.05; done
grep -q "$removed" "$work/wisconsin/state/audit.jsonl" || fail "nobody wrote down who removed it"; pass
# Atlanta hears of it when that line is on disk.
is_listed_removed() { ask GET '/v1/checkpoints?series=other' | grep -q '"state":"removed"'; }
for _ in $(seq 100); do is_listed_removed && break; sleep 0.05; done
is_listed_removed || fail "what was removed is not listed so: $(ask GET '/v1/checkpoints?series=other')"; pass
ask POST /v1/checkpoints "${request/'"member":[0,1]'/'"member":[1,2]'}" | grep -q '^400 .*"code":"unsupported".*member' || fail "members were accepted"; pass
ask POST /v1/checkpoints "${request/dcp/pickle}" | grep -q '^400 .*format' || fail "a format that is none was accepted"; pass

# ---- one that is sent while it is written -------------------------------------------------------------------------------------
tideway bwlimit off > /dev/null
growing=$here/grown/step-700
# Leaves with a hash in all staging of wisconsin.
leaves() { python3 - "$work/wisconsin/data/.tideway" <<'PY'
import pathlib, sys
files = [path.read_bytes() for path in pathlib.Path(sys.argv[1]).glob("*/leaves")]
print(sum(any(data[at:at + 16]) for data in files for at in range(0, len(data), 16)))
PY
}
before=$(leaves)
mkdir -p "$growing"
head -c 20000000 /dev/urandom > "$growing/__0_0.distcp"
first=$(ask POST /v1/checkpoints '{"series":"grown","path":"data:grown/step-700","format":"dcp","to":["wisconsin:data/grown"],"growing":true}')
job=$(grep -o '"id":"[0-9a-f]*"' <<< "$first" | cut -d '"' -f 4)
[ -n "$job" ] || fail "a growing checkpoint was answered $first"; pass
head -c 9000000 /dev/urandom > "$growing/__1_0.distcp"
[ "$(ask POST "/v1/checkpoints/$job/ranges" '{"path":"__1_0.distcp","offset":0,"length":8388608}' | cut -c 1-3)" = 202 ] || fail "a range was refused"; pass
# Three leaves of the file that only grows, two of the declared ones, without anything that shows.
for _ in $(seq 600); do [ "$(leaves)" -ge $((before + 5)) ] && break; sleep 0.05; done
[ "$(leaves)" -eq $((before + 5)) ] || fail "$(leaves) leaves are there, $before before: $(tideway jobs list)"; pass
absent "$work/wisconsin/data/grown"
head -c 5000000 /dev/urandom >> "$growing/__0_0.distcp"
echo marker > "$growing/.metadata"
[ "$(ask POST "/v1/checkpoints/$job/complete" | cut -c 1-3)" = 202 ] || fail "it could not be completed"; pass
for _ in $(seq 600); do [ -d "$work/wisconsin/data/grown/step-700" ] && break; sleep 0.05; done
diff -r -x .tideway-manifest "$growing" "$work/wisconsin/data/grown/step-700" || fail "what grew is not what arrived: $(tideway jobs list)"; pass
for _ in $(seq 200); do ask GET "/v1/jobs/$job" | grep -q '"state":"published"' && break; sleep 0.05; done
ask GET "/v1/jobs/$job" > "$work/grown.job"
python3 - "$work/grown.job" <<'PY' || fail "what went ahead crossed again: $(cat "$work/grown.job")"
import json, sys
job = json.loads(open(sys.argv[1]).read()[4:])
assert job["state"] == "published" and job["outcome"]["bytes_held"] >= 5 * (4 << 20), job
PY
pass
mkdir -p "$here/grown/step-800"
job=$(ask POST /v1/checkpoints '{"series":"grown","path":"data:grown/step-800","to":["wisconsin:data/grown"],"growing":true}' | grep -o '"id":"[0-9a-f]*"' | cut -d '"' -f 4)
ask POST "/v1/checkpoints/$job/abort" | grep -q '"state":"cancelled"' || fail "it was not aborted"; pass

# A trainer's pin is what holds it as long as its rule has not held yet: the marker is an old one here, and the trainer deletes what it has pinned.
mkdir -p "$here/grown/step-900"
head -c 9000000 /dev/urandom > "$here/grown/step-900/__0_0.distcp"
echo marker > "$here/grown/step-900/.metadata"
touch -d '1 hour ago' "$here/grown/step-900/.metadata"
job=$(ask POST /v1/checkpoints '{"series":"grown","path":"data:grown/step-900","format":"dcp","to":["wisconsin:data/grown"],"growing":true}' | grep -o '"id":"[0-9a-f]*"' | cut -d '"' -f 4)
[ "$(ask POST "/v1/checkpoints/$job/complete" | cut -c 1-3)" = 202 ] || fail "it could not be completed"; pass
for _ in $(seq 200); do ask GET "/v1/jobs/$job" | grep -q old_marker && break; sleep 0.05; done
ask GET "/v1/jobs/$job" | grep -q 'old_marker.*"reason":"incomplete"' || fail "it does not wait for its marker: $(ask GET "/v1/jobs/$job")"; pass
cp -a "$here/grown/step-900" "$here/.tideway/pins/held-900"
touch "$here/.tideway/pins/held-900/.metadata"
[ "$(ask POST "/v1/checkpoints/$job/complete" '{"pin":"held-900"}' | cut -c 1-3)" = 202 ] || fail "it could not be completed again"; pass
mv "$here/grown/step-900" "$work/step-900"
for _ in $(seq 600); do [ -d "$work/wisconsin/data/grown/step-900" ] && break; sleep 0.05; done
diff -r -x .tideway-manifest "$work/step-900" "$work/wisconsin/data/grown/step-900" || fail "what the trainer held did not arrive: $(ask GET "/v1/jobs/$job")"; pass
for _ in $(seq 200); do [ -e "$here/.tideway/pins/held-900" ] || break; sleep 0.05; done
absent "$here/.tideway/pins/held-900"

# ---- pins of others ------------------------------------------------------------------------------------------------------------
if [ "$(id -u)" -eq 0 ] && command -v setpriv > /dev/null; then
  chmod 0755 "$work" && chmod 0666 "$socket"
  stranger() { setpriv --reuid nobody --clear-groups bash -c "$(declare -f ask); socket=$socket; ask \"\$@\"" ask "$@"; }
  mkdir -p "$here/shared" && python3 "$trainer" save "$here/shared/step-1" 1
  cp -a "$here/shared/step-1" "$here/.tideway/pins/not-yours"
  wanted='{"series":"shared","path":"data:shared/step-1","format":"dcp","to":["wisconsin:data/shared"]'
  job=$(stranger POST /v1/checkpoints "$wanted,\"pin\":\"not-yours\"}" | grep -o '"id":"[0-9a-f]*"' | cut -d '"' -f 4)
  for _ in $(seq 200); do ask GET "/v1/jobs/$job" | grep -q '"state":"failed"' && break; sleep 0.05; done
  ask GET "/v1/jobs/$job" | grep -q '"code":"denied"' || fail "a pin of another held for a stranger: $(ask GET "/v1/jobs/$job")"; pass
  for _ in $(seq 200); do grep -q 'pin_left pin=not-yours' "$work/atlanta.log" && break; sleep 0.05; done
  python3 "$trainer" check "$here/.tideway/pins/not-yours" || fail "a stranger dropped a pin of another"; pass
  # Nor is it dropped for him behind a job of his own, or by naming it where it is not needed; and one that is in use holds for its own user alone.
  job=$(stranger POST /v1/checkpoints "$wanted}" | grep -o '"id":"[0-9a-f]*"' | cut -d '"' -f 4)
  for _ in $(seq 200); do ask GET "/v1/jobs/$job" | grep -q '"state":"published"' && break; sleep 0.05; done
  [ "$(stranger POST "/v1/checkpoints/$job/complete" '{"pin":"not-yours"}' | cut -c 1-3)" = 202 ] || fail "a stranger cannot complete what is his"; pass
  [ "$(stranger POST /v1/checkpoints "$wanted,\"pin\":\"not-yours\"}" | cut -c 1-3)" = 202 ] || fail "it is not known"; pass
  for _ in $(seq 200); do [ "$(grep -c 'pin_left pin=not-yours' "$work/atlanta.log")" -ge 3 ] && break; sleep 0.05; done
  python3 "$trainer" check "$here/.tideway/pins/not-yours" || fail "a stranger dropped a pin of another"; pass
  tideway bwlimit 1Mbit > /dev/null
  mkdir -p "$here/mine" && python3 "$trainer" save "$here/mine/step-1" 1
  ask POST /v1/checkpoints '{"series":"mine","path":"data:mine/step-1","pin":"not-yours","format":"dcp","to":["wisconsin:data/mine"]}' | grep -q '^202 ' || fail "its own user was refused"; pass
  for _ in $(seq 200); do  # until it is held; before that whoever names it is only told by its job
    stranger POST /v1/checkpoints "${wanted/step-1/step-2},\"pin\":\"not-yours\"}" | grep -q '^403 .*"code":"denied"' && break
    sleep 0.05
  done
  stranger POST /v1/checkpoints "${wanted/step-1/step-2},\"pin\":\"not-yours\"}" | grep -q '^403 .*"code":"denied"' || fail "a pin that is in use was given to a stranger"; pass
  stranger POST /v1/jobs '{"sources":["data:shared"],"destination":"wisconsin:data/urgent","class":"restore"}' | grep -q '^403 .*passes the gate' || fail "a stranger's job passes the gate"; pass
  stranger PATCH "/v1/jobs/$job" '{"class":"restore"}' | grep -q '^403 .*passes the gate' || fail "a stranger's job passes the gate later"; pass
fi

# ---- a step that is saved again behind a roll-back ------------------------------------------------------------------------------
tideway bwlimit off > /dev/null
mkdir -p "$here/rolled"
hand_over() { # SERIES NAME
  ask POST /v1/checkpoints '{"series":"'"$1"'","path":"data:'"$1/$2"'","format":"dcp","to":["wisconsin:data/'"$1"'"]}' | grep -o '"id":"[0-9a-f]*"' | cut -d '"' -f 4
}
ends() { # JOB STATE
  for _ in $(seq 200); do ask GET "/v1/jobs/$1" | grep -q "\"state\":\"$2\"" && break; sleep 0.05; done
  ask GET "/v1/jobs/$1" | grep -q "\"state\":\"$2\"" || fail "it is not $2: $(ask GET "/v1/jobs/$1")"; pass
}
python3 "$trainer" save "$here/rolled/step-300" 1
first=$(hand_over rolled step-300)
ends "$first" published
[ "$(hand_over rolled step-300)" = "$first" ] || fail "the same save became another job"; pass
# By a clock that is ahead, and once more when that is known.
rm -r "$here/rolled/step-300" "$work/wisconsin/data/rolled"
python3 "$trainer" save "$here/rolled/step-300" 1
touch -d '1 hour' "$here/rolled/step-300/"__*.distcp "$here/rolled/step-300/.metadata"
second=$(hand_over rolled step-300)
ends "$second" published
[ "$second" != "$first" ] && [ "$(hand_over rolled step-300)" = "$second" ] || fail "of two saves that are both published the last one is not known"; pass
python3 "$trainer" save "$here/rolled/other" 2 && rm -r "$here/rolled/step-300" && mv "$here/rolled/other" "$here/rolled/step-300"
again=$(hand_over rolled step-300)
ends "$again" failed
ask GET "/v1/jobs/$again" | grep -q '"code":"dest_exists"' || fail "another save of a published step ended so: $(ask GET "/v1/jobs/$again")"; pass
python3 "$trainer" check "$work/wisconsin/data/rolled/step-300"; pass

# ---- a step that is saved again while its first save is sent --------------------------------------------------------------------
tideway bwlimit 2Mbit > /dev/null
python3 "$trainer" save "$here/rolled/step-400" 4
first=$(hand_over rolled step-400)
ends "$first" running
python3 "$trainer" save "$here/rolled/other" 5 && rm -r "$here/rolled/step-400" && mv "$here/rolled/other" "$here/rolled/step-400"
second=$(hand_over rolled step-400)
ends "$first" cancelled
tideway bwlimit off > /dev/null
ends "$second" published
diff -r -x .tideway-manifest "$here/rolled/step-400" "$work/wisconsin/data/rolled/step-400" || fail "what arrived is not the last save"; pass

# ---- saves that come faster than half of one crosses ----------------------------------------------------------------------------
tideway bwlimit 2Mbit > /dev/null
mkdir -p "$here/fast"
fast=()
for step in 1 2 3; do
  python3 "$trainer" save "$here/fast/step-$step" "$step"
  fast+=("$(hand_over fast "step-$step")")
  ends "${fast[-1]}" running
done
ends "${fast[0]}" cancelled
ends "${fast[1]}" running  # in its place, so not a second time
tideway bwlimit off > /dev/null
arrives "$work/wisconsin/data/fast/step-2" "$work/wisconsin/data/fast/step-3"

# ---- restore -------------------------------------------------------------------------------------------------------------------
tideway bwlimit off > /dev/null
tideway restore -q any:data/runs/llm7 --latest "$here/restored"
diff -r -x .tideway-manifest "$runs/step-400" "$here/restored" || fail "what came back differs"; pass
tideway restore -q --direct oslo:data/runs/llm7 --step 200 "$work/direct"
python3 "$trainer" check "$work/direct" || fail "the direct restore is not whole"; pass
refuses 6 source_missing "step 7" tideway restore -q any:data/runs/llm7 --step 7 "$here/none"
refuses 6 source_missing "step 7" tideway restore -q --direct any:data/runs/llm7 --step 7 "$work/none"
refuses 2 usage "--latest" tideway restore -q any:data/runs/llm7 "$here/none"
refuses 1 dest_exists "at the destination" tideway restore -q any:data/runs/llm7 --step 200 "$here/restored"
ask POST /v1/restore '{"series":"other","step":"latest","dst":"data:again","include":["**"],"fallback":false}' | grep -q '^202 .*"id"' || fail "restore of a series was refused"; pass
arrives "$here/again"
ask POST /v1/restore '{"from":"any:data/runs/llm7","dst":"data:some","include":["__0_*"]}' | grep -q '^202 ' || fail "a part was refused"; pass
for _ in $(seq 100); do [ -d "$here/some" ] && break; sleep 0.05; done
[ "$(LC_ALL=C ls -A "$here/some")" = "$(printf '.tideway-manifest\n__0_0.distcp')" ] || fail "another part came: $(ls -A "$here/some")"; pass
# What an earlier one beside it has does not cross again.
mkdir "$here/large" && python3 "$trainer" save "$here/large/step-1" 1 2 20000000
for site in wisconsin oslo; do tideway copy -q "$here/large/step-1" "$site:data/large/step-1"; done
cp -a "$here/large/step-1" "$here/next"
printf changed | dd of="$here/next/__1_0.distcp" conv=notrunc bs=1 seek=5000000 status=none
tideway copy --json "$here/next" wisconsin:data/large/step-0 > "$work/next.json"
cmp "$here/next/__1_0.distcp" "$work/wisconsin/data/large/step-0/__1_0.distcp"; pass
python3 - "$work/next.json" <<'PY' || fail "how much crossed: $(tail -n 1 "$work/next.json")"
import json, sys
summary = [json.loads(line) for line in open(sys.argv[1])][-1]
assert summary["bytes_held"] >= 40_000_000 - (4 << 20), summary
PY
pass
# A replica that is not any more what was published is refused, and the next one is taken: whichever of the two is asked first.
mkdir "$here/hurt" && python3 "$trainer" save "$here/hurt/step-1" 3 2 5000000
for site in wisconsin oslo; do tideway copy -q "$here/hurt/step-1" "$site:data/hurt/step-1"; done
flip() { python3 - "$1" <<'PY'
import os, sys
status = os.stat(sys.argv[1])
with open(sys.argv[1], "r+b") as file:
    file.seek(4_200_000)
    byte = file.read(1)[0]
    file.seek(4_200_000)
    file.write(bytes([byte ^ 1]))
os.utime(sys.argv[1], ns=(status.st_atime_ns, status.st_mtime_ns))
PY
}
for try in 1 2 3 4 5 6; do
  [ $((try % 2)) -eq 1 ] && site=wisconsin || site=oslo
  flip "$work/$site/data/hurt/step-1/__0_0.distcp"
  tideway restore -q any:data/hurt --latest "$here/hurt-back-$try"
  python3 "$trainer" check "$here/hurt-back-$try" || fail "a damaged replica came back"; pass
  flip "$work/$site/data/hurt/step-1/__0_0.distcp"
  grep -q 'source_given_up.*code=source_corrupt' "$work/atlanta.log" && break
done
grep -q 'source_given_up.*code=source_corrupt' "$work/atlanta.log" || fail "no damaged replica was asked"; pass
# One replica dies in the middle.
tideway bwlimit off > /dev/null
"$bin/tideway" --config "$work/atlanta.toml" restore -q any:data/large --latest "$here/large-back" 2> "$work/restore.log" &
restoring=$!
running+=("$restoring")
for _ in $(seq 100); do tideway jobs list --json | grep '"restore"' | grep -q '"bytes_done":[1-9]' && break; sleep 0.02; done
kill -9 "$wisconsin"
wait "$restoring" || fail "restore did not go on: $(cat "$work/restore.log"; tideway jobs list)"
python3 "$trainer" check "$here/large-back" || fail "what came back is not whole"; pass

# ---- the other site is away, then this gateway, too ------------------------------------------------------------------------------
lag() { python3 - "$metrics" "$1" <<'PY'
import re, sys, urllib.request
text = urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics", timeout=10).read().decode()
print(int(float((re.search(r'rpo_lag_seconds\{series="%s"\} (\S+)' % sys.argv[2], text) or [0, -1])[1])))
PY
}
replicate() { PYTHONPATH=$repo/python timeout 60 python3 -B -m tideway replicate "$1" --to "$2" --format dcp; }
mkdir -p "$here/away" && python3 "$trainer" save "$here/away/step-1" 1
replicate "$here/away/step-1" wisconsin:data/away > "$work/away.job" || fail "the hook failed with wisconsin away"; pass
for _ in $(seq 600); do ask GET "/v1/jobs/$(cat "$work/away.job")" | grep -q '"state":"waiting"' && [ "$(lag away)" -ge 2 ] && break; sleep 0.05; done
ask GET "/v1/jobs/$(cat "$work/away.job")" | grep -q '"state":"waiting"' || fail "it does not wait for its peer: $(ask GET "/v1/jobs/$(cat "$work/away.job")")"; pass
[ "$(lag away)" -ge 2 ] || fail "nothing tells how old the newest one at wisconsin is: $(lag away)"; pass
kill -9 "$atlanta"
wait "$atlanta" 2> /dev/null || :
python3 "$trainer" save "$here/away/step-2" 2
replicate "$here/away/step-2" wisconsin:data/away > "$work/away.id" || fail "the hook failed with the gateway away"; pass
[ -e "$here/.tideway/inbox/$(cat "$work/away.id").json" ] || fail "nothing is in the inbox: $(ls "$here/.tideway/inbox")"; pass
rm -r "$here/away/step-2"  # it is held
serve atlanta "$work/atlanta.toml"
for _ in $(seq 600); do [ -e "$here/.tideway/inbox/$(cat "$work/away.id").status.json" ] && break; sleep 0.05; done
serve wisconsin "$work/wisconsin.toml"
for _ in $(seq 600); do [ -d "$work/wisconsin/data/away/step-2" ] && break; sleep 0.05; done
arrives "$work/wisconsin/data/away/step-2"

# ---- metrics -------------------------------------------------------------------------------------------------------------------
python3 - "$metrics" <<'PY' || fail "metrics"
import sys, urllib.request
text = urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/metrics", timeout=10).read().decode()
assert 'tideway_pins_total{result="pinned"} ' in text, text
assert 'tideway_inbox_pending 0' in text
assert 'tideway_rpo_lag_seconds{series="llm7"} ' in text
PY
pass
