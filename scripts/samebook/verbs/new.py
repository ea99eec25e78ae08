"""Make a project: a folder with the entries of this scaffold, its environment locked, and one commit."""

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from samebook.core import git
from samebook.core.errors import UsageError, nearest
from samebook.core.text import Say
from samebook.projects import template

EXAMPLES = ("tiny", "none")
NAME = re.compile(r"[a-z][a-z0-9_]*")
# It stands in a workflow of CI, where other characters could be commands.
REGISTRY = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:/_-]*")
# The light modules of every environment, and folders of the workspace: a package of helpers would hide or be hidden.
TAKEN = ("samebook", "notebooks", "tests", "train", "gate")


@dataclass(frozen=True)
class NewRequest:
    """One call of `samebook new`: the folder, and the answers; an empty one is asked, or has its default."""

    path: Path
    name: str = ""
    example: str = ""
    registry: str = ""
    is_asked: bool = False


def new(request: NewRequest, say: Say) -> str:
    """Make the project; returns the hash of its commit.

    Nothing is left where it fails. Raises UsageError for a folder that is no place for it, a name that Python can't
    import, no identity for git, and packages that can't be had.
    """
    path = request.path.absolute()
    _check_place(path)
    answers = _answers(request)
    with tempfile.TemporaryDirectory(prefix=".samebook-", dir=path.parent) as folder:
        temporary = Path(folder)
        wheel = template.own_wheel(temporary)
        template.assemble(wheel, temporary / "template")
        project = temporary / "project"
        answers["version"] = template.version(wheel)
        _render(temporary / "template", project, answers, request.is_asked)
        say("environment: asking the package index")
        template.run_make(project, "lock", mend="samebook new, where the package index can be reached")
        git.git(project, "init", "--quiet", "--initial-branch=main", ".")
        # Not what the user's own list of ignored files would leave out, like wheels.
        git.git(project, "-c", "core.excludesFile=/dev/null", "add", "--all")
        git.git(project, "commit", "--quiet", f"--message=A project, made by samebook {template.version(wheel)}")
        commit = git.head(project)
        if path.exists():
            path.rmdir()
        project.rename(path)
    return commit


def _check_place(path: Path) -> None:
    """Raise UsageError for a folder where a project can't stand."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(f"{path} is there already", mend="choose a folder that doesn't exist yet")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", mend=f"mkdir -p {path.parent}")
    if re.search(r"\s", str(path)):
        raise UsageError(f"the path has a blank, which make can't handle: {path}", mend="choose a path without")
    try:
        top = git.git(path.parent, "rev-parse", "--show-toplevel").decode().strip()
    except UsageError:
        top = ""
    if top:
        raise UsageError(f"{path} lies in another repository, {top}", mend="choose a folder outside of it")
    try:
        git.git(path.parent, "var", "GIT_COMMITTER_IDENT")
    except UsageError as error:
        mend = 'git config --global user.name "Ada" && git config --global user.email ada@example.com'
        raise UsageError("git doesn't know who commits", mend=mend) from error


def _answers(request: NewRequest) -> dict[str, str]:
    """The answers by name, each checked; one that is empty is left to the template's default, or is asked."""
    name = request.name or re.sub(r"[^a-z0-9_]", "_", request.path.absolute().name.lower())
    if not NAME.fullmatch(name) or name in TAKEN:
        raise UsageError(
            f"{name!r} can't be the name of a package of helpers; expected small letters, digits and _",
            mend="samebook new PROJECT --name churn",
        )
    if request.example and request.example not in EXAMPLES:
        raise UsageError(
            f"no example {request.example!r}{nearest(request.example, EXAMPLES)}", mend="samebook new --help"
        )
    if request.registry and not REGISTRY.fullmatch(request.registry):
        raise UsageError(
            f"{request.registry!r} is no registry; expected a host, a port and a path",
            mend="samebook new PROJECT --registry registry.example.com/team",
        )
    given = {"name": name, "example": request.example, "registry": request.registry}
    return {key: value for key, value in given.items() if value}


def _render(source: Path, project: Path, answers: Mapping[str, str], is_asked: bool) -> None:
    import copier

    # The name of the folder is only proposed where somebody is asked.
    data = {key: value for key, value in answers.items() if key != "name" or not is_asked}
    copier.run_copy(str(source), project, data=data, user_defaults=dict(answers), defaults=not is_asked, quiet=True)
