"""A notebook in the real JupyterLab, in a browser: what it shows there is what its headless run shows."""

import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import websocket
from tiny import CHECKOUT, PATIENCE, wait_until

from samebook.records import canonical

# Opens a notebook, runs all cells as the menu does, and saves it.
RUN_ALL = """(async () => {
  const app = window.jupyterapp;
  await app.restored;
  const panel = await app.commands.execute(
    'docmanager:open', {path: 'notebooks/train.ipynb', factory: 'Notebook', kernel: {name: 'python3'}});
  await panel.context.ready;
  await panel.sessionContext.ready;
  await app.commands.execute('notebook:run-all-cells');
  await panel.context.save();
  return panel.content.widgets.filter(cell => cell.model.type === 'code').length;
})()"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the checkout, with its environment."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
    (clone / ".samebook").mkdir()
    for name in (".venv", ".samebook/uv"):
        (clone / name).symlink_to(CHECKOUT / name)
    # As old as can be: a newer lock would have make install this clone's samebook into the environment of all tests.
    for path in (*clone.glob("environments/*.txt"), clone / "scripts" / "pyproject.toml", clone / ".python-version"):
        os.utime(path, (0, 0))
    return clone


@pytest.fixture
def lab(clone: Path, tmp_path: Path) -> Iterator[str]:
    """The address of Lab as make starts it, which shows its application to the browser's console."""
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    (tmp_path / "jupyter_lab_config.py").write_text("c.LabApp.expose_app_in_browser = True\n")
    command = ["make", "lab-local", "ENGINE=local", f"PORT={port}"]
    with started(command, clone, JUPYTER_CONFIG_DIR=str(tmp_path)) as server:
        assert server.stdout
        address = re.search(r"http://\S+", server.stdout.readline())
        assert address
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        yield address[0]


class started:  # noqa: N801 - a context manager
    """A program with all that it starts, which ends with the context."""

    def __init__(self, command: list[str], folder: Path, **variables: str) -> None:
        self.process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> subprocess.Popen[str]:
        return self.process

    def __exit__(self, *_: object) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.communicate(timeout=PATIENCE)


def evaluated(page: str, expression: str) -> Any:
    """The value of JavaScript in a page of the browser, by the protocol of its developer tools; None while it loads."""
    connection = websocket.create_connection(page, timeout=PATIENCE, suppress_origin=True)
    with closing(connection):
        parameters = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        connection.send(json.dumps({"id": 1, "method": "Runtime.evaluate", "params": parameters}))
        answers = (json.loads(connection.recv()) for _ in itertools.count())
        answer = next(answer for answer in answers if answer.get("id") == 1)
    assert "exceptionDetails" not in answer.get("result", {}), answer
    return answer.get("result", {}).get("result", {}).get("value")


@pytest.mark.host
def test_lab_shows_what_headless_shows(clone: Path, lab: str, tmp_path: Path) -> None:
    """All cells of the train notebook show in Lab what they show headless, in the canonical form."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if not program:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no browser here: apt-get install chromium")
    profile = tmp_path / "browser"
    options = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", f"--user-data-dir={profile}")
    run = [str(CHECKOUT / ".venv" / "bin" / "samebook"), "run", "train", "--json"]
    done = subprocess.run(run, cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with started([program, *options, lab], tmp_path):
        active = profile / "DevToolsActivePort"
        wait_until(lambda: active.is_file() and active.read_text().count("\n"))
        address = f"http://127.0.0.1:{active.read_text().splitlines()[0]}/json/list"
        pages = json.load(urllib.request.urlopen(address, timeout=PATIENCE))
        page = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        wait_until(lambda: evaluated(page, "document.readyState === 'complete' && !!window.jupyterapp"))
        assert evaluated(page, RUN_ALL) > 10
    headless = json.loads((clone / "runs" / json.loads(done.stdout)["id"] / "notebook.canonical.json").read_bytes())
    notebook = json.loads((clone / "notebooks" / "train.ipynb").read_bytes())
    assert all(cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert canonical.cells(notebook, str(clone)) == headless
