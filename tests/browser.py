"""A real headless Chromium, driven by the protocol of its developer tools."""

import base64
import itertools
import json
import os
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import websocket
from tiny import PATIENCE, wait_until

OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0")
# The midst of an element, which is moved to where it can be seen.
MIDST = """(() => {
  const element = document.querySelector(SELECTOR);
  element.scrollIntoView({block: 'center'});
  const box = element.getBoundingClientRect();
  return [box.x + box.width / 2, box.y + box.height / 2];
})()"""


def program() -> str:
    """The path of the browser; without one the test is skipped, in CI it fails."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no browser here: apt-get install chromium")
    return found


class Browser:
    """A page of the browser; `problems` are the errors that it has told its console so far."""

    def __init__(self, address: str) -> None:
        self.connection = websocket.create_connection(address, timeout=PATIENCE, suppress_origin=True)
        self.numbers, self.problems = itertools.count(1), list[str]()
        for domain in ("Page", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: Any) -> Any:
        """The result of a command of the protocol; what the page complains of meanwhile is kept."""
        number = next(self.numbers)
        self.connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        for message in map(json.loads, iter(self.connection.recv, "")):
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.problems.append(json.dumps(message["params"]))
            if message.get("id") == number:
                assert "result" in message, message
                return message["result"]
        raise AssertionError("the browser is gone")

    def open(self, address: str) -> None:
        """Open an address, and wait until its page is shown."""
        self.send("Page.navigate", url="about:blank")
        wait_until(lambda: self.value("location.href") == "about:blank")
        self.send("Page.navigate", url=address)
        wait_until(lambda: self.value("document.readyState === 'complete' && 'ready' in document.body.dataset"))

    def value(self, expression: str) -> Any:
        """The value of JavaScript in the page."""
        result = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def go(self, hash_: str) -> None:
        """Follow an address within the page."""
        self.value(f"location.hash = {json.dumps(hash_)}")
        wait_until(lambda: self.value("document.body.dataset.ready === location.hash"))

    def text(self, selector: str = "main") -> str:
        return self.value(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def click(self, selector: str) -> None:
        """Click in the midst of an element, as a mouse does."""
        x, y = self.value(MIDST.replace("SELECTOR", json.dumps(selector)))
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            more = {"text": text} if text and kind == "keyDown" else {}
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code, **more)

    def type(self, text: str) -> None:
        """Type a text where the focus is, and Enter."""
        self.send("Input.insertText", text=text)
        self.press("Enter", 13, "\r")

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """The size of the page, and the colours that its user wishes."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path, *, whole: bool = False) -> None:
        """Write a PNG of what is seen, or of the whole page."""
        options = {"captureBeyondViewport": True} if whole else {}
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot", format="png", **options)["data"]))


@contextmanager
def started(folder: Path) -> Iterator[Browser]:
    """A browser with one page, whose profile is in a folder."""
    profile = folder / "browser"
    command = [program(), *OPTIONS, f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        active = profile / "DevToolsActivePort"
        wait_until(lambda: active.is_file() and active.read_text().count("\n"))
        listed = f"http://127.0.0.1:{active.read_text().splitlines()[0]}/json/list"
        pages = json.load(urllib.request.urlopen(listed, timeout=PATIENCE))
        yield Browser(next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page"))
    finally:
        process.terminate()
        process.wait(PATIENCE)
