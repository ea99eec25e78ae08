"""Adopt a foreign notebook: plan it, bring its packages, data and modules in, write it, and run it twice."""

import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from samebook.adoption import expected, imports, plan
from samebook.adoption.code import renames
from samebook.adoption.downloads import Download
from samebook.adoption.plan import Plan
from samebook.core import errors, git, subcommand
from samebook.core import workspace as workspaces
from samebook.core.errors import NotReproduced, SamebookError, UsageError
from samebook.core.signing_programs import SAMEBOOK
from samebook.core.text import Say, word
from samebook.core.workspace import Workspace
from samebook.environment import input_entries, packages
from samebook.records import run_folder

# A file in a repository: `https://host/owner/project/blob/main/a.ipynb`, or `https://host/project.git/a.ipynb`.
ADDRESS = re.compile(
    r"((?:https?|ssh|git|file)://.+?)(?:/(?:-/)?(?:blob|raw)/([^/]+)/|(?<=\.git)/)(.+\.ipynb)", re.IGNORECASE
)
VERSION = re.compile(r"[<>=!~].*")


@dataclass(frozen=True)
class AdoptRequest:
    """A notebook, by its path or its address in a repository, and the data that it reads: files and folders.

    `name` is its name here, by default its file's. `mends` says whether old code is changed.
    """

    notebook: str
    data: tuple[str, ...] = ()
    name: str = ""
    engine: str = "local"
    mends: bool = False


def adopt(request: AdoptRequest, agree: Callable[[str], bool], say: Say) -> str:
    """Bring a notebook in where `agree` returns true for the plan's text; returns the verdict of two runs of it.

    Without consent nothing is written, and the verdict is "". Raises UsageError for what can't be adopted, the error
    of its run where it fails, and NotReproduced where its runs differ.
    """
    workspace = workspaces.find()
    with _located(request.notebook) as (path, limit):
        name = request.name or plan.name_of(path)
        _check_name(workspace, name)
        lock = imports.locked((workspace.environments / "runtime.txt").read_text())
        data = [Path(file) for file in request.data]
        project = plan.Project(workspace.notebooks, lock, input_entries.read(workspace))
        adoption = plan.plan(plan.Source(path, limit, data), name, project, mend=request.mends)
        helpers = _helper_files(workspace, adoption)
        if not agree(plan.text(adoption)):
            return ""
        _add_packages(workspace, adoption.imports.wanted, say)
        for copy in adoption.copies:
            workspaces.copy_whole(copy.source, workspace.root / copy.target)
        for target, content in helpers:
            workspaces.write_whole(target, content)
        workspaces.write_whole(workspace.notebook(name), adoption.content)
    _fetch(workspace, request.engine, adoption.downloads, say)
    say(f"notebooks/{name}.ipynb is written; it runs twice now, to be compared with itself")
    return _verdict(workspace, request, adoption)


@contextmanager
def _located(notebook: str) -> Iterator[tuple[Path, Path]]:
    """The file of a notebook, and the folder that its data may come from: a stranger's code names no file outside it.

    For the time of the block, a repository that an address names is here.
    """
    if "://" not in notebook:
        path = Path(notebook)
        folder = path.parent.resolve()  # else the folder before a `..` would be one above the notebook
        yield path, next((above for above in (folder, *folder.parents) if (above / ".git").exists()), folder)
        return
    address = ADDRESS.fullmatch(notebook)
    if address is None:
        raise UsageError(
            f"found {notebook}; expected the address of a notebook in a git repository",
            mend="make adopt NOTEBOOK=https://host/owner/project/blob/main/a.ipynb",
        )
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        git.clone(address[1], clone, address[2] or "")
        yield clone / address[3], clone


def _check_name(workspace: Workspace, name: str) -> None:
    if name != plan.name_of(Path(f"{name}.ipynb")):
        raise UsageError(
            f"found {name!r} as a name; expected letters, digits, _ and -",
            mend=f"again, with NAME={plan.name_of(Path(f'{name}.ipynb'))}",
        )
    if workspace.notebook(name).exists():
        raise UsageError(f"notebooks/{name}.ipynb is there already", mend=f"again, with NAME={name}_2")


def _helper_files(workspace: Workspace, adoption: Plan) -> list[tuple[Path, bytes]]:
    """The places of the modules' files, with their content. Raises UsageError where another file of that name is."""
    files = [
        (workspace.notebooks / file.relative_to(helper.path.parent), adoption.module(file))
        for helper in adoption.imports.helpers
        for file in helper.files
    ]
    for target, content in files:
        if target.exists() and target.read_bytes() != content:
            raise UsageError(
                f"its module {target.name} would replace {workspace.relative(target)}, which is another",
                mend=f"rename one of them: git mv {word(workspace.relative(target))} …",
            )
    return files


def _add_packages(workspace: Workspace, wanted: tuple[str, ...], say: Say) -> None:
    """Add the packages to the environment, each in the wanted version where that fits, or else in the newest that does.

    Raises SamebookError where some can't be had with those of the project in any version; then all is as it was.
    """
    if not wanted:
        return
    pinned = [package for package in wanted if VERSION.search(package)]
    try:
        say(_added(workspace, *wanted))
    except SamebookError as error:
        if not pinned:
            raise _rivals(error) from None
        say(f"{' '.join(pinned)}: {_reason(error)}; the newest that do fit are taken")
    else:
        return
    try:
        say(_added(workspace, *(VERSION.sub("", package) for package in wanted)))
    except SamebookError as error:
        raise _rivals(error) from None
    for package in pinned if len(pinned) > 1 else ():
        try:
            say(_added(workspace, package))
        except SamebookError as error:
            say(f"{package} does not fit this environment: {_reason(error)}")


def _added(workspace: Workspace, *wanted: str) -> str:
    return subcommand.make(workspace, "add", PACKAGE=" ".join(wanted)).rstrip()


def _reason(error: SamebookError) -> str:
    """Why packages were not added, by the first line about it."""
    reason = str(error).partition("\n")[0].removeprefix("environments/ is as before: ")
    return "no index that answers has it for this Python" if reason == packages.UNTOLD else reason


def _rivals(error: SamebookError) -> SamebookError:
    """The error, with the way out where two wishes exclude each other."""
    if " asks for " not in _reason(error):
        return error
    return UsageError(
        f"nothing is changed, since no environment has both: {_reason(error)}; a project of its own can have it",
        mend="make new PROJECT=../another",
    )


def _fetch(workspace: Workspace, engine: str, downloads: Iterable[Download], say: Say) -> None:
    """Fetch what the notebook downloads, and pin its hash; what can't be had is said, with its cell and the command."""
    for download in downloads:
        input_entries.add(workspace, download.name, download.url)
    for download in downloads:
        try:
            if (workspace.root / "Makefile").is_file():
                lines = subcommand.make(workspace, "fetch", NAME=download.name, PIN="1", ENGINE=engine)
            else:
                lines = subcommand.call(workspace, "fetch", "--pin", "--", download.name)
            say(lines.strip())
        except SamebookError as error:
            say(f"code cell {download.cell} reads {download.url}, which did not come: {error}")
            say(f"  -> make fetch NAME={word(download.name)} PIN=1, or the file itself as data/{word(download.name)}")


def _verdict(workspace: Workspace, request: AdoptRequest, adoption: Plan) -> str:
    """What two runs of the notebook show. Raises the error of a run, and NotReproduced where they differ."""
    if (workspace.root / "Makefile").is_file():
        words = ("make", "--silent", "reproduce", f"RUN={adoption.name}", "TIMES=2", f"ENGINE={request.engine}")
    else:
        words = (*SAMEBOOK, "reproduce", adoption.name, "--times", "2")
    code, printed = subcommand.in_group(words, workspace.root)
    lines = subcommand.MAKE.sub("", printed).strip()
    if code == NotReproduced.exit_code and "DIFFERENT:" in lines:
        lines = "\n".join((lines, *_expected(workspace, adoption)))
        raise NotReproduced(f"two runs differ:\n{lines}", mend=f"make reproduce RUN={adoption.name} TIMES=2")
    if code:
        raise _failure(code, subcommand.message(printed).removeprefix("error: "), request, adoption)
    following = f"next: git add --all && git commit -m {adoption.name}, then make run NOTEBOOK={adoption.name}"
    return "\n".join((lines[lines.find("IDENTICAL:") :], *_expected(workspace, adoption), following))


def _expected(workspace: Workspace, adoption: Plan) -> list[str]:
    """What the newest trial of the notebook shows of the cells that are expected to fail."""
    trials = sorted((workspace.runs / run_folder.SCRATCH).glob(f"*-{adoption.name}-*/{run_folder.NOTEBOOK}"))
    if not adoption.expected or not trials:
        return []
    return [expected.summary(adoption.expected), *expected.deviations(adoption.expected, trials[-1].read_bytes())]


def _failure(code: int, message: str, request: AdoptRequest, adoption: Plan) -> SamebookError:
    """The error of a run, with the rule that would help, or else with the way out that the run itself names."""
    text, *ways = message.split("\n  -> ")
    way = ways[-1] if ways else ""
    change = renames.helping(text, adoption.unmended)
    mend = way.strip() or f"make lab, and mend notebooks/{adoption.name}.ipynb"
    if change and change.edits:
        mend = f"rm notebooks/{adoption.name}.ipynb && make adopt NOTEBOOK={word(request.notebook)} MEND=1"
    elif change:
        mend = f"{change.rule.advice or change.rule.new}, in `{change.line}` ({change.rule.source})"
    elif missing := re.search(r"No such file or directory: '([^'\n]+)'", text):
        data = word(f"…/{PureWindowsPath(missing[1]).name}")
        mend = f"rm notebooks/{adoption.name}.ipynb && make adopt NOTEBOOK={word(request.notebook)} DATA={data}"
    elif rule := renames.of_error(text, adoption.texts):
        mend = f"make lab, and mend notebooks/{adoption.name}.ipynb: {rule.advice} ({rule.source})"
    text = f"notebooks/{adoption.name}.ipynb is written, but does not run: {text}"
    return errors.from_exit_code(code, text, mend=mend, default=errors.CellFailed)
