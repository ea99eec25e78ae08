"""A webhook on loopback, which keeps what it is sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override

PATH = "/services/T0/hidden?key=hidden"


@dataclass
class Hook:
    """A webhook on loopback that answers with these codes, the last again and again; and what it was sent."""

    codes: list[int]
    port: int = 0
    got: list[tuple[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"


@contextmanager
def serving(*codes: int, location: str = "") -> Iterator[Hook]:
    hook = Hook(list(codes))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hook.got.append((self.path, json.loads(body)))
            self.send_response(hook.codes.pop(0) if len(hook.codes) > 1 else hook.codes[0])
            if location:
                self.send_header("Location", location)
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        hook.port = server.server_port
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield hook
        server.shutdown()
