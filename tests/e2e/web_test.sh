#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The page of a gateway: what its address answers and what it refuses, and what a browser makes of it, with a gateway at work and
# with what one beside a training would tell.
source "$(dirname "$0")/lib.sh"
make_sites 127.0.0.1 127.0.0.1
web=$((control_port + 2))
export TIDEWAY_API=$work/api.sock
move_atlanta "api=$TIDEWAY_API" "web=127.0.0.1:$web"
share_link 1Gbit
echo 'sources = ["api"]' >> "$work/atlanta.toml"
mkdir "$work/atlanta/data/tree"
head -c 90000000 /dev/urandom > "$work/atlanta/data/tree/file"
sed 's/^web = .*/web = "10.0.0.1:7480"/' "$work/atlanta.toml" > "$work/open.toml"
refuses 3 config_invalid "loopback" "$bin/tidewayd" --check --config "$work/open.toml"

serve wisconsin "$work/wisconsin.toml"
serve atlanta "$work/atlanta.toml"
tideway copy -q "$work/atlanta/data/tree" wisconsin:data/first
job=$(tideway submit --bwlimit 8Mbit "$work/atlanta/data/tree" wisconsin:data/shown)

# ---- what the address answers ----------------------------------------------------------------------------------------
python3 - "$web" "$job" <<'PY' || fail "what the address answers"
import http.client, json, sys
port, job = int(sys.argv[1]), sys.argv[2]
def ask(method, path, host=None, body=None):
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    line.request(method, path, body, {"Host": host or f"localhost:{port}"})
    answer = line.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read().decode()
status, headers, text = ask("GET", "/")
assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8" and "<h1>" in text
assert headers["Content-Security-Policy"].startswith("default-src 'none'; ") and headers["X-Content-Type-Options"] == "nosniff"
for file in ("page.js", "tide.js", "chart.js", "page.css", "icon.svg"):
    assert ask("GET", "/" + file)[0] == 200, file
assert json.loads(ask("GET", "/v1/version")[2])["site"] == "atlanta"
jobs = json.loads(ask("GET", "/v1/jobs?order=newest&limit=1")[2])
assert [one["id"] for one in jobs["jobs"]] == [job] and jobs["next"], jobs
older = json.loads(ask("GET", f"/v1/jobs?order=newest&after={jobs['next']}")[2])
assert [one["state"] for one in older["jobs"]] == ["published"], older
assert ask("GET", "/v1/jobs?order=random")[0] == 400
for method, path, wanted in (("POST", "/v1/jobs", 405), ("POST", f"/v1/jobs/{job}/cancel", 405), ("PATCH", "/v1/rate", 405), ("POST", "/v1/config/reload", 405),
                             ("DELETE", "/", 405), ("GET", "/v1/config", 403), ("GET", "/metrics", 403), ("GET", "/index.html", 404), ("GET", "/../etc/passwd", 404)):
    status, headers, text = ask(method, path, body="{}" if method != "GET" else None)
    assert status == wanted and json.loads(text)["status"] == wanted, (method, path, status, text)
    assert "Content-Security-Policy" in headers, headers
for host in ("evil.example", f"evil.example:{port}", f"10.0.0.1:{port}"):
    assert ask("GET", "/v1/jobs", host)[0] == 421, host
PY
pass
[ "$(tideway jobs show --json "$job" | grep -o '"state":"[a-z]*"')" = '"state":"running"' ] || fail "the job was touched: $(tideway jobs show "$job")"; pass

# ---- in a browser ------------------------------------------------------------------------------------------------------
if ! command -v chromium > /dev/null; then
  echo "SKIP: the page itself needs chromium"
  exit 0
fi
# A training, for two minutes and a half at most.
python3 - "$TIDEWAY_API" <<'PY' &
import http.client, json, socket, sys, time
def tell(kind):
    line = http.client.HTTPConnection("tideway")
    line.sock = socket.socket(socket.AF_UNIX)
    line.sock.connect(sys.argv[1])
    line.request("POST", "/v1/phase", json.dumps({"training": "llm7", "kind": kind}))
    assert line.getresponse().status == 204
for _ in range(150):
    tell("begin")
    time.sleep(0.4)
    tell("end")
    time.sleep(0.6)
PY
running+=("$!")
timeout 150 python3 "$repo/tests/e2e/web_page.py" "http://127.0.0.1:$web/" "$repo/apps/tidewayd/web" || fail "the page"; pass
