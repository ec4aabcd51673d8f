#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A checkpoint comes back from two replicas at once: the slower one brings less; one that dies, is damaged or is another tree costs only its
# share; a gateway that is killed in the middle goes on from what is there; with one replica all is as it was; and what is damaged at all of
# them is refused with the name of the one before it.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
trainer=$repo/tests/e2e/dcp.py
socket=$work/api.sock
"$bin/tideway" pki issue --ca "$work/ca" --site oslo --gateway gw1 --out "$work/oslo" > /dev/null
mkdir -p "$work/oslo/state" "$work/oslo/data"
write_config oslo 127.0.0.1 127.0.0.1 "$work/oslo/data" | sed "s/:$control_port\"/:$((control_port + 3))\"/; s/:$((control_port + 10000))\"/:$((control_port + 10200))\"/" > "$work/oslo.toml"
move_atlanta "api=$socket"
cat >> "$work/atlanta.toml" <<TOML
[[peer]]
name = "oslo"
control = "127.0.0.1:$((control_port + 3))"
TOML
export TIDEWAY_API=$socket
here=$work/atlanta/data

# Their data is written before their rates are set: 120 and 40 Mbit/s, so that 80 MB take four seconds.
serve wisconsin "$work/wisconsin.toml"
wisconsin=$gateway
serve oslo "$work/oslo.toml"
oslo=$gateway
serve atlanta "$work/atlanta.toml"
atlanta=$gateway
mkdir "$here/made"
python3 "$trainer" save "$here/made/step-1" 1 4 20000000
for site in wisconsin oslo; do tideway copy -q "$here/made/step-1" "$site:data/large/step-1"; done
tideway copy -q "$here/made/step-1" wisconsin:data/one/step-1
stop() { kill -TERM "$1"; wait "$1" 2> /dev/null || :; }
stop "$wisconsin"
stop "$oslo"
sed -i 's/^fallback = "off"/&\nrate = "60Mbit"/' "$work/wisconsin.toml"
sed -i 's/^fallback = "off"/&\nrate = "20Mbit"/' "$work/oslo.toml"
serve_wisconsin() { serve wisconsin "$work/wisconsin.toml"; wisconsin=$gateway; }
serve_oslo() { serve oslo "$work/oslo.toml"; oslo=$gateway; }
serve_wisconsin
serve_oslo

# submit DST [RUN]: the job's number is in $job.
submit() {
  job=$(ask POST /v1/restore "{\"from\":\"any:data/${2:-large}\",\"dst\":\"data:$1\"}" | grep -o '"id":"[0-9a-f]*"' | cut -d '"' -f 4)
  [ -n "$job" ] || fail "the restore to $1 was refused"
}
# job_is TEST: a python expression over `job`, within a minute; the job as it was then is in $work/job.json.
job_is() {
  python3 - "$socket" "$job" "$1" "$work/job.json" <<'PY' || fail "the job is not so that $1; $(tail -n 20 "$work/atlanta.log")"
import json, pathlib, socket, sys, time
until = time.monotonic() + 60
while True:
    job = "not known"
    try:
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(20)
        line.connect(sys.argv[1])
        line.sendall(f"GET /v1/jobs/{sys.argv[2]} HTTP/1.0\r\n\r\n".encode())
        text = b"".join(iter(lambda: line.recv(65536), b"")).split(b"\r\n\r\n", 1)[1]
        job = json.loads(text)
        if eval(sys.argv[3]): break
    except (OSError, LookupError, ValueError):
        pass  # it is not there yet, or not with that
    if time.monotonic() > until: sys.exit(f"it is {job}")
    time.sleep(0.05)
pathlib.Path(sys.argv[4]).write_bytes(text)
PY
  pass
}
whole() { python3 "$trainer" check "$here/$1" || fail "$1 is not whole"; pass; }
both='min(one["bytes"] for one in job.get("progress", {}).get("sources", [{"bytes": 0}])) > 0'

# ---- both bring it, the slower one less ------------------------------------------------------------------------------------------
submit both
job_is "$both"
tideway jobs show "$job" | grep -q 'brought by *wisconsin:data/large/step-1 ' || fail "jobs show does not say who brings it: $(tideway jobs show "$job")"; pass
job_is 'job["state"] == "published"'
whole both
same_tree "$here/made/step-1" "$here/both"
python3 - "$work/job.json" <<'PY' || fail "what each brought: $(cat "$work/job.json")"
import json, sys
job = json.load(open(sys.argv[1]))
share = {one["source"]: one["bytes"] for one in job["outcome"]["sources"]}
assert set(share) == {"wisconsin:data/large/step-1", "oslo:data/large/step-1"}, share
assert share["wisconsin:data/large/step-1"] > share["oslo:data/large/step-1"] > 0, share
assert job["outcome"]["bytes"] == job["outcome"]["bytes_sent"] <= sum(share.values()) < job["outcome"]["bytes"] + (64 << 20), job["outcome"]
assert job["outcome"]["bytes_held"] == 0, job["outcome"]
PY
pass
tideway verify "$here/both" > /dev/null; pass
[ -z "$(find "$here/.tideway" -mindepth 1 -maxdepth 1 -name '[0-9a-f]*')" ] || fail "staging is left: $(ls "$here/.tideway")"; pass

# ---- one dies in the middle --------------------------------------------------------------------------------------------------------
for victim in oslo wisconsin; do
  submit "dies-$victim"
  job_is "$both"
  kill -9 "${!victim}"
  wait "${!victim}" 2> /dev/null || :
  job_is 'job["state"] == "published"'
  whole "dies-$victim"
  "serve_$victim"
done
grep -q 'gather_source_given_up.*source="oslo:.*code=peer_lost' "$work/atlanta.log" || fail "nobody was given up"; pass

# ---- both die, and one comes back ---------------------------------------------------------------------------------------------------
submit none
job_is "$both"
kill -9 "$wisconsin" "$oslo"
wait "$wisconsin" "$oslo" 2> /dev/null || :
job_is 'job["state"] == "waiting" and job["wait"]["reason"] in ("peer_lost", "peer_unreachable")'
absent "$here/none"
serve_oslo
job_is 'job["state"] == "published"'
job_is 'job["outcome"]["bytes_held"] > 0'
whole none
serve_wisconsin

# ---- the gateway that restores is killed ---------------------------------------------------------------------------------------------
submit killed
job_is "$both"
kill -9 "$atlanta"
wait "$atlanta" 2> /dev/null || :
serve atlanta "$work/atlanta.toml"
atlanta=$gateway
job_is 'job["state"] == "published"'
whole killed
# And one that is paused goes on, too.
submit paused
job_is "$both"
tideway jobs pause "$job" > /dev/null
job_is 'job["state"] == "paused"'
tideway jobs resume "$job" > /dev/null
job_is 'job["state"] == "published"'
whole paused

# ---- a leaf that rotted at one ------------------------------------------------------------------------------------------------------
# flip FILE OFFSET: done twice, it is sound again.
flip() { python3 - "$@" <<'PY'
import os, sys
status, at = os.stat(sys.argv[1]), int(sys.argv[2])
with open(sys.argv[1], "r+b") as file:
    file.seek(at)
    byte = file.read(1)[0]
    file.seek(at)
    file.write(bytes([byte ^ 1]))
os.utime(sys.argv[1], ns=(status.st_atime_ns, status.st_mtime_ns))
PY
}
flip "$work/wisconsin/data/large/step-1/__2_0.distcp" 12000000
submit rotten
job_is 'job["state"] == "published"'
whole rotten
flip "$work/wisconsin/data/large/step-1/__2_0.distcp" 12000000

# ---- one that is another tree under the same name -----------------------------------------------------------------------------------
rm -r "$work/oslo/data/large/step-1"
mkdir "$here/other"
python3 "$trainer" save "$here/other/step-1" 2 4 20000000
tideway copy -q "$here/other/step-1" oslo:data/large/step-1
submit either
job_is 'job["state"] == "published" and "sources" in job["outcome"]'
whole either
said atlanta 'code=manifest_mismatch'

# ---- rotten wherever it is ------------------------------------------------------------------------------------------------------------
# Whoever cannot have it is told which one there is before it; nothing of it appears.
mkdir "$here/few"
for step in 1 2; do
  python3 "$trainer" save "$here/few/step-$step" "$step" 2 1000000
  for site in wisconsin oslo; do tideway copy -q "$here/few/step-$step" "$site:data/few/step-$step"; done
done
for site in wisconsin oslo; do flip "$work/$site/data/few/step-2/__0_0.distcp" 500000; done
for how in "--latest" "--step 2" "--direct --latest"; do
  refuses 8 source_corrupt "data/few/step-1: restore that step" tideway restore -q $how any:data/few "$here/whole"
  absent "$here/whole"
done
submit waits few
job_is 'job["state"] == "waiting" and "data/few/step-1" in job["wait"]["next"]'
tideway jobs cancel "$job" > /dev/null
tideway restore -q any:data/few --latest --fallback "$here/whole"
same_tree "$here/few/step-1" "$here/whole"

# ---- one replica --------------------------------------------------------------------------------------------------------------------
before=$(grep -c gather_started "$work/atlanta.log" || :)
submit alone one
job_is 'job["state"] == "published"'
whole alone
[ "$(grep -c gather_started "$work/atlanta.log" || :)" = "$before" ] || fail "one replica was gathered from"; pass
