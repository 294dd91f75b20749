"""A real browser without a window: Chromium, spoken to by its own protocol over a pipe, with
everything that it complains of."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def executable():
    """Where Chromium is, or None."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


class Browser:
    """One page of one browser; complaints: console errors, warnings and exceptions so far;
    requests: addresses that were asked for."""

    def __init__(self, path, timeout=60.0):
        self.timeout, self.complaints, self.requests, self._number, self._rest = (
            timeout,
            [],
            [],
            0,
            b"",
        )
        self._profile = tempfile.mkdtemp()
        to_us, from_it = os.pipe()
        to_it, from_us = os.pipe()
        self._in, self._out = to_us, from_us
        flags = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--no-first-run",
            "--disable-extensions",
        ]

        def descriptors():
            os.dup2(to_it, 13)
            os.dup2(from_it, 14)
            os.dup2(13, 3)
            os.dup2(14, 4)

        command = [path, *flags, f"--user-data-dir={self._profile}", "--remote-debugging-pipe"]
        self.process = subprocess.Popen(
            command,
            preexec_fn=descriptors,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(to_it)
        os.close(from_it)
        target = self.call("Target.createTarget", url="about:blank", session=None)["targetId"]
        self._session = self.call(
            "Target.attachToTarget", targetId=target, flatten=True, session=None
        )["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    def call(self, method, session="own", **parameters):
        """The result of a command; what comes in between is noted."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session == "own":
            message["sessionId"] = self._session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        return self._until(lambda m: m.get("id") == self._number, method)

    def open(self, path, width=1280, height=900, phone=False):
        """Show a file, at a width in CSS pixels."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=phone,
        )
        self.call("Page.navigate", url=path.resolve().as_uri())
        self._until(lambda m: m.get("method") == "Page.loadEventFired", "load")

    def evaluate(self, script):
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def move(self, x, y):
        """The pointer to a place in the window."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def screenshot(self, path):
        """The whole page as a PNG."""
        path.write_bytes(
            base64.b64decode(
                self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
            )
        )

    def pdf(self, path):
        """The page as it is printed, on A4."""
        path.write_bytes(
            base64.b64decode(
                self.call(
                    "Page.printToPDF", paperWidth=8.27, paperHeight=11.69, preferCSSPageSize=True
                )["data"]
            )
        )

    def _until(self, wanted, what):
        end = time.monotonic() + self.timeout
        while True:
            *whole, self._rest = self._rest.split(b"\0")
            for k, raw in enumerate(whole):
                message = json.loads(raw)
                self._note(message)
                if wanted(message):
                    self._rest = b"\0".join([*whole[k + 1 :], self._rest])
                    assert "error" not in message, (what, message)
                    return message.get("result", {})
            left = end - time.monotonic()
            assert left > 0, f"the browser did not answer: {what}"
            if select.select([self._in], [], [], left)[0]:
                with contextlib.suppress(BlockingIOError):
                    self._rest += os.read(self._in, 1 << 20)

    def _note(self, message):
        kind, body = message.get("method"), message.get("params", {})
        if kind == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(body["exceptionDetails"])[:500])
        elif kind == "Runtime.consoleAPICalled" and body["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(body["args"])[:500])
        elif kind == "Log.entryAdded" and body["entry"]["level"] in ("error", "warning"):
            self.complaints.append(body["entry"]["text"])
        elif kind == "Network.requestWillBeSent":
            self.requests.append(body["request"]["url"])
