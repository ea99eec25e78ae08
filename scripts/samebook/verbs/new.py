"""Make a project: a folder with the entries of this scaffold, its environment locked, and one commit."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

from samebook.core import git, signals
from samebook.core.errors import UsageError
from samebook.core.text import Say, word
from samebook.projects import answers, lock, template

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
    path = request.path.absolute()
    check_place(path)
    chosen = answers.check(request.name or default_name(path), request.example or answers.EXAMPLES[0], request.registry)
    with signals.as_errors(), tempfile.TemporaryDirectory(prefix=".samebook-", dir=path.parent) as folder:
        temporary = Path(folder)
        wheel = template.own_wheel(temporary)
        project = temporary / "project"
        template.render(wheel, chosen, project)
        if (project / "notebooks" / f"{chosen['name']}.py").exists():
            raise answers.taken(chosen["name"])
        lock.new(wheel, chosen["example"], project, say)
        git.git(project, "init", "--quiet", "--initial-branch=main", "--template=", ".")
        git.git(project, *PLAIN, "add", "--all")
        git.git(
            project, *PLAIN, "commit", "--quiet", f"--message=A project, made by samebook {template.version(wheel)}"
        )
        commit = git.head(project)
        if path.exists():
            path.rmdir()
        project.rename(path)
    return commit


def default_name(path: Path) -> str:
    """The name of a project in a folder: the folder's, as Python could import it."""
    return re.sub(r"[^a-z0-9]+", "_", path.absolute().name.lower()).strip("_")


def check_place(path: Path) -> None:
    """Raise UsageError for a folder where a project can't stand."""
    if path.is_symlink() or (path.exists() and (not path.is_dir() or any(path.iterdir()))):
        raise UsageError(f"{path} is there already", mend=f"samebook new {word(f'{path}-2')}")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", mend=f"mkdir -p {word(path.parent)}")
    if re.search(r"[\s,]", str(path)):
        raise UsageError(
            f"the path has a blank or a comma, which make and uv can't handle: {path}",
            mend=f"samebook new {word(re.sub(r'[\s,]+', '-', str(path)))}",
        )
    try:
        top = git.git(path.parent, "rev-parse", "--show-toplevel").decode().strip()
    except UsageError:
        top = ""
    if top:
        raise UsageError(
            f"{path} lies in another repository, {top}",
            mend=f"samebook new {word(str(Path(top).with_name(path.name)))}",
        )
    try:
        for who in ("AUTHOR", "COMMITTER"):
            git.git(path.parent, "var", f"GIT_{who}_IDENT")
    except UsageError as error:
        mend = 'git config --global user.name "Ada" && git config --global user.email ada@example.com'
        raise UsageError("git doesn't know who commits", mend=mend) from error
