"""Tells a webhook what went wrong, as JSON: in the background, with time-outs, never in the way of the work.

The webhook's URL is a secret, since whoever has it can post. What is posted goes there and nowhere else: not through a
proxy that some variable names, and not on to where a redirect points.
"""

import http.client
import json
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from samebook.core import secret, workspace
from samebook.core.errors import SamebookError, UsageError
from samebook.environment.settings import Settings
from samebook.records import story

FACTS = ("env", "pipeline", "step", "run", "day", "text")
TIMEOUT = 5.0
# Before the second try, and before the third.
PAUSES = (1.0, 4.0)
# So many at a time: where a hundred jobs fail at once, the webhook hears of the first.
MOST = 20
DONE, REDIRECT, SERVER_ERROR = 200, 300, 500
BUSY = {408, 425, 429}

_under_way: set[threading.Thread] = set()
_lock = threading.Lock()


@dataclass(frozen=True)
class _Notice:
    """What is posted where, and what of it a line of the story may tell."""

    url: str
    kind: str
    facts: dict[str, Any]

    @property
    def body(self) -> bytes:
        return json.dumps({"kind": self.kind, **self.facts}, default=str).encode()


def url(in_force: Settings) -> str:
    """Where notices go, "" for nowhere. Raises UsageError where the secret is not set, or is no http(s) URL."""
    name = in_force.notify.webhook
    found = secret.text(name) if name else ""
    if name and not _is_url(found):
        raise UsageError(f"the secret {name} is no URL of a webhook: expected http://… or https://… and a host")
    return found


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_server = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return False
    return is_server and parts.scheme in ("http", "https") and text.isascii() and text.isprintable() and " " not in text


def send(in_force: Settings, kind: str, facts: Mapping[str, Any]) -> None:
    """Post {"kind", "env", "pipeline", "step", "run", "day", "text"} where the settings ask for notices of this kind.

    Returns at once and raises nothing: what can't be delivered is told in the day's story.
    """
    if in_force.notify.webhook is None or kind not in in_force.notify.on:
        return
    told = {name: facts.get(name) for name in FACTS}
    if isinstance(told["text"], str):
        told["text"] = story.safe(told["text"], in_force)
    try:
        notice = _Notice(url(in_force), kind, told)
        _start(notice)
    except (SamebookError, RuntimeError, OSError) as error:
        _undelivered(kind, told, str(error))


def wait(seconds: float) -> bool:
    """Wait for what is under way, at most so long; whether all is done."""
    end = time.monotonic() + seconds
    with _lock:
        waiting = list(_under_way)
    for thread in waiting:
        thread.join(max(0.0, end - time.monotonic()))
    return not any(thread.is_alive() for thread in waiting)


def _start(notice: _Notice) -> None:
    thread = threading.Thread(target=_deliver, args=(notice,), name="notice", daemon=True)
    with _lock:
        if len(_under_way) >= MOST:
            raise SamebookError(f"{MOST} others are under way")
        thread.start()
        _under_way.add(thread)


def _deliver(notice: _Notice) -> None:
    try:
        wrong, may_pass = _posted(notice)
        for pause in PAUSES:
            if wrong and may_pass:
                time.sleep(pause)
                wrong, may_pass = _posted(notice)
        if wrong:
            _undelivered(notice.kind, notice.facts, wrong)
    finally:
        with _lock:
            _under_way.discard(threading.current_thread())


def _posted(notice: _Notice) -> tuple[str, bool]:
    """What is wrong, "" for nothing, and whether it may pass; in words that don't tell the URL."""
    try:
        status = _status(urlsplit(notice.url), notice.body)
    except TimeoutError:
        return f"no answer within {TIMEOUT:g} s", True
    except ssl.SSLError:
        return "its certificate is not trusted, or it speaks no TLS", True
    except (OSError, http.client.HTTPException, ValueError) as error:
        return getattr(error, "strerror", None) or type(error).__name__, True
    wrong = "" if DONE <= status < REDIRECT else f"HTTP {status}"
    return wrong, status >= SERVER_ERROR or status in BUSY


def _status(where: SplitResult, body: bytes) -> int:
    kind = http.client.HTTPSConnection if where.scheme == "https" else http.client.HTTPConnection
    path = (where.path or "/") + (f"?{where.query}" if where.query else "")
    headers = {"Content-Type": "application/json", "User-Agent": "samebook", "Connection": "close"}
    with closing(kind(where.hostname or "", where.port, timeout=TIMEOUT)) as connection:
        connection.request("POST", path, body, headers)
        return connection.getresponse().status


def _undelivered(kind: str, facts: Mapping[str, Any], why: str) -> None:
    with suppress(UsageError):  # outside of a workspace there is no story
        told = {**facts, "text": why}
        story.tell(workspace.find(), "notice-not-delivered", level="warning", kind=kind, **told)
