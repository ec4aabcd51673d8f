#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A real Prometheus server scrapes a gateway, answers questions about it, and evaluates the alerts that we ship.
source "$(dirname "$0")/lib.sh"
command -v prometheus > /dev/null && command -v promtool > /dev/null || { echo "SKIP: needs prometheus"; exit 77; }
make_sites 127.0.0.1 127.0.0.1
metrics=$((control_port + 2))
server=$((control_port + 4))
export TIDEWAY_API=$work/api.sock
move_atlanta "api=$TIDEWAY_API" "metrics=127.0.0.1:$metrics"
share_link 1Gbit
head -c 5000000 /dev/urandom > "$work/atlanta/data/file"

# It is started first, because it takes five seconds until it scrapes.
cp "$repo/config/alerts.yml" "$work/alerts.yml"
sed -i 's/^        for: 5m$/        for: 0s/' "$work/alerts.yml"  # nobody waits five minutes here
cat > "$work/prometheus.yml" <<YAML
global: {scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}
rule_files: ["$work/alerts.yml"]
scrape_configs: [{job_name: tideway, static_configs: [{targets: ["127.0.0.1:$metrics"]}]}]
YAML
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/tsdb" --web.listen-address="127.0.0.1:$server" > "$work/prometheus.log" 2>&1 &
running+=("$!")

promtool check rules "$repo/config/alerts.yml" > "$work/rules" 2>&1 || fail "the alerts: $(cat "$work/rules")"; pass
promtool test rules "$repo/tests/e2e/alerts_test.yml" > "$work/rules" 2>&1 || fail "what the alerts say: $(cat "$work/rules")"; pass
serve wisconsin "$work/wisconsin.toml"
wisconsin=$gateway
serve atlanta "$work/atlanta.toml"
atlanta=$gateway
tideway copy -q "$work/atlanta/data/file" wisconsin:data/file

# As a linter of metrics sees them: names, types and help.
python3 -c 'import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())' "http://127.0.0.1:$metrics/metrics" > "$work/scrape"
promtool check metrics < "$work/scrape" > "$work/lint" 2>&1 || fail "the metrics: $(cat "$work/lint")"; pass

# answers EXPRESSION PATTERN: within ten seconds the server's answer to it has the pattern.
answers() {
  for _ in $(seq 100); do
    python3 - "$server" "$1" > "$work/answer" 2> /dev/null <<'PY' || :
import json, sys, urllib.parse, urllib.request
query = urllib.parse.urlencode({"query": sys.argv[2]})
data = json.load(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/api/v1/query?{query}", timeout=5))["data"]
for one in data["result"]:
    print(json.dumps(one["metric"], sort_keys=True), one["value"][1])
PY
    grep -qE "$2" "$work/answer" && { pass; return; }
    sleep 0.1
  done
  fail "$1 has no answer like $2: $(cat "$work/answer")"
}
answers 'up{job="tideway"}' ' 1$'
answers 'tideway_sent_bytes_total{peer="wisconsin", class="best-effort"} > 5e6' '"peer": "wisconsin"'
answers 'sum by (peer) (tideway_sent_bytes_total) > 5e6' '"peer": "wisconsin"'
answers 'tideway_audit_last_hash_info' '"hash": "sha256:[0-9a-f]{64}".* 1$'
answers 'tideway_jobs_finished_total' '"result": "published".* 1$'
answers 'tideway_peer_up{peer="wisconsin"}' ' 1$'
answers 'tideway_path_mtu_bytes{peer="wisconsin"} > 1000' wisconsin
answers 'histogram_quantile(0.5, sum by (le) (tideway_flow_rtt_seconds_bucket)) < 1' ' 0\.'
answers 'tideway_gate_state{link="wisconsin", direction="send"}' ' 0$'
answers 'tideway_build_info' '"version"'
answers '(tideway_cert_expiry_timestamp_seconds - time()) / 86400 > 1' '"peer": "wisconsin"'
answers 'count(ALERTS{alertstate="firing"}) or vector(0)' ' 0$'

# A configuration that cannot be taken up, and a peer that goes away.
cp "$work/atlanta.toml" "$work/before.toml"
echo 'nonsense' >> "$work/atlanta.toml"
kill -HUP "$atlanta"
answers 'ALERTS{alertstate="firing"}' '"alertname": "ReloadFailed"'
cp "$work/before.toml" "$work/atlanta.toml"
kill -HUP "$atlanta"
kill -9 "$wisconsin"
wait "$wisconsin" 2> /dev/null || :
tideway submit "$work/atlanta/data/file" wisconsin:data/again > /dev/null
answers 'ALERTS{alertstate="firing"}' '"alertname": "PeerLost".*"peer": "wisconsin"'
answers 'count(ALERTS{alertname="ReloadFailed"}) or vector(0)' ' 0$'
python3 - "$server" <<'PY' || fail "the rules"
import json, sys, urllib.request
groups = json.load(urllib.request.urlopen(f"http://127.0.0.1:{sys.argv[1]}/api/v1/rules", timeout=5))["data"]["groups"]
bad = [(rule["name"], rule.get("lastError")) for group in groups for rule in group["rules"] if rule["health"] != "ok"]
assert groups and not bad, bad
PY
pass
