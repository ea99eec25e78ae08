"""Races of our store and bundles against DVC: to keep files, and to switch between versions of a model."""

import random
import shutil
import subprocess
from functools import partial
from pathlib import Path

from benchmarks.places import Place, Race, commit
from benchmarks.samebook_runs import SAMEBOOK, clear
from benchmarks.trials import FailedTrial, Trial
from tiny import Result, Tiny, git

FILES, MIB = 10, 2**20
# By default DVC copies where the file system can't share blocks; links are its fastest.
LINKS = "hardlink,symlink"
ADD = """
import sys
from pathlib import Path
from samebook.core import workspace
from samebook.store import objects
store = objects.local_store(workspace.find())
print(*(store.put(path) for path in sorted(Path(sys.argv[1]).iterdir())), sep="\\n")
"""
# A model of the same files as DVC's: by level, so that two versions share nothing.
TRAIN = f"""
import random, samebook
for part in range({FILES}):
    content = str(level).encode() + random.Random(f"{{level}} {{part}}").randbytes(10 * {MIB} - 1)
    samebook.output_path(f"part-{{part}}.bin").write_bytes(content)
samebook.log_metric("auc", level / 10)
"""


def fill(folder: Path, level: int) -> None:
    """Write a version of the model: ten files of 10 MiB."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in range(FILES):
        content = str(level).encode() + random.Random(f"{level} {part}").randbytes(10 * MIB - 1)
        (folder / f"part-{part}.bin").write_bytes(content)


def samebook_add(place: Place) -> Trial:
    """The trial of the store's own function, on each file."""
    workspace = place.workspace()
    fill(place.root / "model", 1)
    (place.root / "add.py").write_text(ADD)
    command = (SAMEBOOK[0], place.root / "add.py", place.root / "model")
    return Trial(
        command,
        workspace.root,
        place.samebook_environ(workspace),
        partial(clear, workspace),
        partial(_stored, workspace),
    )


def dvc_add(place: Place, links: str = "") -> Trial:
    """The trial of `dvc add` into an empty cache."""
    root = _dvc(place, f"dvc-add{'-links' * bool(links)}", links)
    environ = place.environ(place.peer("dvc"))

    def before() -> None:
        for folder in (
            root / ".dvc" / "cache",
            root / ".dvc" / "tmp",
            root / "model",
            Path(environ["DVC_SITE_CACHE_DIR"]),
        ):
            shutil.rmtree(folder, ignore_errors=True)
        (root / "model.dvc").unlink(missing_ok=True)
        fill(root / "model", 1)

    def check(_: str) -> None:
        paths = (root / ".dvc" / "cache").rglob("*")
        count = len([path for path in paths if path.is_file() and path.suffix != ".dir"])
        if count != FILES:
            raise FailedTrial(f"expected {FILES} files in the cache, found {count}")

    return Trial(("dvc", "add", "--quiet", "model"), root, environ, before, check)


def samebook_switch(place: Place) -> Trial:
    """The trial of a switch to the branch with the other model, with its files put into their folder."""
    workspace, environ = place.workspace(), place.samebook_environ(place.workspace())
    workspace.notebook("train", parameters="level: int = 1", work=TRAIN)
    commit(workspace)
    for level, branch in enumerate(("one", "two"), 1):
        git(workspace, "switch", "--quiet", "--create", branch, "main")
        _check_exit(workspace.samebook("run", "train", "-p", f"level={level}"))
        _check_exit(workspace.samebook("promote", workspace.last.name, "delay"))
    _check_exit(workspace.samebook("models"))
    check = partial(_switched, workspace.root, "models/.files/delay")
    return Trial(_switching(*SAMEBOOK, "models"), workspace.root, environ, check=check)


def dvc_switch(place: Place, links: str = "") -> Trial:
    """The trial of a switch to the branch with the other files, which DVC checks out."""
    root, environ = _dvc(place, f"dvc-switch{'-links' * bool(links)}", links), place.environ(place.peer("dvc"))
    repository = Tiny(root)
    for level, branch in enumerate(("one", "two"), 1):
        git(repository, "switch", "--quiet", "--create", branch, "main")
        shutil.rmtree(root / "model", ignore_errors=True)
        fill(root / "model", level)
        _run(root, environ, "dvc", "add", "--quiet", "model")
        commit(repository)
    return Trial(_switching("dvc", "checkout", "--quiet"), root, environ, check=partial(_switched, root, "model"))


ADDING = Race(
    "store-add",
    "keep ten files of 10 MiB",
    {"dvc": dvc_add, "dvc-links": partial(dvc_add, links=LINKS), "samebook": samebook_add},
    against=("dvc", "dvc-links"),
)
SWITCHING = Race(
    "store-switch",
    "switch to a branch with another model, of ten files of 10 MiB, and have its files",
    {"dvc": dvc_switch, "dvc-links": partial(dvc_switch, links=LINKS), "samebook": samebook_switch},
    against=("dvc", "dvc-links"),
)


def _switching(*command: str) -> tuple[str, ...]:
    """A shell command that switches to the previous branch, and then runs the command."""
    return ("sh", "-c", 'git switch --quiet - && exec "$@"', "sh", *command)


def _dvc(place: Place, name: str, links: str) -> Path:
    """A repository with DVC, with its default settings or those for links."""
    root, environ = place.folder(name), place.environ(place.peer("dvc"))
    repository = Tiny(root)
    git(repository, "init", "--quiet", "--initial-branch", "main")
    git(repository, "config", "user.name", "bench")
    git(repository, "config", "user.email", "bench@example.com")
    _run(root, environ, "dvc", "init", "--quiet")
    for option in (f"cache.type={links}" if links else "", "core.analytics=false", "core.check_update=false"):
        if option:
            _run(root, environ, "dvc", "config", *option.split("="))
    commit(repository)
    return root


def _run(root: Path, environ: dict[str, str], *command: str) -> None:
    done = subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, check=False)
    _check_exit(Result(done.returncode, done.stdout, done.stderr))


def _check_exit(ended: Result) -> None:
    if ended.code:
        raise FailedTrial(f"exit code {ended.code}: {ended.stdout}{ended.stderr}")


def _stored(workspace: Tiny, printed: str) -> None:
    stored = {path.name for path in (workspace.root / "store").glob("??/??/*")}
    if set(printed.split()) != stored or len(stored) != FILES:
        raise FailedTrial(f"expected {FILES} objects in the store, found {len(stored)}")


def _switched(root: Path, folder: str, _: str) -> None:
    branch = (root / ".git" / "HEAD").read_text().strip().rpartition("/")[2]
    level = {"one": b"1", "two": b"2"}[branch]
    for part in range(FILES):
        content = next((root / folder).rglob(f"part-{part}.bin")).read_bytes()
        if content[:1] != level or len(content) != 10 * MIB:
            raise FailedTrial(f"on branch {branch} part-{part}.bin is not that branch's")
