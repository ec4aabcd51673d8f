# SPDX-License-Identifier: Apache-2.0
#
# Serves the files of the page, and in place of a gateway what one with a training would tell: a link whose training is measured, one
# whose training is announced alone, one without any, and jobs in each state. For tests, and for whoever works on the page:   web_fake.py FOLDER PORT
import datetime
import http.server
import json
import math
import pathlib
import re
import sys
import threading
import time

CAPACITY = 1e9
PERIOD, DUTY, STEP = 1.0, 0.4, 0.25
REPLAYED = 300  # seconds
SCRIPT = "<img src=x onerror=document.title='run'>"  # a name that somebody gave to a folder
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src/daemon/web_page.cc"
POLICY = re.search(r'"(default-src [^"]*)"', SOURCE.read_text())[1]


def text_of(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def share_of_burst(begin, end):
    """Of an interval, the share in which the training sends: from the start of each period on."""
    covered = 0.0
    for n in range(math.floor(begin / PERIOD), math.floor(end / PERIOD) + 1):
        covered += max(0.0, min(end, n * PERIOD + DUTY * PERIOD) - max(begin, n * PERIOD))
    return covered / (end - begin)


def tide(moment):
    begin = moment - STEP
    burst = share_of_burst(begin, moment)
    at = (moment - 0.01) % PERIOD
    gate = "closed" if at < DUTY * PERIOD else "probe" if at < DUTY * PERIOD + 0.05 else "guard" if at > PERIOD - 0.03 else "open"
    pause = 120 < moment % 200 < 135  # the training writes a checkpoint
    if pause:
        burst, gate = 0.0, "open"
    return {"time": text_of(moment), "links": [
        {"peer": "wisconsin", "bulk_send_bits": round(0.96 * CAPACITY * (1 - burst) * (0.97 + 0.03 * math.sin(moment))), "bulk_receive_bits": 0,
         "foreground_bits": round(0.93 * CAPACITY * burst), "gate_send": gate, "gate_receive": None, "reason": {"closed": "gate:llm7", "guard": "guard", "probe": "probe", "open": None}[gate],
         "burst": ["llm7"] if burst > 0.5 else []},
        {"peer": "oslo", "bulk_send_bits": round(2e8 + 3e7 * math.sin(moment / 3)), "bulk_receive_bits": round(1.2e8 + 5e7 * math.sin(moment / 7)), "foreground_bits": None,
         "gate_send": "open", "gate_receive": None, "reason": None, "burst": []},
        {"peer": "quincy", "bulk_send_bits": round(0.9 * CAPACITY * (1 - burst)), "bulk_receive_bits": 0, "foreground_bits": None,
         "gate_send": gate, "gate_receive": None, "reason": {"closed": "gate:rl2", "guard": "guard", "probe": "probe", "open": None}[gate], "burst": ["rl2"] if burst > 0.5 else []}]}


def job(number, state, **more):
    made = {"v": 1, "id": f"{number:016x}", "number": number, "owner": 1000, "peer": "wisconsin", "transfer": "00" * 16, "state": state, "attempts": 0,
            "created": text_of(time.time() - 600), "spec": {"sources": [f"ckpt:runs/llm7/step-{number}000"], "destination": f"wisconsin:ckpt/runs/llm7/step-{number}000", "class": "checkpoint"}}
    made.update(more)
    return made


class Gateway(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    started = time.time()
    folder = pathlib.Path()

    def log_message(self, *_):
        pass

    def say(self, body, kind="application/json", status=200):
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("Content-Security-Policy", POLICY)):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()

    def event(self, kind, data, number=None):
        self.wfile.write(((f"id: {number}\n" if number else "") + f"event: {kind}\ndata: {json.dumps(data)}\n\n").encode())
        self.wfile.flush()

    def running(self):
        passed = time.time() - self.started
        total = 6 << 40
        done = int(0.41 * total + passed * 7.2e7)
        return job(9, "running", held_by="receiver_disk", started=text_of(self.started), progress={
            "stage": "send", "backend": "udp", "entries": 4096, "failed": 0, "skipped": 0, "kept": 0, "bytes_total": total, "bytes_done": done, "bytes_held": 0, "bytes_raw": done,
            "bytes_wire": int(done / 1.31), "packets_sent": 10_000_000, "packets_lost": 1300, "flows": 16, "path_mtu": 1472, "rtt_ns": 20_400_000, "host_lost_received": 0, "host_lost_sent": 0})

    def jobs(self):
        spec = {"sources": ["data:corpus", "data:tokenizer"], "destination": "oslo:data/corpus"}
        return [self.running(),
                job(10, "waiting", wait={"reason": "gate:llm7", "detail": "", "next": ""}),
                job(11, "waiting", peer="oslo", spec=spec, wait={"reason": "dest_full", "detail": "root data on oslo needs 4.1 TiB more, free 2.4 TiB", "next": "free 1.7 TiB on oslo, or cancel the job"}),
                job(12, "paused"), job(13, "queued", spec={"sources": [f"data:{SCRIPT}"], "destination": f"wisconsin:data/{SCRIPT}"}),
                job(7, "published", ended=text_of(time.time() - 900), outcome={"bytes": 6 << 40, "milliseconds": 1_810_000, "failed": 0}),
                job(8, "failed", ended=text_of(time.time() - 700), error={"code": "source_changed", "detail": "optim/rank_17.pt moved while it was read", "next": "copy it again when nobody writes"})]

    def do_GET(self):
        try:
            self.answer()
        except OSError:
            pass  # the page has gone

    def answer(self):
        path, _, query = self.path.partition("?")
        arguments = dict(part.split("=") for part in query.split("&") if part)
        passed = time.time() - self.started
        file = self.folder / ("index.html" if path == "/" else path[1:])
        if path.count("/") == 1 and file.is_file():
            return self.say(file.read_bytes(), TYPES[file.suffix])
        answer = {
            "/v1/version": {"program": "0.0.0", "protocol": 1, "api": 1, "site": "atlanta", "gateway": "gw1"},
            "/v1/jobs": {"jobs": [one for one in self.jobs() if one["state"] == arguments.get("state")], "next": None},
            "/v1/peers": {"peers": [
                {"name": "wisconsin", "control": "10.77.0.2:7400", "identity": "", "sessions": 1, "up": True, "bytes_sent": int(6e7 * passed), "bytes_received": int(4e5 * passed)},
                {"name": "oslo", "control": "10.77.0.3:7400", "identity": "", "sessions": 1, "up": True, "bytes_sent": int(2.5e7 * passed), "bytes_received": int(1.5e7 * passed)},
                {"name": "quincy", "control": "10.77.0.4:7400", "identity": "", "sessions": 0, "up": False, "bytes_sent": 0, "bytes_received": 0}]},
            "/v1/links": {"links": [
                {"peer": "wisconsin", "kind": "shared", "capacity_bits": CAPACITY, "gates": [{"direction": "send", "state": "open", "reason": None, "rate_bits": None}, {"direction": "receive", "state": "open", "reason": None, "rate_bits": None}],
                 "bulk_bits": {"send": 5.7e8, "receive": 0}, "foreground_bits": 3.7e8, "rtt_s": 0.0204, "loss": 0.00013, "trainings": [
                     {"training": "llm7", "predictor": "locked", "period_s": 1.0, "jitter_s": 0.012, "burst": True, "source": "beacon", "source_age_s": 0.2, "inflation": 0.0041, "budget": 0.01},
                     {"training": "vision3", "predictor": "acquiring", "period_s": None, "jitter_s": None, "burst": False, "source": None, "source_age_s": None, "inflation": 0.013, "budget": 0.01}]},
                {"peer": "oslo", "kind": "dedicated", "capacity_bits": None, "gates": [], "bulk_bits": {"send": 2e8, "receive": 1.2e8}, "foreground_bits": None, "rtt_s": 0.0981, "loss": 0, "trainings": []},
                {"peer": "quincy", "kind": "shared", "capacity_bits": CAPACITY, "gates": [], "bulk_bits": {"send": 5e8, "receive": 0}, "foreground_bits": None, "rtt_s": None, "loss": None, "trainings": [
                    {"training": "rl2", "predictor": "none", "period_s": None, "jitter_s": None, "burst": False, "source": "api", "source_age_s": 0.31, "inflation": None, "budget": 0.01}]}]},
        }.get(path)
        if answer is not None:
            return self.say(json.dumps(answer).encode())
        if path == "/v1/events":
            return self.tell_jobs()
        if path == "/v1/tide":
            return self.tell_tide()
        return self.say(b"{}", status=404)

    def tell_jobs(self):
        self.begin_stream()
        for second in range(600):
            self.event("progress", self.running())
            if second % 10 == 1:
                self.event("alarm", {"alarm": "wrong", "about": "llm7", "answer": "the gate opened after the guard"})
                self.event("budget", {"training": "llm7", "inflation": 0.013, "budget": 0.01, "over": True})
                self.event("budget", {"training": "llm8", "inflation": 0.02, "budget": 0.01, "over": True})
                self.event("budget", {"training": "llm8", "inflation": 0.004, "budget": 0.01, "over": False})
            if second == 2:
                self.event("state", job(14, "published", ended=text_of(time.time()), outcome={"bytes": 123 << 20, "milliseconds": 2400, "failed": 0}), 14)
            time.sleep(1)

    def tell_tide(self):
        self.begin_stream()
        moment = math.floor(time.time() / STEP) * STEP - REPLAYED
        for _ in range(2400 + int(REPLAYED / STEP)):
            self.event("tide", tide(moment))
            moment += STEP
            time.sleep(max(0.0, moment - time.time()))


def serve(folder, port=0):
    Gateway.folder = pathlib.Path(folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Gateway)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


if __name__ == "__main__":
    print(f"http://127.0.0.1:{serve(sys.argv[1], int(sys.argv[2]))}/", flush=True)
    threading.Event().wait()
