"""The three-way merge of a project: what samebook gave it, what it is now, and what samebook gives today.

copier renders samebook's two versions, and git merges each file that both sides have changed. copier's own update works
in the project itself, where a stop leaves half of it, and removes a file that the template has no more although a
person has changed it.
"""

import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from samebook.core import git
from samebook.core.errors import UsageError
from samebook.core.text import word
from samebook.projects.objects import Objects, Tree

# Files that name samebook's version: a person's line beside the name is no conflict with a new one.
NAMING = (".copier-answers.yml", "environments/pyproject.toml")
NAMED = rb"(samebook(?:\[[^]\n]*\])?==|_commit: \"?)%s(?![\w.+])"
# Locks follow from the rest.
LOCKS = ("environments/*.txt", "environments/*.lock")
# A line of a conflict begins so; the version follows.
MARK = ">>>>>>> samebook "
REGULAR = ("100644", "100755")


@dataclass(frozen=True)
class Conflict:
    """A file that both sides have changed, with its three versions; `step` says what a person does about it."""

    step: str
    versions: tuple[str | None, str | None, str | None]


@dataclass(frozen=True)
class Merge:
    """The merged tree, its conflicts by path, and where the project's own version stays, with the reason."""

    tree: Tree
    conflicts: dict[str, Conflict] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Side:
    """A tree, and the version of samebook that it names."""

    tree: Tree
    version: str


def merge(objects: Objects, old: Side, own: Tree, new: Side) -> Merge:
    """Merge what samebook has changed from its old to its new version into the project's own tree.

    Locks are left to the caller. Raises UsageError where a new file has no place.
    """
    before, project = _renamed(objects, old.tree, old, new), _renamed(objects, own, old, new)
    result = Merge(dict(project))
    for path in sorted({*before, *new.tree}):
        if not (is_lock(path) and path in before and path in new.tree):
            _merge_file(objects, path, (before.get(path), project.get(path), new.tree.get(path)), new.version, result)
    _check_places(project, result.tree.keys() - project.keys())
    return result


def is_lock(path: str) -> bool:
    """Whether a file is a lock of the environment."""
    return any(PurePosixPath(path).match(pattern) for pattern in LOCKS)


def _renamed(objects: Objects, tree: Tree, old: Side, new: Side) -> Tree:
    """A tree whose files name the new version in the place of the old one."""
    changed = dict(tree)
    for path in {*NAMING} & {*tree}:
        content = objects.content(tree[path])
        named = re.sub(NAMED % re.escape(old.version.encode()), rb"\g<1>" + new.version.encode(), content)
        changed[path] = objects.entry(tree[path].split()[0], named)
    return changed


def _merge_file(
    objects: Objects, path: str, versions: tuple[str | None, str | None, str | None], name: str, result: Merge
) -> None:
    """Merge one file, of which there are three versions: samebook's old one, the project's own, samebook's new one."""
    old, own, new = versions
    if new in (old, own):
        return
    if own and new is None and path.startswith("notebooks/"):
        result.kept[path] = "samebook's example has it no more, and a notebook of yours may need it"
    elif own == old:
        result.tree.pop(path, None)
        if new:
            result.tree[path] = new
    elif own is None:
        result.kept[path] = "removed here, and samebook has changed it"
    elif path.endswith(".ipynb"):
        result.kept[path] = "a notebook of yours, which samebook's example is not merged into"
    elif new is None:
        step = f"samebook has it no more, and it is changed here: git rm {word(path)}, or git add {word(path)} keeps it"
        result.conflicts[path] = Conflict(step, versions)
    else:
        _merge_text(objects, path, (old, own, new), name, result)


def _merge_text(objects: Objects, path: str, versions: tuple[str | None, str, str], name: str, result: Merge) -> None:
    own = versions[1]
    modes = [(entry or own).split()[0] for entry in versions]
    contents = [objects.content(entry) if entry else b"" for entry in versions] if {*modes} <= {*REGULAR} else []
    if not contents or any(b"\0" in content for content in contents):
        step = f"both have changed it, and it is no text: git checkout --theirs {word(path)} takes samebook's; git add"
        result.conflicts[path] = Conflict(f"{step} {word(path)}", versions)
        return
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / side for side in ("old", "own", "new")]
        for file, content in zip(files, contents, strict=True):
            file.write_bytes(content)
        content, count = git.merge_file(files[1], files[0], files[2], ("this project", "before", f"samebook {name}"))
    result.tree[path] = objects.entry(modes[2] if modes[0] == modes[1] else modes[1], content)
    if count:
        places = "1 place" if count == 1 else f"{count} places"
        step = f"edit {places} between <<<<<<< and >>>>>>>, then git add {word(path)}"
        result.conflicts[path] = Conflict(step, versions)


def _check_places(project: Tree, new: Iterable[str]) -> None:
    """Raise UsageError where a new file's folder is a file of the project, or a new file is a folder there."""
    folders = {str(parent) for path in project for parent in PurePosixPath(path).parents}
    for path in sorted(new):
        above = {str(parent) for parent in PurePosixPath(path).parents}
        if taken := sorted({path} & folders | above & project.keys()):
            raise UsageError(
                f"samebook's new file {path} has no place: {taken[0]} is another here",
                mend=f"git mv {word(taken[0])} {word(taken[0])}.own",
            )
