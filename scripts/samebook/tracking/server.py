"""A tracking server of MLflow, by its REST API: the only module that talks to one. The client is not needed.

https://mlflow.org/docs/latest/api_reference/rest-api.html. A call goes to the server alone: through no proxy, and not
to the target of a redirect, as it carries a token.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from urllib3 import PoolManager, Retry, Timeout
from urllib3.exceptions import HTTPError
from urllib3.util import make_headers

from samebook.core import secret
from samebook.core.errors import SamebookError
from samebook.core.text import visible
from samebook.environment.sections import Mlflow
from samebook.records.receipt import Json

API = "/api/2.0/mlflow"
ARTIFACTS = "/api/2.0/mlflow-artifacts/artifacts"
# The scheme of artifacts that the server takes itself, and keeps wherever it keeps them.
PROXIED = "mlflow-artifacts"
# Seconds to connect, between two answers, and for a whole answer; the largest one in bytes.
CONNECT, READ, WHOLE = 5.0, 30.0, 60.0
LARGEST = 2**26
# Pages of a search, so that one that never ends does.
MOST_PAGES = 10_000
# Since then a parameter may have 6,000 characters; models have aliases since 2.3.
OLDEST = (2, 10)
DONE, REDIRECT, UNAUTHORIZED, FORBIDDEN, ABSENT = 200, 300, 401, 403, 404
NOT_THERE, ALREADY_THERE = "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"
# The server, or a proxy before it, takes a value or a file of this one run never.
OF_ONE_RUN = ("INVALID_PARAMETER_VALUE", "413")
# Characters of a server's own words that are shown.
SHOWN = 300
MEND = "make mlflow-sync"


class Refused(SamebookError):
    """A call that the server did not do; `code` is MLflow's own word for the reason, "" where it gave none."""

    def __init__(self, message: str, code: str = "", *, mend: str = MEND) -> None:
        super().__init__(message, mend=mend)
        self.code = code


class Server:
    """A server at the address of the settings. Raises UsageError where its secret is not set."""

    def __init__(self, section: Mlflow) -> None:
        self.section = section
        self.version = ""
        token = secret.text(section.token) if section.token else ""
        if section.user:
            sent = make_headers(basic_auth=f"{section.user}:{token}")
        else:
            sent = {"authorization": f"Bearer {token}"} if token else {}
        headers = {"user-agent": "samebook", **sent}
        self._pool = PoolManager(headers=headers, timeout=Timeout(connect=CONNECT, read=READ), retries=Retry(False))

    def check(self) -> None:
        """Ask for the version. Raises Refused for a server that does not answer, or is too old."""
        try:
            self.version = _line(self._send("GET", "/version").decode("ascii", "replace")[:20])
        except Refused as error:
            if error.code != str(ABSENT):  # a service that speaks MLflow's API need not say which one
                raise
            return
        numbers = re.match(r"(\d+)\.(\d+)", self.version)
        if numbers is None:
            raise Refused(f"{self._name} is no MLflow: it has no version", mend="make settings")
        if tuple(map(int, numbers.groups())) < OLDEST:
            raise Refused(f"{self._name}: expected {'.'.join(map(str, OLDEST))} or later", mend="make mlflow")

    def get(self, path: str, **query: str) -> Json:
        """The answer to a question, by its path in the API."""
        text = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
        return self._json("GET", f"{path}?{text}", b"")

    def post(self, path: str, **body: Any) -> Json:
        """The answer to a call that changes something, or searches."""
        return self._json("POST", path, json.dumps(body).encode())

    def delete(self, path: str, **body: Any) -> Json:
        return self._json("DELETE", path, json.dumps(body).encode())

    def patch(self, path: str, **body: Any) -> Json:
        return self._json("PATCH", path, json.dumps(body).encode())

    def pages(self, ask: Callable[..., Json], path: str, name: str, **wanted: Any) -> Iterator[Json]:
        """The items on all pages of a search by `get` or `post`. Raises Refused for a search that does not end."""
        token: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            page = ask(path, **wanted, **token)
            yield from page.get(name, ())
            if not page.get("next_page_token"):
                return
            token = {"page_token": page["next_page_token"]}
        raise Refused(f"{self._name}: the pages of {_short(path)} do not end")

    def put_file(self, folder: str, name: str, path: Path) -> None:
        """Send a file into a folder of artifacts, by the folder's address: mlflow-artifacts:/…"""
        with path.open("rb") as stream:
            self._send("PUT", f"{ARTIFACTS}{quote(f'{urlsplit(folder).path}/{name}')}", stream, path.stat().st_size)

    def _json(self, method: str, path: str, body: bytes) -> Json:
        content = self._send(method, f"{API}/{path}", body)
        try:
            answer = json.loads(content or b"{}")
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise Refused(
                f"{self._name} is no MLflow: its answer to {_short(path)} is no JSON object", mend="make settings"
            )
        return answer

    def _send(self, method: str, path: str, body: Any = b"", size: int | None = None) -> bytes:
        length = {"content-length": str(size)} if size is not None else {"content-type": "application/json"}
        headers = {**self._pool.headers, **length}
        try:
            with self._pool.request(
                method, self.section.url + path, body=body, headers=headers, redirect=False, preload_content=False
            ) as response:
                content, end = bytearray(), time.monotonic() + WHOLE  # the body, which may be large, is sent by now
                for chunk in response.stream(2**16):
                    content += chunk
                    if len(content) > LARGEST or time.monotonic() > end:
                        raise Refused(f"{self._name}: its answer to {_short(path)} does not end")
                status = response.status
        except (HTTPError, OSError) as error:
            raise Refused(f"{self._name} does not answer: {_reason(error)}") from None
        if not DONE <= status < REDIRECT:
            raise self._refusal(status, path, bytes(content))
        return bytes(content)

    @property
    def _name(self) -> str:
        return f"MLflow{f' {self.version}' if self.version else ''} at {self.section.url}"

    def _refusal(self, status: int, path: str, content: bytes) -> Refused:
        """The error for an answer that is no success, in the server's own words where they are JSON."""
        try:
            answer = json.loads(content)
            code, words = str(answer["error_code"]), _line(str(answer.get("message", ""))[:SHOWN])
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            code, words = str(status), ""
        name = self.section.token or "TOKEN"
        mend = f"export {name}=…" if status in (UNAUTHORIZED, FORBIDDEN) else MEND
        found = f"HTTP {status}{f' {words}' if words else ''}"
        return Refused(f"{self._name} refused {_short(path)}: {found}", code, mend=mend)


def _short(path: str) -> str:
    """The name of a call: its path without the API's own beginning and without a query."""
    return path.removeprefix(API).strip("/").partition("?")[0]


def _line(words: str) -> str:
    """A server's words in one line: none of them is taken for samebook's own, such as a command that mends."""
    return visible(" ".join(words.split()), kept="")


def _reason(error: Exception) -> str:
    cause: BaseException = error
    while following := getattr(cause, "reason", None) or cause.__cause__ or cause.__context__:
        if not isinstance(following, BaseException):
            break
        cause = following
    return getattr(cause, "strerror", None) or (
        f"no answer within {READ:g} s" if isinstance(cause, TimeoutError) else type(cause).__name__
    )
