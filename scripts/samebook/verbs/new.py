"""Make a project: a folder with the entries of this scaffold, its environment locked, and one commit."""

import keyword
import re
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from samebook.core import git, signals, subcommand
from samebook.core.errors import UsageError, nearest
from samebook.core.text import Say, word
from samebook.core.workspace import Workspace
from samebook.environment import packages
from samebook.projects import template

EXAMPLES = ("tiny", "none")
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
# It stands in a workflow of CI, where other characters could be commands; Docker takes small letters after the host.
REGISTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]*(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
# Modules of every project, and folders of its workspace: a package of helpers would hide one, or be hidden.
TAKEN = {"samebook", "notebooks", "scripts", "tests", "train", "gate", *keyword.kwlist, *sys.stdlib_module_names}
# A first commit with nothing of the user's own in it: no hook, template, signature, or list of ignored files.
PLAIN = ("-c", git.NO_HOOKS, "-c", "commit.gpgSign=false", "-c", "core.excludesFile=/dev/null")


@dataclass(frozen=True)
class NewRequest:
    """One call of `samebook new`: the folder, and the answers; an empty one has its default."""

    path: Path
    name: str = ""
    example: str = ""
    registry: str = ""


def new(request: NewRequest, say: Say) -> str:
    """Make the project; returns the hash of its commit.

    Nothing is left where it fails. Raises UsageError for a folder that is no place for it, a name that Python can't
    import, no identity for git, and packages that can't be had.
    """
    import copier

    path = request.path.absolute()
    _check_place(path)
    answers = _answers(request)
    with signals.as_errors(), tempfile.TemporaryDirectory(prefix=".samebook-", dir=path.parent) as folder:
        temporary = Path(folder)
        wheel = template.own_wheel(temporary)
        template.assemble(wheel, temporary / "template")
        project = temporary / "project"
        data = {**answers, "version": template.version(wheel)}
        copier.run_copy(str(temporary / "template"), project, data=data, defaults=True, quiet=True)
        say("environment: asking the package index")
        subcommand.make(Workspace(project), "lock", ENGINE="local")
        git.git(project, "init", "--quiet", "--initial-branch=main", "--template=", ".")
        git.git(project, *PLAIN, "add", "--all")
        git.git(project, *PLAIN, "commit", "--quiet", f"--message=A project, made by samebook {data['version']}")
        commit = git.head(project)
        if path.exists():
            path.rmdir()
        project.rename(path)
    return commit


def default_name(path: Path) -> str:
    """The name of a project in a folder: the folder's, as Python could import it."""
    return re.sub(r"[^a-z0-9]+", "_", path.absolute().name.lower()).strip("_")


def _check_place(path: Path) -> None:
    """Raise UsageError for a folder where a project can't stand."""
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise UsageError(f"{path} is there already", mend="choose a folder that doesn't exist yet")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", mend=f"mkdir -p {word(path.parent)}")
    if re.search(r"[\s,]", str(path)):
        raise UsageError(
            f"the path has a blank or a comma, which make and uv can't handle: {path}", mend="choose a path without"
        )
    try:
        top = git.git(path.parent, "rev-parse", "--show-toplevel").decode().strip()
    except UsageError:
        top = ""
    if top:
        raise UsageError(f"{path} lies in another repository, {top}", mend="choose a folder outside of it")
    try:
        for who in ("AUTHOR", "COMMITTER"):
            git.git(path.parent, "var", f"GIT_{who}_IDENT")
    except UsageError as error:
        mend = 'git config --global user.name "Ada" && git config --global user.email ada@example.com'
        raise UsageError("git doesn't know who commits", mend=mend) from error


def _answers(request: NewRequest) -> dict[str, str]:
    """The answers of the template by their names, each checked."""
    name, example = request.name or default_name(request.path), request.example or EXAMPLES[0]
    if not NAME.fullmatch(name) or name in TAKEN or packages.is_known(name):
        raise UsageError(
            f"{name!r} can't be the name of a package of helpers; expected small letters, digits and single _, and the"
            " name of no other module",
            mend="samebook new PROJECT --name churn",
        )
    if example not in EXAMPLES:
        raise UsageError(f"no example {example!r}{nearest(example, EXAMPLES)}", mend="samebook new --help")
    if request.registry and not REGISTRY.fullmatch(request.registry):
        raise UsageError(
            f"{request.registry!r} is no registry; expected a host, a port and a path",
            mend="samebook new PROJECT --registry registry.example.com/team",
        )
    return {"name": name, "example": example, "registry": request.registry}
