"""Update a project: bring a later version of samebook into it, and keep what people have changed there.

Everything is made beside the project, and applied at the end, as a whole or not at all. Nothing is committed: a person
looks at it, resolves its conflicts, and tests it first.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from samebook.core import git, signals
from samebook.core.errors import SamebookError, UsageError
from samebook.core.text import Say, word
from samebook.core.workspace import Workspace, make_folder
from samebook.models import commits
from samebook.projects import answers, lock, merge, promoted, template
from samebook.projects.merge import Conflict, Merge, Side
from samebook.projects.objects import Objects, Tree
from samebook.projects.promoted import Result

# The folders of updates under way.
PREFIX = "update-"
# How often such a folder is removed, and the seconds between.
ATTEMPTS, PAUSE = 30, 0.1
# The folder with what samebook gives today.
AFTER = "after"


@dataclass(frozen=True)
class UpdateRequest:
    """One call of `samebook update`: the project's folder, and a wheel, by default the one of this samebook.

    A dry one only shows the difference. One that `reproduces` runs the promoted models' notebooks again afterwards, by
    an engine.
    """

    project: Path
    wheel: Path | None = None
    is_dry: bool = False
    reproduces: bool = False
    engine: str = "local"


@dataclass(frozen=True)
class Update:
    """What an update from one version to another has changed, or would change.

    `changes` has each changed file with a letter, as git has it; `moves` are those of the lock, None where the lock is
    left to be made. `models` says of each promoted model what has changed under it, `results` whether its results hold.
    """

    old: str
    new: str
    changes: dict[str, str] = field(default_factory=dict)
    conflicts: dict[str, Conflict] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    moves: list[str] | None = field(default_factory=list)
    models: dict[str, str] = field(default_factory=dict)
    results: dict[str, Result] = field(default_factory=dict)
    difference: str = ""


def update(request: UpdateRequest, say: Say) -> Update:
    """Bring a later version into a project, and say of its models what they are in the new environment.

    Raises what `_update` raises.
    """
    if request.is_dry and request.reproduces:
        raise UsageError("a dry update runs nothing", mend="make update DRY=1")
    result = _update(request, say)
    if not request.reproduces or result.conflicts:
        return result
    return replace(result, results=promoted.results(Workspace(request.project.resolve()), request.engine, say))


def _update(request: UpdateRequest, say: Say) -> Update:
    """Bring a later version into a project. The project is as before where it fails, and after a dry one.

    Raises UsageError for what is no project, has uncommitted changes or a damaged file of answers, for a wheel that is
    not samebook's or is older than the project, and where no lock can be made; SamebookError for open conflicts.
    """
    root = request.project.resolve()
    chosen = _answers(root)
    workspace = Workspace(root)
    _check_resolved(root)
    with (
        signals.as_errors(),
        commits.hold_branch(workspace, root / answers.FILE) as tip,
        _scratch(root / ".samebook") as folder,
    ):
        objects = Objects(root, folder)
        wheel = _wheel(request, objects.folder)
        old, new = chosen["version"], template.version(wheel)
        if old == new:
            return Update(old, new)
        _check_clean(root)
        _check_order(old, new)
        say(f"merging samebook {new} into a project of {old}")
        own = objects.committed()
        merged = _merged(objects, own, chosen, wheel)
        _check_free(root, own, merged.tree)
        say("environment: asking the package index")
        moves = lock.lock(objects, merged, objects.folder / AFTER)
        tree = objects.write(merged.tree)
        models = promoted.findings(objects, own, merged.tree)
        difference = objects.difference(tree, ".", *(f":!{path}" for path in merge.LOCKS)) if request.is_dry else ""
        result = Update(
            old, new, _changes(own, merged.tree), merged.conflicts, merged.kept, moves, models, difference=difference
        )
        if not request.is_dry:
            _check_clean(root)
            if git.head(root) != tip.head:
                raise UsageError(f"git moved on from {tip.head[:12]} meanwhile", mend="git log -1")
            versions = {path: conflict.versions for path, conflict in merged.conflicts.items()}
            objects.apply(tree, _check_free(root, own, merged.tree), versions)
        return result


@contextmanager
def _scratch(parent: Path) -> Iterator[Path]:
    """A folder for an update, which goes at its end, with those that killed updates have left: the branch is held."""
    for abandoned in make_folder(parent).glob(f"{PREFIX}*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    try:
        yield folder
    finally:
        for _ in range(ATTEMPTS):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            # A stop came while a program was starting: it still writes there, and ends at once.
            time.sleep(PAUSE)


def _wheel(request: UpdateRequest, folder: Path) -> Path:
    """The wheel of the new version, in a folder."""
    return template.given_wheel(request.wheel, folder) if request.wheel else template.own_wheel(folder)


def _answers(root: Path) -> dict[str, str]:
    """The project's answers. Raises UsageError where there is no project."""
    file = root / answers.FILE
    if not file.is_file():
        raise UsageError(
            f"{root} is no project that `samebook new` has made: there is no {answers.FILE}",
            mend="make update PROJECT=../churn",
        )
    return answers.read(file.read_bytes())


def _check_resolved(root: Path) -> None:
    """Raise SamebookError where conflicts are open."""
    unmerged = git.git(root, "diff", "--name-only", "--diff-filter=U", "-z").split(b"\0")
    marked = git.git(root, "grep", "-l", "-z", "-I", "-e", f"^{merge.MARK}", accepted=1).split(b"\0")
    if files := sorted({os.fsdecode(name) for name in (*unmerged, *marked) if name}):
        raise SamebookError(
            f"there are conflicts that nobody has resolved: {', '.join(files)}; git reset --hard gives the update up",
            mend="git status && git add FILE && git commit",
        )


def _check_clean(root: Path) -> None:
    """Raise UsageError where there are uncommitted changes."""
    lines = git.git(root, "status", "--porcelain", "--untracked-files=normal").decode(errors="replace").splitlines()
    lines += [line for line in git.git(root, "ls-files", "-v").decode(errors="replace").splitlines() if line[0] != "H"]
    if lines:
        raise UsageError(
            f"{root} has changes that are not committed: {lines[0].split(maxsplit=1)[1]}"
            + (f" and {len(lines) - 1} more" if lines[1:] else ""),
            mend="git stash push --include-untracked",
        )


def _check_order(old: str, new: str) -> None:
    if template.age(new) < template.age(old):
        raise UsageError(
            f"the project is of samebook {old}, which is later than {new}; expected a later version",
            mend="git -C ../samebook pull",
        )


def _check_free(root: Path, own: Tree, tree: Tree) -> list[str]:
    """The new files of a tree. Raises UsageError where one would replace a file that git ignores."""
    new = sorted(tree.keys() - own.keys())
    for name in new:
        path = root / name
        folders = [folder for folder in path.parents if folder.is_relative_to(root) and folder != root]
        if path.is_symlink() or path.exists() or any(f.is_symlink() or f.is_file() for f in folders):
            raise UsageError(
                f"samebook's new file {name} has no place: git ignores one there",
                mend=f"mv {word(name)} {word(name)}.own",
            )
    return new


def _merged(objects: Objects, own: Tree, chosen: Mapping[str, str], wheel: Path) -> Merge:
    """The merge of the project's tree and of what the two wheels make of its answers."""
    old_wheel = objects.folder / "old" / template.name(chosen["version"])
    old_wheel.parent.mkdir()
    old_wheel.write_bytes(_old_wheel(objects, own, old_wheel.name))
    sides = []
    for name, file in (("before", template.given_wheel(old_wheel, objects.folder)), (AFTER, wheel)):
        template.render(file, chosen, objects.folder / name)
        sides.append(Side(objects.of_folder(objects.folder / name), template.version(file)))
    return merge.merge(objects, sides[0], own, sides[1])


def _old_wheel(objects: Objects, own: Tree, name: str) -> bytes:
    """The wheel that the project was made by, or updated to last: of HEAD, or else of its history."""
    path = f"scripts/{name}"
    content = objects.content(own[path]) if path in own else next(git.contents(objects.root, path), None)
    if content is None:
        raise UsageError(
            f"{path} is in no commit of the project: what samebook gave it is not known",
            mend="git fetch --unshallow" if git.is_shallow(objects.root) else f"git log --all -- {path}",
        )
    return content


def _changes(own: Tree, tree: Tree) -> dict[str, str]:
    """Each file that differs, with git's letter for how."""
    paths = sorted(path for path in {*own, *tree} if own.get(path) != tree.get(path))
    return {path: "D" if path not in tree else "M" if path in own else "A" for path in paths}


def table(result: Update) -> str:
    """What an update has done as text, with the next steps."""
    if result.old == result.new:
        already = f"the project is of samebook {result.new} already; WHEEL=samebook-….whl brings a later one"
        return "\n".join((already, *_results(result)))
    lines = [f"samebook {result.old} -> {result.new}"]
    lines += [f"  {letter} {path}" for path, letter in result.changes.items()]
    moves = result.moves or ()
    count = "1 package has" if len(moves) == 1 else f"{len(moves)} packages have"
    lines += [f"lock: {count} moved", *(f"  {move}" for move in moves)]
    if result.moves is None:
        lines[-1] = (
            "lock: it follows from what is in conflict; when that is resolved: make lock && git add environments"
        )
    sections = {"stays as it is here:": result.kept, "promoted models:": result.models}
    sections["conflicts:"] = {path: conflict.step for path, conflict in result.conflicts.items()}
    for title, section in sections.items():
        lines += [title, *(f"  {name}: {line}" for name, line in section.items())] if section else []
    lines += _results(result)
    return "\n".join((result.difference, *lines) if result.difference else lines)


def _results(result: Update) -> list[str]:
    """Whether the models' results hold, as lines."""
    lines = [f"  {name}: {verdict.text}" for name, verdict in result.results.items()]
    return ["promoted models, run again in this environment:", *lines] if lines else []
