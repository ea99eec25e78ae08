"""Refusals of `reproduce` before anything runs; whole reproductions are in tests/container."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import Tiny

from samebook.core.errors import PolicyRefused, UsageError
from samebook.core.workspace import Workspace
from samebook.records import receipt, run_folder
from samebook.verbs import reproduce as verb

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A workspace, outside any repository, with a finished and a failed run."""
    tiny = Tiny.create(tmp_path_factory.mktemp("reproduce") / "workspace")
    tiny.notebook("work", work="import samebook\nsamebook.log_metric('n', 1)")
    tiny.notebook("broken", work="1 / 0")
    assert tiny.samebook("run", "work").code == 0
    assert tiny.samebook("run", "broken").code == 1
    return tiny


@pytest.fixture
def tiny(finished: Tiny, tmp_path: Path) -> Tiny:
    """A copy of that workspace, to break."""
    return Tiny(Path(shutil.copytree(finished.root, tmp_path / "workspace")))


def run_of(tiny: Tiny, notebook: str) -> Path:
    return next(run for run in tiny.runs if f"-{notebook}-" in run.name)


def receipt_of(tiny: Tiny) -> Path:
    return run_of(tiny, "work") / "receipt.json"


def definition(statement: dict[str, Any]) -> dict[str, Any]:
    return statement["predicate"]["buildDefinition"]


def refused(tiny: Tiny, run: str, *options: str) -> str:
    """The error of `samebook reproduce RUN`, which is refused and changes nothing."""
    before = sorted(tiny.root.rglob("*"))
    ended = tiny.samebook("reproduce", run, *options)
    assert (ended.code, ended.stdout) == (2, "")
    assert "Traceback" not in ended.stderr
    assert sorted(tiny.root.rglob("*")) == before
    return ended.stderr


@pytest.mark.parametrize("length", [0, 1, 100, -3])
def test_truncated_receipt(tiny: Tiny, length: int) -> None:
    """A receipt that was cut short, anywhere, is named with what is wrong."""
    path = receipt_of(tiny)
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(UsageError, match="is not a whole receipt: "):
        receipt.read(path)


EDITS: dict[str, Edit] = {
    "without subjects": lambda statement: statement.pop("subject"),
    "without a predicate": lambda statement: statement.pop("predicate"),
    "a subject without a hash": lambda statement: statement["subject"][0].pop("digest"),
    "a subject of no kind": lambda statement: statement.update(subject=["metrics.json"]),
    "without a notebook": lambda statement: definition(statement)["externalParameters"].pop("notebook"),
    "without parameters": lambda statement: definition(statement)["externalParameters"].pop("parameters"),
    "parameters as a list": lambda statement: definition(statement)["externalParameters"].update(parameters=["a"]),
    "without dependencies": lambda statement: definition(statement).pop("resolvedDependencies"),
    "dependencies without names": lambda statement: definition(statement).update(resolvedDependencies=[{}]),
    "a commit without its digest": lambda statement: definition(statement).update(
        resolvedDependencies=[{"name": "commit"}]
    ),
    "without details of the run": lambda statement: statement["predicate"].pop("runDetails"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_edited_receipt(tiny: Tiny, edit: str) -> None:
    """A receipt without one of its parts is refused with an error, not a traceback."""
    path = receipt_of(tiny)
    statement = json.loads(path.read_text())
    EDITS[edit](statement)
    path.write_text(json.dumps(statement))
    assert f"{path} is not a whole receipt" in refused(tiny, str(path))


@pytest.mark.parametrize(("field", "value"), [("_type", "https://in-toto.io/Statement/v0.1"), ("buildType", "other")])
def test_receipt_of_another_kind(tiny: Tiny, field: str, value: str) -> None:
    """A statement that isn't about a run of samebook is refused with what was found."""
    path = receipt_of(tiny)
    statement = json.loads(path.read_text())
    (statement if field == "_type" else definition(statement))[field] = value
    path.write_text(json.dumps(statement))
    assert f"{path} is not a whole receipt: " in refused(tiny, str(path))


@pytest.mark.parametrize("content", ["[]", "null", "1", '"receipt"', "{}", "\x00\x01", '{"predicate": []}'])
def test_no_receipt_at_all(tiny: Tiny, content: str) -> None:
    """A file of another kind is refused as not being a whole receipt."""
    path = tiny.root / "other.json"
    path.write_text(content)
    assert f"{path} is not a whole receipt" in refused(tiny, str(path))


def test_unreadable_receipt(tiny: Tiny) -> None:
    """A receipt that isn't there is refused with the system's own words."""
    with pytest.raises(UsageError, match="can't be read: No such file"):
        receipt.read(tiny.root / "gone.json")


def test_failed_run(tiny: Tiny) -> None:
    """A failed run is refused: it has no result to reproduce."""
    name = run_of(tiny, "broken").name
    assert f"run {name} failed: it left no receipt" in refused(tiny, name)


def test_mistyped_run(tiny: Tiny) -> None:
    """A mistyped id or name is answered with the nearest."""
    name = run_of(tiny, "work").name
    assert f"did you mean {name}?" in refused(tiny, f"{name[:-1]}x")
    assert "did you mean work?" in refused(tiny, "wrok")


@pytest.mark.parametrize("name", ["", ".", "..", "../runs", "*", "[", "runs"])
def test_name_of_nothing(tiny: Tiny, name: str) -> None:
    """A name that is not a run's is refused, also where it is a folder's or a pattern."""
    assert f"no run, notebook or receipt {name!r}" in refused(tiny, name)


def test_failed_notebook_has_no_newest_run(tiny: Tiny) -> None:
    """A notebook that never finished has no run to reproduce."""
    assert "no run, notebook or receipt 'broken'" in refused(tiny, "broken")


def test_outside_a_repository(tiny: Tiny) -> None:
    """A run from outside a repository is refused: its commit can't be checked out."""
    assert "the receipt names no commit" in refused(tiny, "work")


def test_file_named_as_a_notebook(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in the checkout, which a commit may have brought, can't stand for a notebook's newest run."""
    (tiny.root / "work").write_bytes(receipt_of(tiny).read_bytes())
    monkeypatch.chdir(tiny.root)
    assert run_folder.locate(Workspace(tiny.root), "work") == receipt_of(tiny)


def test_altered_file_is_refused(tiny: Tiny) -> None:
    """Where a file beside the receipt is not what it says, nothing is attested, and no command removes it: exit code 3.

    The file may be the user's own, and its name a stranger's.
    """
    (run_of(tiny, "work") / "metrics.json").write_text("{}")
    (run_of(tiny, "work") / "outputs" / "planted.csv").write_text("planted")
    ended = tiny.samebook("reproduce", "work")
    assert ended.code == 3
    assert "metrics.json: found sha256" in ended.stderr
    assert "outputs/planted.csv: not in the receipt" in ended.stderr
    assert "-> the receipt alone will do: cp " in ended.stderr


@pytest.mark.parametrize("envelope", ["", "{}", '{"payload": "", "payloadType": "x", "signatures": []}'])
def test_broken_signature_is_refused(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, envelope: str) -> None:
    """A receipt whose signature is broken is said to be so before anything runs, and nothing is attested on it."""
    path = receipt_of(tiny)
    path.with_name("receipt.json.dsse").write_text(envelope)
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(tiny.root))
    with pytest.raises(PolicyRefused, match=r"receipt\.json"):
        verb.reproduce(verb.ReproduceRequest("work"), lambda _: None)


@pytest.mark.parametrize("tolerance", ["nan", "inf", "-inf", "-1"])
def test_tolerance_is_a_number(tiny: Tiny, tolerance: str) -> None:
    """A tolerance within which anything is alike is refused at once."""
    assert "expected a number" in refused(tiny, "work", "--tolerance", tolerance)


def test_only_what_was_compared_is_attested() -> None:
    """An attestation names each result by the hash that was compared: a receipt may claim others beside it."""
    subject = {"name": "outputs/a.csv", "digest": {"sha256": "a" * 64}}
    claimed = {**subject, "digest": {**subject["digest"], "sha512": "b" * 128}, "uri": "https://example.org/a.csv"}
    assert verb._attestation({"subject": [claimed]}, {})["subject"] == [subject]
