"""Servers that are no MLflow, refuse, or never answer: each is named, and no run fails or waits for one."""

import json
import re
import subprocess
import sys
from pathlib import Path

import mlflow_server
import pytest
import reported
from mlflow_server import Wrong, answering
from s3 import free_ports
from tiny import Tiny

from samebook.core.workspace import Workspace
from samebook.environment.sections import Mlflow
from samebook.tracking import moment, server
from samebook.tracking.record import safe_name
from samebook.tracking.server import Refused, Server
from samebook.verbs.mlflow import mlflow

pytestmark = pytest.mark.fast
LOADED = """
import sys
from pathlib import Path
from samebook.cli.options import mirror
mirror(Path("runs/20130101T000000Z-train-000000"), "dev")
print(*sorted(name for name in sys.modules if name.startswith("samebook.tracking") or name == "mlflow"))
"""


def refusal(wrong: Wrong, **section: str) -> Refused:
    """The error of a first call of a server that answers so."""
    with answering(wrong):
        client = Server(Mlflow(url=wrong.url, **section))
        try:
            client.check()
            client.post("runs/search", experiment_ids=["1"])
        except Refused as error:
            return error
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (Wrong(500, b"<h1>Oops</h1>"), "MLflow 3.17.2 at http://127.0.0.1:.* refused runs/search: HTTP 500$"),
        (Wrong(400, b'{"error_code": "BAD", "message": "no"}'), "refused runs/search: HTTP 400 no"),
        (
            Wrong(400, b'{"error_code": "BAD", "message": "no\\n  -> make x\\u001b[2J"}'),
            r"HTTP 400 no -> make x\\x1b\[2J$",
        ),
        (Wrong(200, b"<html>"), "is no MLflow: its answer to runs/search is no JSON object"),
        (Wrong(200, b"[" * 100_000), "is no MLflow: its answer to runs/search is no JSON object"),
        (Wrong(200, b"[1]"), "is no MLflow: its answer to runs/search is no JSON object"),
        (Wrong(200, b"{}", version=b"<html>"), "is no MLflow: it has no version"),
        (Wrong(200, b"{}", version=b"1.30.0"), "MLflow 1.30.0 at .*: expected 2.10 or later"),
        (Wrong(307, b""), "refused runs/search: HTTP 307"),
        (Wrong(404, b"", version=b""), "MLflow at .* refused runs/search: HTTP 404"),
    ],
)
def test_wrong_answer(wrong: Wrong, words: str) -> None:
    """An answer that is none of MLflow's is named with the call, the status and the server's version."""
    assert re.search(words, str(refusal(wrong)))


def test_missing_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token goes to the server, as a bearer's or as a user's password; where it is refused, its name is said."""
    monkeypatch.setenv("MLFLOW_KEY", "text-of-the-key")
    wrong = Wrong(401, b"")
    error = refusal(wrong, token="MLFLOW_KEY")
    assert error.mend == "export MLFLOW_KEY=…"
    assert "text-of-the-key" not in str(error)
    assert {headers["authorization"] for headers in wrong.headers} == {"Bearer text-of-the-key"}
    refusal(basic := Wrong(403, b""), token="MLFLOW_KEY", user="ada")
    assert {headers["authorization"] for headers in basic.headers} == {"Basic YWRhOnRleHQtb2YtdGhlLWtleQ=="}


def test_endless_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that does not end is given up."""
    monkeypatch.setattr(server, "LARGEST", 1000)
    assert "does not end" in str(refusal(Wrong(200, b"x" * 100_000)))


def test_endless_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A search whose every page names a next one is given up."""
    monkeypatch.setattr(server, "MOST_PAGES", 3)
    with answering(Wrong(200, b'{"runs": [{}], "next_page_token": "more"}')) as wrong:
        client, found = Server(Mlflow(url=wrong.url)), list[object]()
        with pytest.raises(Refused, match="the pages of runs/search do not end"):
            found.extend(client.pages(client.post, "runs/search", "runs"))
    assert len(wrong.headers) == 3


def test_run_that_is_refused_stops_no_other(tmp_path: Path) -> None:
    """A run that MLflow takes in no form, or whose metrics are none, is left out of a sync, and the others are sent."""
    right = {
        "/experiments/search": b"{}",
        "/runs/search": b"{}",
        "/experiments/get-by-name": b'{"experiment": {"experiment_id": "1"}}',
    }
    wrong = Wrong(400, b'{"error_code": "INVALID_PARAMETER_VALUE", "message": "no"}', right=right)
    with answering(wrong):
        tiny = Tiny.create(tmp_path / "workspace", json.dumps({"mlflow": {"url": wrong.url}}))
        for number, metrics in enumerate(({"auc": 1}, {"auc": 10**400}, {"auc": {}}, [1])):
            reported.run(tiny, f"20260101T000000Z-train-00000{number}", metrics)
        said: list[str] = []
        done = mlflow(Workspace(tiny.root), "dev", said.append)
    assert (done.runs, done.sent, len(said)) == (0, 0, 4)
    assert "train-000000 is left out: MLflow 3.17.2 at" in said[0]
    assert all("expected a number for each name" in line for line in said[1:])


@pytest.mark.parametrize("answer", [b'{"experiments": [1]}', b'{"experiments": [{}]}', b'{"experiments": 1}'])
def test_answer_of_another_form(tmp_path: Path, answer: bytes) -> None:
    """An answer that is JSON, and of another form than MLflow's, is an error that says so."""
    with answering(Wrong(200, answer)) as wrong:
        tiny = Tiny.create(tmp_path / "workspace", json.dumps({"mlflow": {"url": wrong.url}}))
        with pytest.raises(Refused, match="answers in another form"):
            mlflow(Workspace(tiny.root), "dev", print)


def test_run_waits_for_a_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that never answers holds a run up for a bounded time, and the next runs not at all."""
    monkeypatch.setattr(moment, "BOUND", 0.5)
    said: list[str] = []
    with mlflow_server.hanging() as url:
        for _ in range(2):
            moment.mirror(Workspace(tmp_path), Mlflow(url=url), [tmp_path], said.append)
    assert said == [
        "not in MLflow yet: no end within 0.5 s; later: make mlflow-sync",
        "MLflow has not answered a moment ago; later: make mlflow-sync",
    ]


def test_run_without_its_server(tmp_path: Path) -> None:
    """A run is complete, and its exit code 0, where MLflow is away, refuses, or its secret is not set."""
    url = f"http://127.0.0.1:{free_ports(1)[0]}"
    tiny = Tiny.create(tmp_path / "workspace", json.dumps({"mlflow": {"url": url, "token": "MLFLOW_KEY"}}))
    tiny.notebook("a", work="1")
    for variables, words in (({}, "the secret MLFLOW_KEY is not set"), ({"MLFLOW_KEY": "a-long-text"}, "refused")):
        (tiny.root / ".samebook" / "mlflow" / "away").unlink(missing_ok=True)
        result = tiny.samebook("run", "a", **variables)
        assert result.code == 0, result.stderr
        assert "not in MLflow yet: " in result.stderr
        assert words in result.stderr
        assert (tiny.last / "receipt.json").is_file()
    result = tiny.samebook("mlflow", "sync", MLFLOW_KEY="a-long-text")
    assert (result.code, "does not answer: Connection refused" in result.stderr) == (1, True)


def test_nothing_is_imported(tmp_path: Path) -> None:
    """Where the settings name no server, nothing of the mirror is imported; MLflow itself never is."""
    tiny = Tiny.create(tmp_path / "workspace")
    loaded = []
    for variables in ({}, {"SAMEBOOK_MLFLOW__URL": f"http://127.0.0.1:{free_ports(1)[0]}"}):
        command, env = [sys.executable, "-c", LOADED], tiny.environ(**variables)
        done = subprocess.run(command, cwd=tiny.root, env=env, capture_output=True, text=True, check=True)
        loaded.append(done.stdout.split())
    assert loaded[0] == []
    assert "samebook.tracking.server" in loaded[1]
    assert "mlflow" not in loaded[1]


def test_password_in_the_url(tmp_path: Path) -> None:
    """A URL with a password is refused without it; so is a sync without a URL."""
    tiny = Tiny.create(tmp_path / "workspace", '{"mlflow": {"url": "http://ada:hidden@127.0.0.1"}}')
    result = tiny.samebook("mlflow", "sync")
    assert (result.code, "hidden" in result.stderr) == (2, False)
    assert "a password stands in the URL" in result.stderr
    (tiny.root / "environments" / "dev.yml").write_text("{}")
    assert "names no MLflow" in tiny.samebook("mlflow", "sync").stderr


@pytest.mark.parametrize("name", ["a%", "../a", "/a", "a//b", ".", "ü", "x" * 300, "a\nb", "<script>"])
def test_name_that_mlflow_refuses(name: str) -> None:
    """A name that MLflow takes for none of its own becomes one, and two such names stay two."""
    assert safe_name(name) != name
    assert len(safe_name(name)) <= 250
    assert safe_name(name) != safe_name(f"{name}%")
    assert safe_name("max_depth/1 a") == "max_depth/1 a"
