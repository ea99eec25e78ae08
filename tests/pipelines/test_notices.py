"""Notices to a webhook: delivered, tried again, given up and told; never in the way, and never to anybody else."""

import datetime
import json
import socket
import threading
import time
from collections.abc import Iterator
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any, override

import pytest
from tiny import PATIENCE, Tiny
from webhook import PATH, Hook, serving

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.environment.sections import Notify
from samebook.environment.settings import Settings
from samebook.pipelines import notices, story

SETTINGS = Settings(notify=Notify(webhook="HOOK"))
FACTS = {
    "env": "prod",
    "pipeline": "daily",
    "step": "predict",
    "run": "r",
    "day": datetime.date(2013, 7, 1),
    "text": "x",
}


@pytest.fixture(autouse=True)
def quick(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In a workspace of its own, with pauses that a test can wait for."""
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    monkeypatch.setattr(notices, "RETRY", notices.RETRY.new(backoff_factor=0.05))
    yield
    assert notices.wait(PATIENCE)


def send(hook: Hook, monkeypatch: pytest.MonkeyPatch, kind: str = "failure", **facts: Any) -> None:
    monkeypatch.setenv("HOOK", hook.url)
    notices.send(SETTINGS, kind, {**FACTS, **facts})
    assert notices.wait(PATIENCE)


def told(tiny: Tiny) -> list[dict[str, Any]]:
    return list(story.lines(Workspace(tiny.root), datetime.datetime.now(datetime.UTC).date()))


def test_notice_is_delivered(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is posted once, as generic JSON with all its facts, and nothing is told of it."""
    with serving(204) as hook:
        send(hook, monkeypatch, other="dropped")
    assert hook.got == [(PATH, {"kind": "failure", **FACTS, "day": "2013-07-01"})]
    assert told(tiny) == []


def test_facts_may_lack(monkeypatch: pytest.MonkeyPatch) -> None:
    """What isn't known is null; secrets of the settings are taken out of the text."""
    with serving(200) as hook:
        monkeypatch.setenv("HOOK", hook.url)
        notices.send(SETTINGS, "alarm", {"text": f"posted to {hook.url}"})
        assert notices.wait(PATIENCE)
    assert hook.got[0][1] == {"kind": "alarm", **dict.fromkeys(FACTS), "text": "posted to [redacted HOOK]"}


def test_tried_again(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that fails, or is busy, is asked again, three times in all."""
    with serving(500, 429, 200) as hook:
        send(hook, monkeypatch)
    assert len(hook.got) == 3
    assert told(tiny) == []


@pytest.mark.parametrize(("code", "tries"), [(500, 3), (404, 1)])
def test_given_up_and_told(code: int, tries: int, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be delivered is told in the story, with its facts, without the URL; a plain no isn't asked again."""
    with serving(code) as hook:
        send(hook, monkeypatch)
    assert len(hook.got) == tries
    (line,) = told(tiny)
    assert (line["level"], line["event"], line["text"]) == ("warning", "notice-not-delivered", f"HTTP {code}")
    assert (line["kind"], line["pipeline"], line["day"]) == ("failure", "daily", "2013-07-01")
    assert "hidden" not in json.dumps(line)


def test_redirect_is_not_followed(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A redirect hands the notice to nobody else."""
    with serving(200) as other, serving(307, location=f"http://localhost:{other.port}/") as hook:
        send(hook, monkeypatch)
    assert (len(hook.got), other.got) == (1, [])
    assert told(tiny)[0]["text"] == "HTTP 307"


def test_proxy_of_a_variable_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that a variable names sees nothing."""
    with serving(200) as proxy, serving(200) as hook:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        send(hook, monkeypatch)
    assert (len(hook.got), proxy.got) == (1, [])


def test_silence_holds_nobody_up(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes the call and never answers: sending returns at once, waiting ends when it is told to."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        monkeypatch.setattr(notices, "TIMEOUT", 3)
        began = time.monotonic()
        notices.send(SETTINGS, "failure", FACTS)
        assert time.monotonic() - began < 2
        assert not notices.wait(0.1)
        assert time.monotonic() - began < 2.5
        assert notices.wait(PATIENCE)
    assert told(tiny)[0]["text"] == "no answer within 3 s"


def test_nobody_there(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody listens, the story tells so, and no log of any library tells the URL."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("HOOK", f"http://127.0.0.1:{port}/hidden")
    with caplog.at_level("DEBUG"):
        notices.send(SETTINGS, "failure", FACTS)
        assert notices.wait(PATIENCE)
    assert told(tiny)[0]["text"] == "Connection refused"
    assert "hidden" not in caplog.text


@pytest.mark.parametrize(
    ("scheme", "answer", "text"),
    [
        ("http", b"hidden\r\n", "BadStatusLine"),
        ("http", b"", "RemoteDisconnected"),
        ("https", b"hidden\r\n", "its certificate is not trusted, or it speaks no TLS"),
    ],
)
def test_other_protocols(scheme: str, answer: bytes, text: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that speaks no HTTP, hangs up, or speaks no TLS is told in the story without its URL and its words."""

    class Handler(StreamRequestHandler):
        @override
        def handle(self) -> None:
            self.request.recv(1 << 16)
            self.wfile.write(answer)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("HOOK", f"{scheme}://127.0.0.1:{server.server_address[1]}/hidden")
        notices.send(SETTINGS, "failure", FACTS)
        assert notices.wait(PATIENCE)
        server.shutdown()
    assert told(tiny)[0]["text"] == text


def test_many_at_once_are_bounded(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a hundred failures at once the first twenty are under way, and the others are told in the story."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as silent:
        monkeypatch.setenv("HOOK", f"http://127.0.0.1:{silent.getsockname()[1]}/")
        monkeypatch.setattr(notices, "TIMEOUT", 3)
        for _ in range(100):
            notices.send(SETTINGS, "failure", FACTS)
        assert [line["text"] for line in told(tiny)] == ["20 others are under way"] * 80
        assert notices.wait(PATIENCE)


@pytest.mark.parametrize("asked", [Notify(), Notify(webhook="HOOK", on=("alarm",)), Notify(webhook="HOOK", on=())])
def test_nothing_sent_unasked(asked: Notify, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a webhook, or for a kind that the settings don't name, nothing is sent, nor told."""
    with serving(200) as hook:
        monkeypatch.setenv("HOOK", hook.url)
        notices.send(Settings(notify=asked), "failure", FACTS)
        assert notices.wait(PATIENCE)
    assert (hook.got, told(tiny)) == ([], [])


@pytest.mark.parametrize(
    "wrong",
    [
        "file:///etc/passwd",
        "ftp://host/x",
        "hooks.example.com/x",
        "https:///x",
        "http://u:p@host/",
        "http://h:99999/",
        "http://a b/",
    ],
)
def test_wrong_url_is_refused(wrong: str, tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is no http(s) URL is refused by the secret's name, without its text; sending tells it in the story."""
    monkeypatch.setenv("HOOK", wrong)
    with pytest.raises(UsageError, match="the secret HOOK is not the URL of a webhook") as refused:
        notices.url(SETTINGS)
    assert wrong not in str(refused.value)
    notices.send(SETTINGS, "failure", FACTS)
    assert told(tiny)[0]["text"] == str(refused.value)


def test_secret_that_is_not_set(tiny: Tiny) -> None:
    """A secret that is not set stops nobody: the story tells it."""
    notices.send(SETTINGS, "failure", FACTS)
    assert told(tiny)[0]["text"] == "the secret HOOK is not set"


def test_settings_name_the_secret(tiny: Tiny) -> None:
    """The settings take `on` as a name, and a webhook by the name of a secret; its URL in clear is refused unseen."""
    path = tiny.root / "environments" / "dev.yml"
    path.write_text("notify:\n  webhook: HOOK\n  on: [alarm]\n")
    found = settings.load(Workspace(tiny.root), "dev")
    assert (found.notify.on, found.secret_names()) == (("alarm",), ["HOOK"])
    assert "notify.on  " in tiny.samebook("settings").stdout
    path.write_text("notify: {webhook: 'https://hooks.example.com/hidden'}\n")
    ended = tiny.samebook("settings")
    assert (ended.code, "notify.webhook: the value is not shown" in ended.stderr) == (2, True)
    assert "hidden" not in ended.stdout + ended.stderr
