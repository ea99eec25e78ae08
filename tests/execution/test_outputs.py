"""The outputs of a run are regular files with plain names, whatever the notebook left there."""

import os
import threading
from pathlib import Path

import pytest
from tiny import PATIENCE

from samebook.core.digest import sha256
from samebook.core.errors import PolicyRefused, UsageError
from samebook.core.workspace import Workspace
from samebook.execution import outputs
from samebook.reads import pins
from samebook.records import run_folder
from samebook.redaction.redactor import Redaction


def contents(folder: Path) -> dict[str, str]:
    """The text of each file below a folder, by its path."""
    assert not [path for path in folder.rglob("*") if path.is_symlink()]
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if not path.is_dir()}


def test_link_becomes_its_content(tmp_path: Path) -> None:
    """A link to a file, or to a folder of the outputs, becomes what it shows."""
    folder = tmp_path / "outputs"
    (folder / "5").mkdir(parents=True)
    (folder / "5" / "model.bin").write_text("w")
    (folder / "last").symlink_to("5")
    (folder / "last.bin").symlink_to("last/model.bin")
    (tmp_path / "outside").write_text("o")
    (folder / "outside").symlink_to(tmp_path / "outside")
    notes = outputs.normalize(folder, tmp_path)
    assert contents(folder) == {"5/model.bin": "w", "last/model.bin": "w", "last.bin": "w", "outside": "o"}
    assert (tmp_path / "outside").read_text() == "o"
    assert notes == [f"outputs/{name} was a link: its content is kept" for name in ("last", "last.bin", "outside")]


def test_file_from_outside_is_undeclared(tmp_path: Path) -> None:
    """A link to an earlier result shows it as this run's; the receipt names the file, so that no verdict hides it."""
    folder = tmp_path / "runs" / "r" / "outputs"
    folder.mkdir(parents=True)
    (tmp_path / "earlier.bin").write_text("w")
    (folder / "own.bin").write_text("o")
    (folder / "model.bin").symlink_to(tmp_path / "earlier.bin")
    (folder / "last.bin").symlink_to("own.bin")
    outputs.normalize(folder, tmp_path)
    event = {"kind": "undeclared", "name": "earlier.bin", "sha256": sha256(b"w")}
    assert list(run_folder.events(folder.parent)) == [event]


def test_hard_link_becomes_a_copy(tmp_path: Path) -> None:
    """A file that has another name elsewhere is no longer changed from there."""
    folder = tmp_path / "outputs"
    folder.mkdir()
    (tmp_path / "elsewhere").write_text("w")
    (folder / "model.bin").hardlink_to(tmp_path / "elsewhere")
    assert outputs.normalize(folder, tmp_path) == ["outputs/model.bin was a hard link: its content is kept"]
    (tmp_path / "elsewhere").write_text("x")
    assert contents(folder) == {"model.bin": "w"}


def test_no_content_is_left_out(tmp_path: Path) -> None:
    """A link that leads nowhere, around or to another folder, and a pipe, are left out, and each is told."""
    folder = tmp_path / "outputs"
    folder.mkdir()
    (folder / "file").write_text("f")
    targets = {"above": tmp_path, "around": ".", "gone": "x", "itself": "itself"}
    for name, target in targets.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "pipe")
    notes = outputs.normalize(folder, tmp_path)
    assert contents(folder) == {"file": "f"}
    assert [note.split()[0] for note in notes] == [f"outputs/{name}" for name in (*targets, "pipe")]
    assert all("left out" in note for note in notes)


def test_folder_is_a_link(tmp_path: Path) -> None:
    """Outputs that the notebook has moved elsewhere stay as they are there, and the run is refused."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "last").symlink_to("x")
    (tmp_path / "outputs").symlink_to("elsewhere")
    with pytest.raises(UsageError, match="outputs is a link"):
        outputs.normalize(tmp_path / "outputs", tmp_path)
    assert (tmp_path / "elsewhere" / "last").is_symlink()


def test_name_becomes_plain(tmp_path: Path) -> None:
    """Names that a receipt cannot hold are written with underscores, and no file replaces another."""
    (tmp_path / "a\n").mkdir()
    for name in (b"a\n/x\x1b", b"b\xff", b"b_"):
        (tmp_path / os.fsdecode(name)).write_text(repr(name))
    notes = outputs.normalize(tmp_path, tmp_path)
    assert contents(tmp_path) == {"a_/x_": repr(b"a\n/x\x1b"), "b__": repr(b"b\xff"), "b_": repr(b"b_")}
    assert len(notes) == 3
    assert all(note.isprintable() for note in notes)


def test_unreadable_output_is_kept(tmp_path: Path) -> None:
    """Files and folders that their owner may not read are made readable, before anything is looked for in them."""
    deep = tmp_path / "outputs" / "a" / "b"
    deep.mkdir(parents=True)
    (deep / "x.txt").write_text("x")
    for path in (deep / "x.txt", deep, deep.parent):
        path.chmod(0)
    notes = outputs.normalize(tmp_path / "outputs", tmp_path)
    assert [path.stat().st_mode & 0o700 for path in (deep.parent, deep, deep / "x.txt")] == [0o700, 0o700, 0o400]
    assert notes == [
        f"outputs/{name} was not readable: now its owner may read it" for name in ("a", "a/b", "a/b/x.txt")
    ]


def test_metric_is_no_secret(tmp_path: Path) -> None:
    """A metric that is a secret's number fails the run; one that has the secret in its name is redacted there."""
    redaction = Redaction({"PIN": "12345678"})
    run_folder.append_event(tmp_path, {"kind": "metric", "name": "of 12345678", "value": 1.0})
    outputs.write_metrics(tmp_path, redaction)
    assert (tmp_path / "metrics.json").read_text() == '{\n  "of [redacted PIN]": 1.0\n}\n'
    run_folder.append_event(tmp_path, {"kind": "metric", "name": "b", "value": 12345678.0})
    with pytest.raises(PolicyRefused, match="metric b is a secret"):
        outputs.write_metrics(tmp_path, redaction)


def test_written_beside_is_named(tmp_path: Path) -> None:
    """Files that a notebook writes or changes beside itself are named with the way out; code and caches are not."""
    for name in ("same.csv", "changed.csv", "work.ipynb", "images/__pycache__/old.pyc"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a")
    before = outputs.beside(tmp_path)
    assert outputs.written_beside(tmp_path, before) == ""
    for name in ("images/a.png", "images/__pycache__/new.pyc", "helper.py"):
        (tmp_path / name).write_text("b")
    os.utime(tmp_path / "changed.csv", ns=(1, 1))
    assert outputs.written_beside(tmp_path, before) == (
        "changed.csv, images/a.png: written beside the notebook, and no result; "
        "samebook.output_path('changed.csv') makes it one, or outputs: in the settings"
    )


def test_waiting_run_is_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that takes files waits for those under way alone: one that begins later, and takes none, is behind it."""
    monkeypatch.delenv("SAMEBOOK_RUN", raising=False)
    monkeypatch.delenv(pins.VARIABLE, raising=False)
    here, order = Workspace(tmp_path), list[str]()
    said = {name: threading.Event() for name in ("taker", "later")}

    def run(name: str, patterns: list[str]) -> None:
        with outputs.alone(here, patterns, lambda _: said[name].set()):
            order.append(name)

    threads = [threading.Thread(target=run, args=call) for call in (("taker", ["*.csv"]), ("later", []))]
    with outputs.alone(here, [], lambda _: None):
        for thread, name in zip(threads, said, strict=True):
            thread.start()
            assert said[name].wait(PATIENCE)
        assert order == []
    for thread in threads:
        thread.join(PATIENCE)
    assert order == ["taker", "later"]
