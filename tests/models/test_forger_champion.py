"""Cheats with the champion: a bundle that is committed by hand, whose gate has not met the one that its line had."""

import json
import shutil
from pathlib import Path

import promoting
import pytest
from promoting import promote, run_of
from tiny import Tiny, git

from samebook.core.digest import sha256
from samebook.core.errors import PolicyRefused
from samebook.core.workspace import Workspace
from samebook.environment import settings
from samebook.models import admission, build, bundle, lookup
from samebook.records import receipt
from samebook.review import span, verdicts
from samebook.store import objects

pytestmark = [pytest.mark.host, pytest.mark.forger]

UNMET = "its gate .* doesn't count: it compared with {}, and the champion that this branch had then was {}"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository with models of three levels, of which the best is promoted, and the commits `first` and `best`."""
    tiny = promoting.create(tmp_path_factory.mktemp("champion") / "workspace", 2, 3, 8)
    git(tiny, "tag", "first")
    promote(tiny, 8)
    git(tiny, "tag", "best")
    return tiny


@pytest.fixture
def tiny(site: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    copy = promoting.copy(site, tmp_path / "workspace")
    monkeypatch.setenv("SAMEBOOK_WORKSPACE", str(copy.root))
    return copy


def compare(tiny: Tiny, level: int, champion: str = "") -> Path:
    """Run the gate by hand on a level's model, against a champion of the forger's choice; the run's folder."""
    more = ("-p", f"champion={champion}") if champion else ()
    result = tiny.samebook("run", "gate", "-p", f"candidate={run_of(tiny, level)}", *more)
    assert result.code == 0, result.stderr
    return tiny.last


def forge(tiny: Tiny, level: int, gate: Path) -> None:
    """Commit the bundle that a promotion would write, with this run of the gate."""
    run, store = tiny.root / "runs" / run_of(tiny, level), objects.local_store(Workspace(tiny.root))
    statement, metrics = receipt.read(run / "receipt.json"), json.loads((gate / "metrics.json").read_text())
    comparison = bundle.Gate(run=gate.name, receipt=sha256(gate / "receipt.json"), metrics=metrics)
    who = {"by": "a <a@b.c>", "at": "2013-01-01T00:00:00Z", "env": "dev", "why": "", "policy": {}}
    promoted = bundle.Promotion.model_validate({**who, "gate": comparison})
    forged = build.from_run("delay", run, statement, promoted)
    for path in (gate / "receipt.json", run / "receipt.json", *(run / name for name in forged.artifacts)):
        store.put(path)
    write(tiny, forged.content())


def write(tiny: Tiny, content: bytes) -> None:
    (tiny.root / "models" / "delay.json").write_bytes(content)
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "by hand")


def admit(tiny: Tiny, ref: str = "") -> None:
    workspace = Workspace(tiny.root)
    model = lookup.read(workspace, f"delay@{ref}" if ref else "delay")
    admission.check(workspace, settings.committed_promotion(workspace, "dev"), model, "dev", ref)


def refused(tiny: Tiny, known: str = "no champion", expected: int = 8) -> None:
    champion = run_of(tiny, expected)
    with pytest.raises(PolicyRefused, match=UNMET.format(known, champion)) as refusal:
        admit(tiny)
    assert str(refusal.value.mend).startswith("make promote RUN=")


@pytest.mark.parametrize("has_git", [True, False], ids=["git", "image"])
def test_gate_without_champion(tiny: Tiny, has_git: bool) -> None:
    """A model whose gate compared it with the baseline alone is refused on a line that has a champion, also where the
    gate ran at a commit of before the champion.
    """
    now = compare(tiny, 3)
    git(tiny, "switch", "--quiet", "--detach", "first")
    earlier = compare(tiny, 3)
    git(tiny, "switch", "--quiet", "main")
    for gate in (now, earlier):
        forge(tiny, 3, gate)
        with pytest.MonkeyPatch.context() as patch:
            if not has_git:
                patch.setattr(shutil, "which", lambda _: None)
            refused(tiny)
        git(tiny, "reset", "--quiet", "--hard", "best")


def test_gate_against_a_weak_champion(tiny: Tiny) -> None:
    """A gate against a weaker model than the line's champion, which stands on another branch, does not count."""
    git(tiny, "switch", "--quiet", "--create", "weak", "first")
    promote(tiny, 2)
    git(tiny, "switch", "--quiet", "main")
    forge(tiny, 3, compare(tiny, 3, "delay@weak"))
    refused(tiny, "the bundle [0-9a-f]{12}")


def test_run_and_review_ask(tiny: Tiny) -> None:
    """A run refuses such a model, and a review says so, of the line itself and of a branch of it."""
    git(tiny, "switch", "--quiet", "--create", "retrain")
    forge(tiny, 3, compare(tiny, 3))
    assert "the champion that this branch had then" in promoting.stderr_of(tiny.samebook("run", "score"), 6)
    workspace = Workspace(tiny.root)
    for name in ("best..retrain", "main..retrain"):
        answers = verdicts.verdicts(workspace, span.parse(tiny.root, name), ["delay"])
        problems = {answer.env: answer.problem for answer in answers}
        assert "the champion that this branch had then" in problems["dev"]


def test_no_model_is_its_own_champion(tiny: Tiny) -> None:
    """The promotion that the refusal asks for compares with the champion before, and not with the forged model."""
    forge(tiny, 3, compare(tiny, 3))
    again = promoting.stderr_of(tiny.samebook("promote", run_of(tiny, 3), "delay"), 6)
    assert "auc 0.3 is more than 0.05 worse than the champion's 0.8" in again
    forge(tiny, 3, compare(tiny, 3, "delay"))
    refused(tiny, "the bundle [0-9a-f]{12}")


@pytest.mark.parametrize("is_merged", [False, True], ids=["here", "merged"])
def test_champion_removed(tiny: Tiny, is_merged: bool) -> None:
    """A champion that was removed is it still, unless its withdrawal is committed on the line, or merged into it."""
    git(tiny, "rm", "--quiet", "models/delay.json")
    git(tiny, "commit", "--quiet", "-m", "gone")
    gate = compare(tiny, 3)
    forge(tiny, 3, gate)
    refused(tiny)
    git(tiny, "reset", "--quiet", "--hard", "best")
    if is_merged:
        git(tiny, "switch", "--quiet", "--create", "back")
    assert tiny.samebook("rollback", "delay", "--withdraw").code == 0
    promote(tiny, 3)
    if is_merged:
        git(tiny, "switch", "--quiet", "main")
        git(tiny, "merge", "--quiet", "--no-ff", "--no-edit", "back")
    admit(tiny)


def test_merge_of_a_line_with_later_champions(tiny: Tiny) -> None:
    """A model is admitted on a branch that merges it over an earlier champion of the same line, with others between."""
    git(tiny, "switch", "--quiet", "--create", "prod", "first")
    git(tiny, "commit", "--quiet", "--allow-empty", "-m", "of prod")
    git(tiny, "switch", "--quiet", "main")
    assert tiny.samebook("run", "train", "-p", "level=9").code == 0
    assert tiny.samebook("run", "train", "-p", "level=10").code == 0
    git(tiny, "switch", "--quiet", "prod")
    git(tiny, "merge", "--quiet", "--no-edit", "main")
    admit(tiny)
    git(tiny, "switch", "--quiet", "main")
    promote(tiny, 9)
    promote(tiny, 10)
    git(tiny, "switch", "--quiet", "prod")
    git(tiny, "merge", "--quiet", "--no-edit", "main")
    admit(tiny)
    answers = verdicts.verdicts(Workspace(tiny.root), span.parse(tiny.root, "prod~1..main"), ["delay"])
    assert {answer.env: answer.problem for answer in answers}["dev"] == ""


@pytest.mark.parametrize("is_champion", [False, True], ids=["later", "parted with"])
def test_conflict_solved_by_hand(tiny: Tiny, is_champion: bool) -> None:
    """Where both lines have changed the model, what was compared with the champion that they parted with counts, and
    no later one of the other line; a review asks for a comparison with today's.
    """
    git(tiny, "switch", "--quiet", "--create", "other", "first")
    if not is_champion:
        promote(tiny, 2)
    promote(tiny, 3)
    answers = verdicts.verdicts(Workspace(tiny.root), span.parse(tiny.root, "main..other"), ["delay"])
    assert "the champion that this branch had then" in {item.env: item.problem for item in answers}["dev"]
    git(tiny, "switch", "--quiet", "main")
    git(tiny, "merge", "--quiet", "--no-edit", "--strategy=ours", "other")
    git(tiny, "checkout", "other", "--", "models/delay.json")
    git(tiny, "commit", "--quiet", "--amend", "--no-edit")
    if is_champion:
        admit(tiny)
    else:
        refused(tiny, "the bundle [0-9a-f]{12}")


def test_old_gate_on_a_new_branch(tiny: Tiny) -> None:
    """A gate that ran at a commit of before the champion counts on no branch that went on from a later one."""
    git(tiny, "switch", "--quiet", "--detach", "first")
    gate = compare(tiny, 3)
    git(tiny, "switch", "--quiet", "--create", "retrain", "main")
    forge(tiny, 3, gate)
    git(tiny, "switch", "--quiet", "main")
    git(tiny, "merge", "--quiet", "--no-ff", "--no-edit", "retrain")
    refused(tiny)


def test_rollback_stays_admitted(tiny: Tiny) -> None:
    """A model that a rollback has restored is admitted by its first arrival, and so is its promotion again."""
    assert tiny.samebook("run", "train", "-p", "level=9").code == 0
    promote(tiny, 9)
    assert tiny.samebook("rollback", "delay").code == 0
    admit(tiny)
    promote(tiny, 8, "--why", "again")
    assert promoting.promoted_level(tiny) == 8
    admit(tiny)
    promote(tiny, 9)
    admit(tiny)


def test_copy_without_a_repository(tiny: Tiny) -> None:
    """A copy without a repository has no past, and its policy is checked on the statements alone."""
    forge(tiny, 3, compare(tiny, 3))
    shutil.rmtree(tiny.root / ".git")
    admit(tiny)
