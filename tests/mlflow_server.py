"""A real server of MLflow on loopback, with a database; one that answers wrongly, and one that never does."""

import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, override

from s3 import free_ports
from tiny import CHECKOUT, wait_until

from samebook.environment.sections import Mlflow
from samebook.tracking.server import API, Server

UV = CHECKOUT / ".samebook" / "uv" / "bin" / "uv"
# The server of the compose profile `mlflow`, which is no package of the environment's.
LOCK = CHECKOUT / "environments" / "mlflow" / "requirements.txt"


def client(*command: str) -> list[str]:
    """A command in an environment of its own, with MLflow and its client."""
    with_mlflow = ("--with-requirements", str(LOCK))
    return [str(UV), "run", "--quiet", "--no-project", "--python", sys.executable, *with_mlflow, *command]


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The URL of a server for the time of the block."""
    port = free_ports(1)[0]
    stores = ("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts")
    command = client("mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *stores)
    # Its queue of jobs is six processes that nobody asks for anything.
    env = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: _answers(process, folder, f"{url}/health"))
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(process: subprocess.Popen[bytes], folder: Path, url: str) -> bool:
    assert process.poll() is None, (folder / "log").read_text()
    with suppress(OSError), urllib.request.urlopen(url):
        return True
    return False


@dataclass
class Wrong:
    """A server that answers any call with this status and these bytes, but those of `right`; the headers of all."""

    status: int
    content: bytes
    version: bytes = b"3.17.2"
    right: dict[str, bytes] = field(default_factory=dict)
    headers: list[dict[str, str]] = field(default_factory=list)
    url: str = ""


@contextmanager
def answering(wrong: Wrong) -> Iterator[Wrong]:
    """A wrong server for the time of the block."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wrong.headers.append({name.lower(): value for name, value in self.headers.items()})
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            version = {"/version": wrong.version} if wrong.version else {}
            right = {**version, **wrong.right}.get(self.path.removeprefix(API).partition("?")[0])
            self.send_response(wrong.status if right is None else 200)
            if wrong.status in (301, 307):
                self.send_header("Location", f"{wrong.url}/elsewhere")
            self.end_headers()
            self.wfile.write(wrong.content if right is None else right)

        def do_POST(self) -> None:
            self.do_GET()

        @override
        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        wrong.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield wrong
        server.shutdown()


@contextmanager
def hanging() -> Iterator[str]:
    """The URL of a server that takes every connection, and answers none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def runs(url: str, experiment: str) -> list[dict[str, Any]]:
    """The runs of an experiment, with tags, parameters and metrics by name, the oldest first."""
    server = Server(Mlflow(url=url))
    number = server.get("experiments/get-by-name", experiment_name=experiment)["experiment"]["experiment_id"]
    order = ["attributes.start_time ASC"]
    found = server.post("runs/search", experiment_ids=[number], run_view_type="ALL", order_by=order).get("runs", [])
    return [_by_name(run) for run in found]


def _by_name(run: dict[str, Any]) -> dict[str, Any]:
    data = {name: {item["key"]: item["value"] for item in items} for name, items in run["data"].items()}
    return {"tags": {}, "params": {}, "metrics": {}, **data, **run["info"]}
