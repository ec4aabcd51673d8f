# SPDX-License-Identifier: Apache-2.0
#
# A headless Chromium, spoken to through its debugging pipe: one page, what it asked for, and what it complained about.
import base64
import json
import os
import shutil
import subprocess
import tempfile
import time

PATIENCE = 30  # seconds that a browser may take to answer


def find():
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Browser:
    def __init__(self):
        self.folder = tempfile.mkdtemp()
        commands, self.write_end = os.pipe()
        self.read_end, answers = os.pipe()
        flags = ["--headless=new", "--remote-debugging-pipe", f"--user-data-dir={self.folder}", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage",
                 "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions", "--hide-scrollbars",
                 "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
        if os.geteuid() == 0:
            flags.append("--no-sandbox")  # it has none for root; the page is ours
        # The browser reads descriptor 3 and writes 4.
        self.process = subprocess.Popen(["bash", "-c", f'exec "$@" 3<&{commands} 4>&{answers}', "browser", find(), *flags, "about:blank"],
                                        pass_fds=(commands, answers), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(commands)
        os.close(answers)
        self.number, self.session, self.waiting = 0, None, b""
        self.requests, self.complaints, self.statuses = [], [], {}
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(domain + ".enable")

    def close(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def send(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.write_end, json.dumps(message).encode() + b"\0")
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            answer = self.receive()
            if answer.get("id") == self.number:
                assert "result" in answer, answer
                return answer["result"]
        raise AssertionError(f"the browser does not answer {method}")

    def receive(self):
        while b"\0" not in self.waiting:
            part = os.read(self.read_end, 1 << 16)
            assert part, "the browser has ended"
            self.waiting += part
        text, self.waiting = self.waiting.split(b"\0", 1)
        message = json.loads(text)
        self.note(message.get("method"), message.get("params", {}))
        return message

    def note(self, method, about):
        if method == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif method == "Network.responseReceived":
            self.statuses[about["response"]["url"]] = about["response"]["status"]
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(about["exceptionDetails"])[:600])
        elif method == "Runtime.consoleAPICalled" and about["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(about["args"])[:600])
        elif method == "Log.entryAdded" and about["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f'{about["entry"]["text"]} {about["entry"].get("url", "")}')

    # How the page is looked at.
    def look(self, width, height=900, scheme="light"):
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.send("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def open(self, url, width=1200):
        self.look(width)
        self.send("Page.navigate", url=url)
        self.until(f"document.readyState === 'complete' && location.href === {url!r}")

    def evaluate(self, expression):
        result = self.send("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    # Waits until it is true, and says what it is.
    def until(self, expression, seconds=15):
        give_up = time.monotonic() + seconds
        while time.monotonic() < give_up:
            value = self.evaluate(expression)
            if value:
                return value
            time.sleep(0.1)
        raise AssertionError(f"it did not come true within {seconds} s: {expression}; the page complained of {self.complaints}; it says: " +
                             str(self.evaluate("document.body?.innerText"))[:2000])

    def picture(self, path):
        shot = self.send("Page.captureScreenshot", captureBeyondViewport=True, format="png")
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))
