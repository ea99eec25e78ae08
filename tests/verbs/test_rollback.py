"""Rollbacks, and merges of bundles by git: a whole bundle, or a conflict, or nothing."""

from pathlib import Path

import promoting
import pytest
from promoting import promote, promoted_level, run_of, stderr_of
from tiny import Tiny, git

pytestmark = pytest.mark.host


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository with the model of level 2 on main, and of level 3 on its unmerged branch `candidate`."""
    tiny = promoting.create(tmp_path_factory.mktemp("rollback") / "workspace", 2, 3, 5)
    promote(tiny, 2)
    git(tiny, "switch", "--quiet", "--create", "candidate")
    promote(tiny, 3)
    git(tiny, "switch", "--quiet", "main")
    return tiny


@pytest.fixture
def tiny(trained: Tiny, tmp_path: Path) -> Tiny:
    return promoting.copy(trained, tmp_path / "workspace")


def rollback(tiny: Tiny, *options: str) -> str:
    ended = tiny.samebook("rollback", "delay", *options)
    assert ended.code == 0, ended.stderr
    return ended.stdout


def conflict(tiny: Tiny, *command: str) -> None:
    """The merge stops; the file in the work tree is one version, whole."""
    with pytest.raises(Exception, match="non-zero exit status 1"):
        git(tiny, *command)
    assert "AA models/delay.json" in (status := git(tiny, "status", "--porcelain")) or "UU models/delay.json" in status
    assert promoted_level(tiny) in (2, 3, 5)


def test_merge_is_promotion(tiny: Tiny) -> None:
    """Merging a branch brings its bundle whole, be it a fast-forward or not."""
    before = promoting.promoted_bundle(tiny, "candidate")
    git(tiny, "commit", "--quiet", "--allow-empty", "-m", "meanwhile")
    git(tiny, "merge", "--quiet", "--no-edit", "candidate")
    assert promoting.promoted_bundle(tiny) == before
    assert "3" in stderr_of(tiny.samebook("run", "score", "--verbose"), 0)


def test_both_changed_is_conflict(tiny: Tiny) -> None:
    """Where both branches have changed the model, the merge stops, and either version can be taken whole."""
    promote(tiny, 5)
    conflict(tiny, "merge", "--no-edit", "candidate")
    message = stderr_of(tiny.samebook("promote", run_of(tiny, 5), "delay"), 2)
    assert "git is in the middle of something: MERGE_HEAD" in message
    git(tiny, "checkout", "--theirs", "models/delay.json")
    git(tiny, "add", "models/delay.json")
    git(tiny, "commit", "--quiet", "--no-edit")
    assert promoted_level(tiny) == 3
    assert tiny.samebook("run", "score").code == 0


def test_both_changed_without_attributes(tiny: Tiny) -> None:
    """Even where git merges line by line, two changes of the model are a conflict, and no run takes it for a model."""
    git(tiny, "rm", "--quiet", ".gitattributes")
    git(tiny, "commit", "--quiet", "-m", "no attributes")
    promote(tiny, 5)
    with pytest.raises(Exception, match="non-zero exit status 1"):
        git(tiny, "merge", "--no-edit", "candidate")
    assert "is not a whole bundle" in stderr_of(tiny.samebook("run", "score"), 2)


def test_server_side_merge(tiny: Tiny, tmp_path: Path) -> None:
    """A merge in a bare clone, where no hook and no attribute works: the bundle whole, or a conflict."""
    bare = promoting.clone(tiny, tmp_path / "bare.git", "--bare")
    merged = git(bare, "merge-tree", "--write-tree", "main", "candidate").splitlines()[0]
    content = git(bare, "show", f"{merged}:models/delay.json")
    assert content == git(tiny, "show", "candidate:models/delay.json")
    promote(tiny, 5)
    git(tiny, "push", "--quiet", str(bare.root), "main")
    with pytest.raises(Exception, match="non-zero exit status 1"):
        git(bare, "merge-tree", "--write-tree", "main", "candidate")


def test_rollback_is_forward(tiny: Tiny) -> None:
    """A rollback is one commit that restores the version before, byte for byte; the next goes one further back, and
    says how what came by a merge can be merged again.
    """
    first = (tiny.root / "models" / "delay.json").read_bytes()
    git(tiny, "merge", "--quiet", "--no-edit", "--no-ff", "candidate")
    promote(tiny, 5)
    assert "REOPEN" not in tiny.samebook("rollback", "delay").stderr
    assert promoted_level(tiny) == 3
    assert "for git to merge that branch again" in tiny.samebook("rollback", "delay", "--why", "worse").stderr
    assert (tiny.root / "models" / "delay.json").read_bytes() == first
    assert git(tiny, "show", "--name-only", "--format=") == "models/delay.json"
    assert "has no earlier version" in stderr_of(tiny.samebook("rollback", "delay"), 2)


def test_rolled_back_branch_merges_again(tiny: Tiny) -> None:
    """After a rollback that reopens the branch, merging it brings its model again."""
    git(tiny, "merge", "--quiet", "--no-edit", "candidate")
    assert "git" not in rollback(tiny, "--reopen", "candidate")
    assert promoted_level(tiny) == 2
    git(tiny, "merge", "--quiet", "--no-edit", "candidate")
    assert promoted_level(tiny) == 3
    assert tiny.samebook("run", "score").code == 0


def test_rolled_back_branch_promotes_again(tiny: Tiny) -> None:
    """After a rollback, a branch that takes it in and promotes again can be merged, without a conflict."""
    git(tiny, "merge", "--quiet", "--no-edit", "candidate")
    rollback(tiny)
    git(tiny, "switch", "--quiet", "candidate")
    git(tiny, "merge", "--quiet", "main")
    promote(tiny, 5)
    git(tiny, "switch", "--quiet", "main")
    git(tiny, "merge", "--quiet", "candidate")
    assert promoted_level(tiny) == 5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--to", "nowhere"), "no branch, tag or commit 'nowhere'"),
        (("--to", "main"), "is that version already"),
        (("--to", "candidate"), "was never promoted on this branch"),
        (("--to", "HEAD~1"), "there is no models/delay.json at HEAD~1"),
        ((), "has no earlier version"),
    ],
)
def test_impossible_rollback_refused(tiny: Tiny, options: tuple[str, ...], message: str) -> None:
    """An impossible rollback or reopening is refused, and changes nothing."""
    head = git(tiny, "rev-parse", "HEAD", "candidate")
    assert message in stderr_of(tiny.samebook("rollback", "delay", *options), 2)
    assert git(tiny, "rev-parse", "HEAD", "candidate") == head
    assert git(tiny, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("branch", "message"),
    [
        ("nobody", "no branch 'nobody' here"),
        ("main~1", "no branch 'main~1' here"),
        ("main", "branch main is checked out"),
        ("old", "there is no models/delay.json"),
        ("ahead", "has commits that are not merged here"),
    ],
)
def test_impossible_reopening_refused(tiny: Tiny, branch: str, message: str) -> None:
    """A branch that can't be reopened stops the rollback before anything is committed."""
    git(tiny, "branch", "old", "main~1")
    git(tiny, "merge", "--quiet", "--no-edit", "candidate")
    git(tiny, "branch", "ahead", git(tiny, "commit-tree", "-p", "HEAD", "-m", "x", "HEAD^{tree}"))
    head = git(tiny, "rev-parse", "HEAD")
    assert message in stderr_of(tiny.samebook("rollback", "delay", "--reopen", branch), 2)
    assert git(tiny, "rev-parse", "HEAD") == head


def test_second_promotion_is_no_version(tiny: Tiny) -> None:
    """A rollback after the same run was promoted twice goes to the model before it."""
    for _ in range(2):
        promote(tiny, 5)
    rollback(tiny)
    assert promoted_level(tiny) == 2


def test_broken_bundle_is_rolled_back(tiny: Tiny) -> None:
    """Where the promoted file is not a whole bundle, a rollback restores the last whole one, also the second time."""
    promote(tiny, 3)
    path = tiny.root / "models" / "delay.json"
    path.write_text(path.read_text().replace('"auc": 0.3', '"auc": 0.9'))
    git(tiny, "commit", "--quiet", "--all", "-m", "by hand")
    assert "a bundle that is not whole" in rollback(tiny)
    assert promoted_level(tiny) == 3
    path.write_text("broken again")
    git(tiny, "commit", "--quiet", "--all", "-m", "by hand")
    rollback(tiny)
    assert promoted_level(tiny) == 3


def test_dry_rollback_changes_nothing(tiny: Tiny) -> None:
    """--dry-run shows the version that would be restored."""
    git(tiny, "merge", "--quiet", "--no-edit", "candidate")
    assert f"back to {run_of(tiny, 2)}" in rollback(tiny, "--dry-run")
    assert promoted_level(tiny) == 3
