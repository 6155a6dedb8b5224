"""A headless Chromium, driven through its DevTools protocol: what a reader does, and what the page reports."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

#: The names of the program, Debian's first.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
#: Seconds for the browser to start, and for the page to do something.
PATIENCE = 60
KEYS = {"Tab": 9, "Enter": 13, "Escape": 27, " ": 32, "End": 35, "Home": 36}
KEYS |= {f"Arrow{side}": 37 + place for place, side in enumerate(("Left", "Up", "Right", "Down"))}


def program() -> str | None:
    """The browser of this machine; None without one."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Page:
    """An empty tab of a browser, with all that it reports."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        #: Errors and warnings of the console, and addresses that were asked for.
        self.complaints: list[str] = []
        self.requests: list[str] = []
        for domain in ("Runtime", "Log", "Network", "Page"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a command of the protocol; events before it are kept."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE))
            if message.get("id") == self._number:
                assert "error" not in message, message
                return dict(message["result"])
            self._note(message.get("method"), message.get("params", {}))

    def _note(self, event: str | None, params: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            self.complaints.append(str(params["exceptionDetails"]))
        elif event == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.complaints.append(" ".join(str(each.get("value", each.get("description"))) for each in params["args"]))
        elif event == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])
        elif event == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def show(self, width: int, height: int, *, dark: bool = False, reduced: float = 1.0) -> None:
        """Set the size of the window and the scheme of the system."""
        size = {"width": width, "height": height, "deviceScaleFactor": reduced, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, path: Path, ready: str = "typeof charts === 'object'") -> None:
        """Open a file and wait until it is loaded, and until a condition of its own; by default that of the report."""
        self.call("Page.navigate", url=path.resolve().as_uri())
        self.wait(f"document.readyState === 'complete' && {ready}")

    def value(self, expression: str) -> Any:
        """The value of an expression in JavaScript, awaited."""
        given = {"expression": expression, "returnByValue": True, "awaitPromise": True}
        answer = self.call("Runtime.evaluate", **given)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.value(f"Boolean({condition})"):
            assert time.monotonic() < deadline, f"in vain: {condition}"
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """Press and release a key."""
        given = {"key": key, "windowsVirtualKeyCode": KEYS[key], "text": {"Enter": "\r", " ": " "}.get(key, "")}
        self.call("Input.dispatchKeyEvent", type="keyDown", **given)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=KEYS[key])

    def point(self, x: float, y: float) -> None:
        """Move the pointer."""
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def click(self, selector: str) -> None:
        """Click in the middle of an element, which is scrolled into view."""
        place = f"""(() => {{ const found = document.querySelector({json.dumps(selector)});
            found.scrollIntoView({{block: "center", behavior: "instant"}});
            const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"""
        x, y = self.value(place)
        button = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", **button)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **button)

    def saves_to(self, folder: Path) -> None:
        """Where downloads go."""
        self.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def picture(self, path: Path) -> None:
        """Save what the window shows."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))


@contextmanager
def tab(folder: Path) -> Iterator[Page]:
    """An empty tab of a new browser, whose profile is in the folder."""
    found = program()
    assert found, "no browser"
    options = ["--headless=new", "--disable-gpu", "--no-first-run", "--disable-extensions", "--hide-scrollbars",
               "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={folder}"]  # fmt: skip
    if os.geteuid() == 0:
        options.append("--no-sandbox")  # which root cannot have
    browser = subprocess.Popen([found, *options, "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        note, deadline = folder / "DevToolsActivePort", time.monotonic() + PATIENCE
        while not (note.is_file() and len(note.read_text().split()) == 2):
            assert browser.poll() is None, "the browser ended"
            assert time.monotonic() < deadline, "the browser did not start"
            time.sleep(0.05)
        port, path = note.read_text().split()
        address = f"ws://127.0.0.1:{port}"
        with connect(address + path, max_size=None, proxy=None) as socket:
            socket.send(json.dumps({"id": 1, "method": "Target.getTargets"}))
            targets = json.loads(socket.recv(timeout=PATIENCE))["result"]["targetInfos"]
        target = next(each["targetId"] for each in targets if each["type"] == "page")
        with connect(f"{address}/devtools/page/{target}", max_size=None, proxy=None) as socket:
            yield Page(socket)
    finally:
        browser.terminate()
        browser.wait(PATIENCE)
