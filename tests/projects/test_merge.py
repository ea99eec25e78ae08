"""The merge of a project: what people have changed stays, and what can't be merged is a conflict with its step."""

import subprocess
from pathlib import Path

import pytest

from samebook.core.errors import UsageError
from samebook.core.git import git
from samebook.projects import merge
from samebook.projects.merge import Merge, Side
from samebook.projects.objects import Objects, Tree

TEXT = "one\ntwo\nthree\nfour\nfive\n"
LOCK = "environments/runtime.txt"


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    """Objects beside an empty repository."""
    (tmp_path / "project").mkdir()
    (tmp_path / "objects").mkdir()
    subprocess.run(["git", "init", "--quiet", "."], cwd=tmp_path / "project", check=True)
    return Objects(tmp_path / "project", tmp_path / "objects")


def tree(objects: Objects, files: dict[str, str]) -> Tree:
    return {path: objects.entry("100644", content.encode()) for path, content in files.items()}


def merged(objects: Objects, old: dict[str, str], own: dict[str, str], new: dict[str, str]) -> tuple[Merge, Tree]:
    """The merge, and the content of each file in it."""
    sides = (Side(tree(objects, old), "0.1"), Side(tree(objects, new), "0.2"))
    result = merge.merge(objects, sides[0], tree(objects, own), sides[1])
    return result, {path: objects.content(entry).decode() for path, entry in result.tree.items()}


def test_both_sides_stay(objects: Objects) -> None:
    """Changes of different lines are both in the result; a file that one side has changed is that side's."""
    old = {"Makefile": TEXT, "theirs": "a\n", "ours": "a\n", "gone": "a\n"}
    own = {**old, "Makefile": TEXT.replace("one", "1"), "ours": "b\n", "mine": "m\n"}
    new = {"Makefile": TEXT.replace("five", "5"), "theirs": "c\n", "ours": "a\n", "more": "d\n"}
    result, contents = merged(objects, old, own, new)
    both = "1\ntwo\nthree\nfour\n5\n"
    assert contents == {"Makefile": both, "theirs": "c\n", "ours": "b\n", "mine": "m\n", "more": "d\n"}
    assert (result.conflicts, result.kept) == ({}, {})


@pytest.mark.parametrize(
    ("old", "own", "new", "step", "content"),
    [
        (TEXT, TEXT.replace("two", "2"), TEXT.replace("two", "zwei"), "edit 1 place between", "\n2\n=======\nzwei\n"),
        (None, "mine\n", "theirs\n", "edit 1 place between", "<<<<<<< this project\nmine\n=======\ntheirs\n>>>>>>> "),
        (TEXT, "mine\n", None, "git rm 'a b', or git add 'a b' keeps it", "mine\n"),
        ("\0a", "\0b", "\0c", "git checkout --theirs 'a b'", "\0b"),
    ],
)
def test_conflict(objects: Objects, old: str | None, own: str, new: str | None, step: str, content: str) -> None:
    """A file that both sides have changed keeps what people have written, and its conflict says what to do."""
    files = [{"a b": version} if version is not None else {} for version in (old, own, new)]
    result, contents = merged(objects, *files)
    assert step in result.conflicts["a b"].step
    assert content in contents["a b"]
    stages = [{"a b": stage} if stage else {} for stage in result.conflicts["a b"].versions]
    assert stages == [tree(objects, file) for file in files]


def test_own_stays(objects: Objects) -> None:
    """A removed file stays away, a notebook of people's own stays with what it may import, and all are said."""
    old = {"tests/test_train.py": "a\n", "notebooks/train.ipynb": "{}\n", "notebooks/helpers.py": "a\n"}
    new = {"tests/test_train.py": "b\n", "notebooks/train.ipynb": "{1}\n"}
    own = {"notebooks/train.ipynb": "{2}\n", "notebooks/helpers.py": "a\n"}
    result, contents = merged(objects, old, own, new)
    assert contents == own
    assert result.kept.keys() == old.keys()
    assert not result.conflicts


def test_version_is_no_conflict(objects: Objects) -> None:
    """A line beside samebook's version is no conflict with a new one, and other packages' versions stay."""
    wish = 'deps = [\n  "samebook[run]==0.1",\n]\n'
    files = {"environments/pyproject.toml": wish, ".copier-answers.yml": '_commit: "0.1"\nname: "a"\n'}
    own = wish.replace("]\n", '  "other==0.1",\n]\n')
    new = {path: content.replace("0.1", "0.2") for path, content in files.items()}
    _, contents = merged(objects, files, {**files, "environments/pyproject.toml": own}, new)
    assert contents == {**new, "environments/pyproject.toml": own.replace("samebook[run]==0.1", "samebook[run]==0.2")}


def test_locks_are_left(objects: Objects) -> None:
    """The project's lock is in the result as it was, a lock that is new in samebook as samebook has it."""
    _, contents = merged(objects, {LOCK: "a\n"}, {LOCK: "b\n"}, {LOCK: "c\n", "environments/more.txt": "d\n"})
    assert contents == {LOCK: "b\n", "environments/more.txt": "d\n"}


@pytest.mark.parametrize(("own", "new"), [("a", "a/b"), ("a/b", "a")])
def test_no_place(objects: Objects, own: str, new: str) -> None:
    """A new file is refused where the project has a file in the place of its folder, or a folder in its place."""
    with pytest.raises(UsageError, match=f"new file {new} has no place: a"):
        merged(objects, {}, {own: "mine\n"}, {new: "theirs\n"})


def test_mode_is_merged(objects: Objects) -> None:
    """A program that samebook has made runnable is so after the merge, with the project's own lines."""
    old, own, new = (objects.entry("100644", text.encode()) for text in (TEXT, TEXT + "six\n", "0\n" + TEXT))
    sides = (Side({"run": old}, "0.1"), Side({"run": new.replace("100644", "100755")}, "0.2"))
    entry = merge.merge(objects, sides[0], {"run": own}, sides[1]).tree["run"]
    assert entry.startswith("100755")
    assert objects.content(entry).decode() == f"0\n{TEXT}six\n"


def test_applied_whole_or_not(objects: Objects) -> None:
    """Where git fails in the middle, index and files are as before, new ones too; else the conflict is in the index."""
    root, who = objects.root, ("-c", "user.name=a", "-c", "user.email=a@b.c")
    (root / "a").write_text("old\n")
    git(root, "add", "a")
    git(root, *who, "commit", "--quiet", "--message=a")
    new = tree(objects, {"a": "<<<<<<<\n", "b": "new\n"})
    written = objects.write(new)
    with pytest.raises(UsageError):
        objects.apply(written, ["b"], {"a": ("100644 nothing", None, None)})
    assert (root / "a").read_text() == "old\n"
    assert git(root, "status", "--porcelain") == b""
    objects.apply(written, ["b"], {"a": (None, objects.committed()["a"], new["a"])})
    assert (root / "b").read_text() == "new\n"
    assert git(root, "status", "--porcelain").decode().splitlines() == ["AA a", "A  b"]
    git(root, "fsck", "--strict")
