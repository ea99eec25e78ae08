"""Run folders: written aside, moved whole, and recovered after their runner was killed."""

import gzip
import os
import tempfile
import threading
from pathlib import Path

import pytest
from tiny import Tiny

from samebook.core import secret
from samebook.core.digest import json_bytes
from samebook.core.errors import UsageError
from samebook.core.file_lock import hold
from samebook.core.workspace import Workspace
from samebook.records import receipt, run_folder, schema, summary
from samebook.records.run_folder import RunFolder
from samebook.redaction import redactor
from samebook.redaction.redactor import Redaction


def test_folder_moves_whole(tmp_path: Path) -> None:
    """A run is under .partial until it is finished, then in runs/, without the files of a run under way."""
    folder = RunFolder.create(Workspace(tmp_path), run_folder.new_id("train"))
    run_folder.append_event(folder.path, {"kind": "metric", "name": "auc", "value": 1})
    assert folder.path.parent == tmp_path / "runs" / ".partial"
    final = folder.finish()
    assert final == tmp_path / "runs" / folder.id
    assert [path.name for path in final.iterdir()] == ["outputs"]


def test_running_is_not_recovered(tmp_path: Path) -> None:
    """Recovery spares the folders of running runs, however their start and end interleave with it."""
    here = Workspace(tmp_path)
    ended = threading.Event()
    recovered: list[str] = []

    def recover() -> None:
        while not ended.is_set():
            recovered.extend(run_folder.recover(here))

    other = threading.Thread(target=recover)
    other.start()
    try:
        for _ in range(150):
            RunFolder.create(here, run_folder.new_id("train")).finish()
    finally:
        ended.set()
        other.join()
    assert recovered == []


def test_dead_run_recovered_once(tmp_path: Path) -> None:
    """The folder of a killed runner becomes one failed run, without a receipt, even when several processes recover."""
    left = tmp_path / "runs" / ".partial" / "20130630T120000Z-train-abcdef"
    left.mkdir(parents=True)
    (left / "receipt.json").touch()
    ids: list[str] = []
    starts = [threading.Thread(target=lambda: ids.extend(run_folder.recover(Workspace(tmp_path)))) for _ in range(4)]
    for start in starts:
        start.start()
    for start in starts:
        start.join()
    assert ids == [left.name]
    assert [path.name for path in (tmp_path / "runs" / left.name).iterdir()] == ["error.txt"]


def test_events_come_back(tmp_path: Path) -> None:
    """The events of a notebook are read in their order, by kind, with their line breaks."""
    for number in range(3):
        run_folder.append_event(tmp_path, {"kind": "note" if number % 2 else "metric", "text": f"{number}\n\u2028"})
    assert [event["text"] for event in run_folder.events(tmp_path, "metric")] == ["0\n\u2028", "2\n\u2028"]
    assert len(list(run_folder.events(tmp_path))) == 3


def test_scratch_runs_are_few(tmp_path: Path) -> None:
    """Only the newest scratch runs of Lab are kept."""
    for number in range(5):
        (tmp_path / "runs" / ".scratch" / f"2013010{number}T000000Z-1").mkdir(parents=True)
    run_folder.drop_scratch(Workspace(tmp_path), keep=2)
    kept = sorted(path.name for path in (tmp_path / "runs" / ".scratch").iterdir())
    assert kept == ["20130103T000000Z-1", "20130104T000000Z-1"]


def test_event_can_be_hashed(tmp_path: Path) -> None:
    """A name with half a character, as of a file whose name is not UTF-8, is one that a receipt can hold."""
    run_folder.append_event(tmp_path, {"kind": "param", "name": "\udcff.txt", "value": "\ud83d, \u2028 and ü"})
    (event,) = run_folder.events(tmp_path)
    assert json_bytes(event)
    assert (event["name"], event["value"]) == ("?.txt", "?, \u2028 and ü")


def test_notebook_is_its_path(tmp_path: Path) -> None:
    """Notebooks of one name in two folders are two notebooks, also for the runs of before, whose ids had the stem."""
    tiny, here = Tiny.create(tmp_path), Workspace(tmp_path)
    nested, top = run_folder.new_id("old/train"), run_folder.new_id("train")
    former = "20130101T000000Z-train-aaaaaa"
    for run, notebook in ((nested, "old/train"), (top, "train"), (former, "old/train")):
        (tmp_path / "runs" / run).mkdir(parents=True)
        tiny.receipt(run, f"notebooks/{notebook}.ipynb")
    assert "-old.train-" in nested
    assert [run.name for run in run_folder.finished_runs(here, "train")] == [top]
    assert [run.name for run in run_folder.finished_runs(here, "old/train")] == [nested, former]
    assert run_folder.locate(here, "old/train").parent.name == nested
    assert run_folder.finished_runs(here, "old.train") == []
    assert not run_folder.is_named_after(nested, "train")


def test_ids_sort_by_start() -> None:
    """The runs of one second, too, are in the order of their starts: the newest is the last."""
    ids = [run_folder.new_id("train") for _ in range(1000)]
    assert ids == sorted(set(ids))


def test_notebook_has_one_name(tmp_path: Path) -> None:
    """A notebook's name is its path below notebooks/, however it is given."""
    here = Workspace(tmp_path)
    paths = (here.notebook(name) for name in ("old/train", "notebooks/old/train.ipynb", "./x/../old/train"))
    assert {here.notebook_name(path) for path in paths} == {"old/train"}


def test_run_of_the_future_is_not_the_newest(tmp_path: Path) -> None:
    """A run that was made while the clock was ahead doesn't stand for its notebook until that time comes."""
    tiny, now, future = Tiny.create(tmp_path), run_folder.new_id("train"), "21000101T000000Z-train-aaaaaa"
    for run in (now, future):
        (tmp_path / "runs" / run).mkdir(parents=True)
        tiny.receipt(run)
    assert [run.name for run in run_folder.finished_runs(Workspace(tmp_path), "train")] == [now, future]


def test_living_scratch_stays(tmp_path: Path) -> None:
    """The scratch run of a Lab session that lives stays, however many came after it."""
    folders = [tmp_path / "runs" / ".scratch" / f"2013010{number}T000000Z-1" for number in range(1, 5)]
    for folder in folders:
        folder.mkdir(parents=True)
    with hold(folders[0] / ".lock"):
        run_folder.drop_scratch(Workspace(tmp_path), keep=1)
        assert [folder.is_dir() for folder in folders] == [True, False, False, True]
    run_folder.drop_scratch(Workspace(tmp_path), keep=1)
    assert [folder.is_dir() for folder in folders] == [False, False, False, True]


@pytest.mark.secrets
@pytest.mark.parametrize(("variables", "left"), [({"TOKEN": "canary-0123"}, ["result.txt"]), ({}, [])])
def test_killed_outputs_are_screened(
    variables: dict[str, str], left: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed run keeps the outputs that hold no secret; none where the secret is not set, as nobody can tell."""
    folder = run_folder.RunFolder.create(Workspace(tmp_path), "20130630T120000Z-train-abcdef")
    run_folder.note_secrets(folder.path, Redaction({"TOKEN": "canary-0123"}))
    (folder.outputs / "result.txt").write_text("42")
    (folder.outputs / "packed.gz").write_bytes(gzip.compress(b"canary-0123"))
    os.close(folder.lock)  # as the end of its process does
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    assert run_folder.recover(Workspace(tmp_path)) == [folder.id]
    run = tmp_path / "runs" / folder.id
    assert [path.name for path in run.glob("outputs/*")] == left
    assert ("TOKEN is not set here" in (run / "error.txt").read_text()) == (not left)
    assert not (run / ".secrets").exists()


@pytest.mark.secrets
def test_unasked_secret_removes_what_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed run keeps its outputs where only a secret that nobody asked for is not set; what is set is searched."""
    folder = RunFolder.create(Workspace(tmp_path), "20130630T120000Z-train-abcdef")
    names = {"TOKEN": "canary-0123", "AWS_SESSION_TOKEN": "canary-4567", "HTTPS_PROXY": "http://joe:canary-89ab@proxy"}
    files = {"a b/redhat.repo": "[first-line]\nsslverify = canary-cdef\n"}
    kinds = {"AWS_SESSION_TOKEN": redactor.GIVEN, "HTTPS_PROXY": redactor.GIVEN, "a b/redhat.repo": redactor.FILE}
    run_folder.note_secrets(folder.path, Redaction(names | files, kinds))
    contents = {"result": "42", "held": "canary-89ab", "asked": "canary-0123", "line": "[first-line]", **files}
    monkeypatch.setattr(secret, "SECRETS", tmp_path / "secrets")
    (tmp_path / "secrets" / "a b").mkdir(parents=True)
    (tmp_path / "secrets" / "a b" / "redhat.repo").write_text(files["a b/redhat.repo"])
    for name, content in contents.items():
        (folder.outputs / Path(name).name).write_text(content)
    os.close(folder.lock)
    for name in ("TOKEN", "HTTPS_PROXY"):
        monkeypatch.setenv(name, names[name])
    assert run_folder.recover(Workspace(tmp_path)) == [folder.id]
    assert {path.name for path in tmp_path.glob(f"runs/{folder.id}/outputs/*")} == {"result", "line"}


@pytest.mark.secrets
@pytest.mark.parametrize("note", ["TOKEN\nOTHER", "TOKEN 3"])
def test_killed_of_before(note: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A killed run whose secrets were noted by an earlier version, or in part, leaves no output; samebook starts."""
    folder = RunFolder.create(Workspace(tmp_path), "20130630T120000Z-train-abcdef")
    (folder.path / ".secrets").write_text(note)
    (folder.outputs / "result.txt").write_text("42")
    os.close(folder.lock)
    monkeypatch.setenv("TOKEN", "canary-0123")
    assert run_folder.recover(Workspace(tmp_path)) == [folder.id]
    assert not (tmp_path / "runs" / folder.id / "outputs").exists()


def test_long_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scratch folder's path is short, as a socket's must be, also where TMPDIR is long; a dead run's is removed."""
    long = tmp_path / ("long" * 30)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    run = tmp_path / "runs" / ".partial" / "20130101T000000Z-train-abcdef"
    run.mkdir(parents=True)
    with run_folder.scratch(run) as folder:
        assert len(str(folder)) < 45
        run_folder.recover(Workspace(tmp_path))
        assert not folder.exists()


@pytest.mark.forger
def test_folder_that_a_stranger_has_sent(tmp_path: Path) -> None:
    """Links and pipes in a run's folder, which an archive may hold, are neither shown nor waited for."""
    here, run = Workspace(tmp_path), "20130701T000000Z-train-aaaaaa"
    folder = tmp_path / "runs" / run
    folder.mkdir(parents=True)
    (tmp_path / "private").write_text("canary")
    (folder / "error.txt").symlink_to(tmp_path / "private")
    assert summary.summarize(folder).error == "no error.txt"
    os.mkfifo(folder / "receipt.json")
    assert run_folder.finished_runs(here, "train") == []
    with pytest.raises(UsageError, match="is no file"):
        receipt.read(folder / "receipt.json")
    packages = {
        "annotations": {"packages": {"numpy\nIDENTICAL": "1"}},
        "name": "environment",
        "digest": {"sha256": "0" * 64},
    }
    with pytest.raises(ValueError, match="packages"):
        schema.Dependency.model_validate(packages)
