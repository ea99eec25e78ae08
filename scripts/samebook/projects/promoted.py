"""Promoted models under an update: whether their results hold in the environment that it brings."""

from dataclasses import dataclass
from pathlib import Path

from samebook.core import git
from samebook.core.errors import SamebookError, UsageError
from samebook.core.text import Say
from samebook.core.workspace import Workspace, make_folder
from samebook.environment import identity
from samebook.models import lookup
from samebook.projects.objects import Objects, Tree
from samebook.records import comparison, data_manifest, receipt, run_folder
from samebook.records.comparison import Side, Verdict
from samebook.reproduction import isolation
from samebook.reproduction import original as originals
from samebook.reproduction.checkout import Checkout
from samebook.reproduction.front import Front
from samebook.reproduction.original import Original
from samebook.store import objects as stores
from samebook.wheelhouse import pinned_base

LOCK, BASE = "environments/runtime.txt", "Dockerfile"


def findings(objects: Objects, own: Tree, tree: Tree) -> dict[str, str]:
    """Of each promoted model, what is another in a tree than in its run, and the commands that give a verdict."""
    if LOCK not in tree:
        return {}
    folder = objects.folder / "environment"
    make_folder((folder / LOCK).parent)
    (folder / LOCK).write_bytes(objects.content(tree[LOCK]))
    locked = identity.locked_versions(Workspace(folder))
    bases = [pinned_base.read(objects.content(side[BASE])) if BASE in side else [] for side in (own, tree)]
    project = Workspace(objects.root)
    names = sorted(path.stem for path in project.models.glob("*.json"))
    return {name: _finding(project, name, locked, has_new_base=bases[0] != bases[1]) for name in names}


def _finding(project: Workspace, name: str, locked: dict[str, str], *, has_new_base: bool) -> str:
    try:
        bundle = lookup.read(project, name)
    except UsageError as error:
        return str(error)
    packages = bundle.environment.packages
    moved = identity.differences(packages, {name: locked[name] for name in packages if name in locked})
    lines = [*moved, *(["another base image"] if has_new_base else [])]
    if not lines:
        return "every package and the base image are those of its run: its results hold"
    return (
        f"other than in its run: {'; '.join(lines)}\n"
        f"    in the environment of its run: make reproduce RUN={name}\n"
        f"    in the new one: make update REPRODUCE=1"
    )


@dataclass(frozen=True)
class Result:
    """What has come of a model's run in the project as it is now: whether its results hold, and a text that says so."""

    holds: bool
    text: str


def results(project: Workspace, engine: str, say: Say) -> dict[str, Result]:
    """Of each promoted model, whether its results hold in the project's environment: its run is made once more.

    A model of which that can't be told, as its receipt or its inputs are nowhere, or its notebook fails now, holds not.
    """
    return {path.stem: _result(project, path.stem, engine, say) for path in sorted(project.models.glob("*.json"))}


def _result(project: Workspace, name: str, engine: str, say: Say) -> Result:
    say(f"model {name}: its run again, in the environment of now")
    try:
        original = originals.read(project, lookup.receipt_path(project, name))
        folder = _run(project, original, engine, say)
    except SamebookError as error:
        return Result(False, f"it can't be told: {error}" + (f"\n    -> {error.mend}" if error.mend else ""))
    digests = receipt.subject_digests(receipt.read(folder / run_folder.RECEIPT))
    new = Side(digests, lambda subject: (folder / subject).read_bytes())
    compared = comparison.compare(originals.side(project, original), new)
    run_folder.set_aside(project, folder)
    others = [subject for subject in compared if subject.verdict is not Verdict.IDENTICAL]
    if not others:
        return Result(True, f"its results hold: {comparison.count(compared)}")
    lines = [f"    {subject.name} {subject.verdict}: {subject.detail}" for subject in others]
    title = f"its results are others, {comparison.count(compared)}: runs/{run_folder.SCRATCH}/{folder.name}"
    return Result(False, "\n".join((title, *lines)))


def _run(project: Workspace, original: Original, engine: str, say: Say) -> Path:
    """The folder of a new run of the project's own notebook, with the parameters and inputs of a receipt."""
    statement = data_manifest.expanded(stores.local_store(project), original.statement, say)
    front = Front(project.root, project.root, engine)
    env = isolation.variables(statement, project.root, git.head(project.root), engine, say)
    try:
        if engine == "docker":  # the local engine's run makes its environment itself
            front.environment(env)
        return Checkout(front, env).run(statement, {})
    finally:
        front.remove_image(env)
