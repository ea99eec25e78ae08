"""Notices of failures and alarms to a webhook, as JSON: sent in the background, with time-outs, beside the work.

The URL of the webhook is a secret, as anybody who has it can post. A notice goes there and nowhere else: not through a
proxy that a variable names, and not to the target of a redirect.
"""

import json
import logging
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from urllib3 import PoolManager, Retry
from urllib3.exceptions import HTTPError, MaxRetryError, NewConnectionError, ProtocolError, SSLError
from urllib3.exceptions import TimeoutError as NoAnswer

from samebook.core import secret, workspace
from samebook.core.errors import SamebookError, UsageError
from samebook.environment.settings import Settings
from samebook.pipelines import story

FACTS = ("env", "pipeline", "step", "run", "day", "text")
TIMEOUT = 5.0
# The notices that are sent at the same time: where a hundred jobs fail at once, the webhook hears of the first.
MOST = 20
DONE, REDIRECT = 200, 300
# The second try comes at once, the third after 4 s: at its end a process waits 5 s. No server can lengthen that.
RETRY = Retry(
    2,
    backoff_factor=2,
    status_forcelist={408, 425, 429, *range(500, 600)},
    allowed_methods=None,
    raise_on_status=False,
    respect_retry_after_header=False,
)
HEADERS = {"Content-Type": "application/json", "User-Agent": "samebook"}
# urllib3 logs the URL that it tries again.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

_under_way: set[threading.Thread] = set()
_lock = threading.Lock()


@dataclass(frozen=True)
class _Notice:
    """A notice, the URL that it goes to, and the facts that a line of the story may tell."""

    url: str
    kind: str
    facts: dict[str, Any]

    @property
    def body(self) -> bytes:
        return json.dumps({"kind": self.kind, **self.facts}, default=str).encode()


def url(settings: Settings) -> str:
    """The URL of the webhook, "" for none. Raises UsageError where the secret is not set or not an http(s) URL."""
    name = settings.notify.webhook
    text = secret.text(name) if name else ""
    if name and not _is_url(text):
        raise UsageError(
            f"the secret {name} is not the URL of a webhook: expected http://… or https://… and a host",
            mend=f"export {name}=https://…",
        )
    return text


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        is_server = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        return False
    return is_server and parts.scheme in ("http", "https") and text.isascii() and text.isprintable() and " " not in text


def send(settings: Settings, kind: str, facts: Mapping[str, Any]) -> None:
    """Post {"kind", "env", "pipeline", "step", "run", "day", "text"} where the settings ask for notices of this kind.

    Returns at once and raises nothing: a notice that can't be delivered becomes a line of the day's story.
    """
    if settings.notify.webhook is None or kind not in settings.notify.on:
        return
    posted = {name: facts.get(name) for name in FACTS}
    if isinstance(posted["text"], str):
        posted["text"] = story.redacted(posted["text"], settings)
    try:
        _start(_Notice(url(settings), kind, posted))
    except (SamebookError, RuntimeError, OSError) as error:
        _undelivered(kind, posted, str(error))


def wait(seconds: float) -> bool:
    """Wait for the notices under way, at most so long; whether all are done."""
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
        if why := _failure(notice):
            _undelivered(notice.kind, notice.facts, why)
    finally:
        with _lock:
            _under_way.discard(threading.current_thread())


def _failure(notice: _Notice) -> str:
    """Post a notice; the reason why it was not delivered, in words without the URL, "" where it was."""
    try:
        with (
            PoolManager(headers=HEADERS, timeout=TIMEOUT, retries=RETRY) as pool,
            pool.request("POST", notice.url, body=notice.body, redirect=False, preload_content=False) as response,
        ):
            return "" if DONE <= response.status < REDIRECT else f"HTTP {response.status}"
    except (HTTPError, OSError, ValueError) as error:
        return _reason(error)


def _reason(error: Exception) -> str:
    cause = error.reason if isinstance(error, MaxRetryError) else error
    if isinstance(cause, NewConnectionError | ProtocolError):
        cause = cause.__cause__ or cause.args[-1]
    match cause:
        case NoAnswer():
            return f"no answer within {TIMEOUT:g} s"
        case SSLError():
            return "its certificate is not trusted, or it speaks no TLS"
        case _:
            return getattr(cause, "strerror", None) or type(cause).__name__


def _undelivered(kind: str, facts: Mapping[str, Any], why: str) -> None:
    with suppress(UsageError):  # outside of a workspace there is no story
        story.append(workspace.find(), "notice-not-delivered", level="warning", kind=kind, **{**facts, "text": why})
