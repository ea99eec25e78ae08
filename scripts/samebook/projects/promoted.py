"""Promoted models under an update: whether their results still hold in the environment that it brings."""

import json

from samebook.core.errors import UsageError
from samebook.core.text import word
from samebook.core.workspace import Workspace, make_folder
from samebook.environment import identity
from samebook.models import lookup, policy
from samebook.projects.objects import Objects, Tree

LOCK, BASE = "environments/runtime.txt", "Dockerfile"


def findings(objects: Objects, own: Tree, tree: Tree) -> dict[str, str]:
    """Of each promoted model, what is another in a tree than in its run, and the commands that give a verdict."""
    if LOCK not in tree:
        return {}
    folder = objects.folder / "environment"
    make_folder((folder / LOCK).parent)
    (folder / LOCK).write_bytes(objects.content(tree[LOCK]))
    locked = identity.locked_versions(Workspace(folder))
    bases = [policy.bases(objects.content(side[BASE])) if BASE in side else [] for side in (own, tree)]
    project = Workspace(objects.root)
    names = sorted(path.stem for path in project.models.glob("*.json"))
    return {name: _finding(project, name, locked, has_new_base=bases[0] != bases[1]) for name in names}


def _finding(project: Workspace, name: str, locked: dict[str, str], *, has_new_base: bool) -> str:
    try:
        bundle = lookup.read(project, name)
    except UsageError as error:
        return str(error)
    packages, source = bundle.environment.packages, bundle.source
    moved = identity.differences(packages, {name: locked[name] for name in packages if name in locked})
    lines = [*moved, *(["another base image"] if has_new_base else [])]
    if not lines:
        return "every package and the base image are those of its run: its results hold"
    params = f" PARAMS={word(json.dumps(source.parameters, ensure_ascii=False))}" if source.parameters else ""
    notebook = source.notebook.removeprefix("notebooks/").removesuffix(".ipynb")
    run = f"make run NOTEBOOK={word(notebook)}{params} ENV={word(source.env)}"
    return (
        f"other than in its run: {'; '.join(lines)}\n"
        f"    in the environment of its run: make reproduce RUN={name}\n"
        f"    in the new one: {run}, then make compare OLD={name} NEW={word(notebook)}"
    )
