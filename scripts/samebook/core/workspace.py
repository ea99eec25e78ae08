"""The paths of a checkout, and the ways to write a file there as a whole or not at all."""

import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from samebook.core.errors import UsageError

# A socket's path has 107 bytes at most; of these, Jupyter's names need sixty.
LONGEST_TEMPORARY = 45
# https://man7.org/linux/man-pages/man2/ioctl_ficlone.2.html
FICLONE = 0x40049409
PROJECT = re.compile(r'^name = "([a-z][a-z0-9_]*)-environments"$', re.MULTILINE)


@dataclass(frozen=True)
class Workspace:
    """A checkout, or the image's copy of one."""

    root: Path

    @property
    def notebooks(self) -> Path:
        return self.root / "notebooks"

    @property
    def environments(self) -> Path:
        return self.root / "environments"

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def project(self) -> str:
        """The name of the project, after which make calls its images; a machine and a cluster may have several."""
        path = self.environments / "pyproject.toml"
        found = PROJECT.search(path.read_text()) if path.is_file() else None
        return found[1] if found else "samebook"

    def notebook(self, name: str) -> Path:
        """The path of the notebook `train`, `train.ipynb` or `notebooks/train.ipynb`, whether it exists or not."""
        return self.notebooks / f"{os.path.normpath(name.removeprefix('notebooks/').removesuffix('.ipynb'))}.ipynb"

    def notebook_name(self, path: Path) -> str:
        """The name of a notebook, by which alone it is known: its path below notebooks/, as `train` or `old/train`."""
        return path.relative_to(self.notebooks).as_posix().removesuffix(".ipynb")

    def relative(self, path: Path) -> str:
        """The path relative to the workspace's root; unchanged where it is outside."""
        # By the text: pathlib compares with each folder above, which took longest of hashing the code of a run.
        return "." if path == self.root else str(path).removeprefix(f"{self.root}".rstrip("/") + "/")


def find() -> Workspace:
    """The workspace around the current folder, or around SAMEBOOK_WORKSPACE. Raises UsageError where there is none."""
    variable = os.environ.get("SAMEBOOK_WORKSPACE")
    start = Path(variable) if variable else Path.cwd()
    for folder in (start, *start.parents):
        if (folder / "environments" / "runtime.txt").is_file():
            return Workspace(folder.resolve())
    raise UsageError(
        f"no samebook workspace at or above {start}: expected environments/runtime.txt",
        mend="export SAMEBOOK_WORKSPACE=…, the path of the checkout",
    )


def make_folder(path: Path) -> Path:
    """Make a folder where it is missing, and return it. Raises UsageError where it cannot be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        is_writable = os.access(path, os.W_OK | os.X_OK)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{path} is a file; expected a folder", mend=f"mv {path} {path}.old") from None
    except PermissionError:
        is_writable = False
    if not is_writable:
        raise UsageError(
            f"no permission to write in {path} as user {os.getuid()}",
            mend=f"sudo chown -R {os.getuid()}:{os.getgid()} {path}",
        )
    return path


def short_temporary() -> str:
    """The folder for temporary files with a short path, as that of a socket in it must be: TMPDIR, or else /tmp."""
    folder = tempfile.gettempdir()
    return folder if len(os.fsencode(folder)) <= LONGEST_TEMPORARY else f"{os.sep}tmp"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """The path of a temporary file to write; it replaces the file at `path` when the block ends without an error.

    Readers see the old content or the new, never a part of it; an error leaves nothing behind.
    """
    make_folder(path.parent)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write a file, as a whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file's content, as a whole or not at all; never as a link, so that no file can change the other."""
    with replacing(target) as temporary:
        copy_content(source, temporary)


def copy_content(source: Path, target: Path) -> None:
    """Copy a file's content. Where the file system can (Btrfs, XFS), both share their bytes until one is changed.

    Raises OSError for what is no file.
    """
    with open(source, "rb", opener=_without_waiting) as reader, target.open("wb") as writer:
        try:
            fcntl.ioctl(writer, FICLONE, reader.fileno())
        except OSError:
            shutil.copyfile(source, target)


def _without_waiting(path: str, flags: int) -> int:
    """Open a file, and a named pipe without a wait for somebody who writes into it."""
    return os.open(path, flags | os.O_NONBLOCK)
