"""Where things are in a checkout, and how files come into being there: whole or not at all."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from samebook.core.errors import UsageError


@dataclass(frozen=True)
class Workspace:
    """A checkout, or the copy of one in the image."""

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

    def notebook(self, name: str) -> Path:
        """Where the notebook `train`, `train.ipynb` or `notebooks/train.ipynb` would be."""
        return self.notebooks / f"{name.removeprefix('notebooks/').removesuffix('.ipynb')}.ipynb"

    def relative(self, path: Path) -> str:
        """`path` as people name it: from the workspace's root, where it is inside."""
        return str(path.relative_to(self.root)) if path.is_relative_to(self.root) else str(path)


def find() -> Workspace:
    """The workspace around the current folder, or the one that SAMEBOOK_WORKSPACE names."""
    named = os.environ.get("SAMEBOOK_WORKSPACE")
    start = Path(named) if named else Path.cwd()
    for folder in (start, *start.parents):
        if (folder / "environments" / "runtime.txt").is_file():
            return Workspace(folder.resolve())
    raise UsageError(
        f"no samebook workspace at or above {start}: expected environments/runtime.txt",
        mend="change into the checkout, or set SAMEBOOK_WORKSPACE",
    )


def make_folder(path: Path) -> Path:
    """`path` as an existing folder that can be written; a clear error where it can't."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        writable = os.access(path, os.W_OK | os.X_OK)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{path} is a file; expected a folder", mend=f"mv {path} {path}.old") from None
    except PermissionError:
        writable = False
    if not writable:
        raise UsageError(
            f"no permission to write in {path} as user {os.getuid()}",
            mend=f"sudo chown -R {os.getuid()}:{os.getgid()} {path}",
        )
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file to write; it takes the place of `path` when the block ends well.

    Readers see the old content or the new, never a part of it; a failure leaves nothing behind.
    """
    make_folder(path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file's content, whole or not at all; never a link, so that neither can change the other."""
    with replacing(target) as temporary:
        shutil.copyfile(source, temporary)
