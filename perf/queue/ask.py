# SPDX-License-Identifier: Apache-2.0
#
# ask.py SOCKET JOBS: how long a gateway with so many jobs takes for each kind of request, as rows of a table.
import http.client, json, re, socket, statistics, sys, time

PER_KIND = 100


class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(sys.argv[1])


def ask(method, path, body=None):
    line = Unix("tideway")
    begun = time.perf_counter()
    line.request(method, path, json.dumps(body) if body else None)
    answer = line.getresponse()
    text = answer.read().decode()
    took = (time.perf_counter() - begun) * 1e3
    if answer.status >= 300:
        sys.exit(f"{method} {path}: {answer.status} {text}")
    return took, text


jobs = int(sys.argv[2])
spec = {"sources": ["data:one"], "bytes": 1, "deadline": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 9 * 86400))}
kinds = [
    ("first page of jobs", lambda i: ask("GET", "/v1/jobs?limit=100")),
    ("page in the middle", lambda i: ask("GET", f"/v1/jobs?limit=100&state=queued&after={jobs // 2}")),
    ("page of the few that run", lambda i: ask("GET", "/v1/jobs?limit=100&state=running")),
    ("last page, the newest first", lambda i: ask("GET", "/v1/jobs?limit=100&order=newest")),
    ("one job", lambda i: ask("GET", f"/v1/jobs/{(i * 997) % jobs:016x}")),
    ("whether a deadline fits", lambda i: ask("POST", "/v1/schedule/check", dict(spec, destination="wisconsin:data/check"))),
    ("one more job, on disk", lambda i: ask("POST", "/v1/jobs", dict(spec, destination=f"wisconsin:data/more{i}"))),
    ("pause", lambda i: ask("POST", f"/v1/jobs/{(i * 991) % jobs:016x}/pause")),
    ("health", lambda i: ask("GET", "/v1/health")),
    ("metrics", lambda i: ask("GET", "/metrics")),
]
for name, request in kinds:
    took = sorted(request(i)[0] for i in range(PER_KIND))
    print(f"| {jobs} | {name} | {statistics.median(took):.2f} | {took[int(0.99 * PER_KIND)]:.2f} | {took[-1]:.2f} |")
time.sleep(11)  # one plan at least
metrics = ask("GET", "/metrics")[1]
count, total = (float(re.search(rf"tideway_plan_duration_seconds_{what} (\S+)", metrics)[1]) for what in ("count", "sum"))
print(f"| {jobs} | a plan, mean of {count:.0f} | {total / count * 1e3:.1f} | | |")
