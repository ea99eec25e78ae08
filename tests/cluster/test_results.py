"""What a call sends to the shared store: its own runs, and what was made for them. Whose files a worker has."""

import json
import shutil
from pathlib import Path

import pytest
from tiny import Tiny, git

from samebook.cluster import index_program, results, worker
from samebook.cluster.program import AT_WORKER
from samebook.core.errors import EnvironmentMismatch
from samebook.core.processes import ProcessResult
from samebook.core.workspace import Workspace

pytestmark = pytest.mark.fast

OWN, MADE, STRANGER, EARLIER = (f"20130101T00000{n}Z-work-aaaaa{n}" for n in range(4))


def add(tiny: Tiny, run: str, *makers: str) -> None:
    """A finished run that has read what these have made."""
    (tiny.root / "runs" / run / "outputs").mkdir(parents=True)
    (tiny.root / "runs" / run / "outputs" / "a.txt").write_text(run)
    tiny.receipt(run)
    path = tiny.root / "runs" / run / "receipt.json"
    statement = json.loads(path.read_text())
    made_by = {"name": "made by", "annotations": {maker: [maker] for maker in makers}}
    statement["predicate"]["runDetails"]["byproducts"] = [made_by]
    path.write_text(json.dumps(statement))


def sent(tiny: Tiny) -> list[str]:
    ended = ProcessResult(0, json.dumps({"id": OWN}), "")
    return [run.name for run in index_program._runs(Workspace(tiny.root), ["run", "work"], ended, {EARLIER})]


def test_runs_of_others_are_not_sent(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker's checkout may have runs of others meanwhile, and only a pod's folder is a call's own."""
    add(tiny, OWN, MADE, EARLIER, "../elsewhere")
    add(tiny, MADE, OWN)
    add(tiny, STRANGER)
    add(tiny, EARLIER)
    monkeypatch.delenv(AT_WORKER, raising=False)
    assert sent(tiny) == [OWN, MADE, STRANGER]
    monkeypatch.setenv(AT_WORKER, "1")
    assert sent(tiny) == [OWN, MADE]


def test_worker_of_another_checkout(tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that shares the runs alone, and has another notebook or other settings, is refused with their names."""
    tiny.notebook("work", work="1")
    sent = results.files(Workspace(tiny.root))
    there = tmp_path / "there"
    shutil.copytree(tiny.root, there)
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(there))
    worker.check_files(sent)
    (there / "notebooks" / "work.ipynb").write_text("{}")
    (there / "environments" / "more.yml").write_text("{}")
    with pytest.raises(EnvironmentMismatch, match=f"in {there}: environments/more.yml, notebooks/work.ipynb"):
        worker.check_files(sent)


def test_changes_of_any_name(tiny: Tiny) -> None:
    """A changed file counts as uncommitted whatever its name is."""
    git(tiny, "init", "--quiet")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "--message", "work")
    assert results.Origin.of(Workspace(tiny.root)).uncommitted == ()
    for name in ("größe.yml", 'a "b".yml', "two words.yml"):
        (tiny.root / "environments" / name).write_text("{}")
    changes = results.Origin.of(Workspace(tiny.root)).uncommitted
    assert changes == (
        'environments/a \\"b\\".yml',
        "environments/gr\\303\\266\\303\\237e.yml",
        "environments/two words.yml",
    )
