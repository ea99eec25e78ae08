"""Keeping files and switching between versions of a model: our store and bundles against DVC."""

import random
import shutil
import subprocess
from functools import partial
from pathlib import Path

from benchmarks.ours import SAMEBOOK, clear
from benchmarks.places import Place, Race, commit
from benchmarks.trials import Trial, Wrong
from tiny import Result, Tiny, git

FILES, MIB = 10, 2**20
# By default DVC copies where the file system can't share blocks; links are its fastest.
LINKS = "hardlink,symlink"
ADD = """
import sys
from pathlib import Path
from samebook.core import workspace
from samebook.store import objects
kept = objects.local_store(workspace.find())
print(*(kept.put(path) for path in sorted(Path(sys.argv[1]).iterdir())), sep="\\n")
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
    """A version of the model: ten files of 10 MiB."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in range(FILES):
        content = str(level).encode() + random.Random(f"{level} {part}").randbytes(10 * MIB - 1)
        (folder / f"part-{part}.bin").write_bytes(content)


def samebook_add(place: Place) -> Trial:
    """The store's own function, on each file."""
    workspace = place.workspace()
    fill(place.root / "model", 1)
    (place.root / "add.py").write_text(ADD)
    command = (SAMEBOOK[0], place.root / "add.py", place.root / "model")
    return Trial(command, workspace.root, place.ours(workspace), partial(clear, workspace), partial(_stored, workspace))


def dvc_add(place: Place, links: str = "") -> Trial:
    """`dvc add` into an empty cache."""
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
        found = len([path for path in (root / ".dvc" / "cache").rglob("*") if path.is_file() and path.suffix != ".dir"])
        if found != FILES:
            raise Wrong(f"expected {FILES} files in the cache, found {found}")

    return Trial(("dvc", "add", "--quiet", "model"), root, environ, before, check)


def samebook_switch(place: Place) -> Trial:
    """Switch to the branch with the other model, and have its files put into their folder."""
    workspace, environ = place.workspace(), place.ours(place.workspace())
    workspace.notebook("train", parameters="level: int = 1", work=TRAIN)
    commit(workspace)
    for level, branch in enumerate(("one", "two"), 1):
        git(workspace, "switch", "--quiet", "--create", branch, "main")
        _well(workspace.samebook("run", "train", "-p", f"level={level}"))
        _well(workspace.samebook("promote", workspace.last.name, "delay"))
    _well(workspace.samebook("models"))
    check = partial(_switched, workspace.root, "models/.files/delay")
    return Trial(_switching(*SAMEBOOK, "models"), workspace.root, environ, check=check)


def dvc_switch(place: Place, links: str = "") -> Trial:
    """Switch to the branch with the other files, and have DVC check them out."""
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
    """Back to the branch before, and then the command."""
    return ("sh", "-c", 'git switch --quiet - && exec "$@"', "sh", *command)


def _dvc(place: Place, name: str, links: str) -> Path:
    """A repository with DVC in it, its default settings, or those for links."""
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
    _well(Result(done.returncode, done.stdout, done.stderr))


def _well(ended: Result) -> None:
    if ended.code:
        raise Wrong(f"exit code {ended.code}: {ended.stdout}{ended.stderr}")


def _stored(workspace: Tiny, printed: str) -> None:
    kept = {path.name for path in (workspace.root / "store").glob("??/??/*")}
    if set(printed.split()) != kept or len(kept) != FILES:
        raise Wrong(f"expected {FILES} objects in the store, found {len(kept)}")


def _switched(root: Path, folder: str, _: str) -> None:
    branch = (root / ".git" / "HEAD").read_text().strip().rpartition("/")[2]
    level = {"one": b"1", "two": b"2"}[branch]
    for part in range(FILES):
        found = next((root / folder).rglob(f"part-{part}.bin")).read_bytes()
        if found[:1] != level or len(found) != 10 * MIB:
            raise Wrong(f"on branch {branch} part-{part}.bin is not that branch's")
