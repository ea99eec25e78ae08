"""Undeclared inputs: files that a notebook reads without the API, which a kernel records for the receipt.

An audit hook (PEP 578) sees the files that Python opens, but not those that a library opens in C (DuckDB, pyarrow).
Files of the commit, the environment, the system and caches are not recorded, nor are files that the notebook has
written itself. Where a path leads decides, through every link. The sha256 is taken when a file is opened, because it
may be removed before the run ends.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from samebook.core import code
from samebook.core.digest import sha256
from samebook.records import run_folder

SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/sys", "/dev", "/run", "/var")
# The parts of it in which anybody may leave a file for the next run.
WRITABLE = tuple(f"/{name}/" for name in ("dev/shm", "run/lock", "run/user", "var/lock", "var/tmp"))
COMMITTED = ("notebooks", "scripts", "environments", "models", "store", ".samebook", ".venv")
CACHES = ("MPLCONFIGDIR", "IPYTHONDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")

_declaring = 0  # depth of the blocks of declared_reads()
_seen: set[str] = set()


@contextmanager
def declared_reads() -> Iterator[None]:
    """A block whose reads are not recorded here, because the caller records them."""
    global _declaring
    _declaring += 1
    try:
        yield
    finally:
        _declaring -= 1


def declare(path: Path) -> None:
    """Declare a file whose content the receipt has: the notebook may read it in any way."""
    _seen.add(str(path))


def start(run: str, workspace: str) -> None:
    """Record from now on, in the run's folder, the files that this process reads, each file once."""
    inside, outside = _ignored_inside(run, workspace), _ignored_outside(run, workspace)
    libraries = _folders(sys.prefix, sys.base_prefix)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or _declaring or not isinstance(arguments[0], (str, bytes)):
            return
        path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - pathlib is too slow for every open
        # Most files are of libraries; for the others it is worth to follow links.
        if path in _seen or path.startswith(libraries):
            return
        real = os.path.realpath(path)
        ignored = inside if real.startswith(f"{workspace}/") else outside
        if real.startswith(ignored) and not real.startswith(WRITABLE):
            return
        is_reading = _is_reading(arguments[1], arguments[2])
        if is_reading and not os.path.isfile(path):  # noqa: PTH113
            return
        _seen.add(path)
        if is_reading:
            record(Path(run), path, workspace)

    sys.addaudithook(hook)


def record(run: Path, path: str, workspace: str) -> None:
    """Record a file that a run has read, or shows as a result, without declaring it."""
    with suppress(OSError):  # the notebook cannot read the file either
        digest = sha256(Path(path))
        event = {"kind": "undeclared", "name": _name(path, workspace), "sha256": digest}
        run_folder.append_event(run, event)


def _ignored_inside(run: str, workspace: str) -> tuple[str, ...]:
    """The folders whose files are ignored inside and outside of the workspace."""
    committed = (f"{workspace}/{folder}" for folder in COMMITTED)
    caches = (os.environ[name] for name in CACHES if os.environ.get(name))
    return _folders(*committed, run, sys.prefix, str(code.FOLDER), *caches)


def _ignored_outside(run: str, workspace: str) -> tuple[str, ...]:
    """The folders whose files are ignored outside of the workspace, which may itself be in one of them."""
    home = Path.home()
    personal = (str(home / name) for name in (".cache", ".config", ".ipython", ".local"))
    return (*_ignored_inside(run, workspace), *_folders(*SYSTEM, *personal, sys.base_prefix))


def _folders(*paths: str) -> tuple[str, ...]:
    return tuple(f"{os.path.realpath(path).rstrip('/')}/" for path in paths)


def _is_reading(mode: str | None, flags: int) -> bool:
    return "r" in mode if mode else flags & os.O_ACCMODE == os.O_RDONLY


def _name(path: str, workspace: str) -> str:
    """The path, relative to the workspace where it is inside; bytes that are not UTF-8 are escaped, for JSON."""
    return os.fsencode(path.removeprefix(f"{workspace}/")).decode(errors="backslashreplace")


def write_startup_script(folder: Path) -> None:
    """Write the script with which IPython, with `folder` as its IPYTHONDIR, records from its start."""
    scripts = folder / "profile_default" / "startup"
    scripts.mkdir(parents=True)
    (scripts / "00-samebook.py").write_text(
        "import os\n"
        "from samebook.records import undeclared\n"
        "undeclared.start(os.environ['SAMEBOOK_RUN'], os.environ['SAMEBOOK_WORKSPACE'])\n"
        "del os, undeclared\n"
    )
