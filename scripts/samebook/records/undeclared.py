"""Notices, inside a kernel, files that a notebook reads around the API: undeclared inputs of its receipt.

An audit hook (PEP 578) sees what Python opens; a library that opens files in C (DuckDB, pyarrow) is not seen.
What doesn't count: what the commit or the environment holds, what the system and caches hold, and what the
notebook itself has written before. What counts is told with its sha256 as it is opened: it may be gone at the end.
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
COMMITTED = ("notebooks", "scripts", "environments", "models", "store", ".samebook", ".venv")
CACHES = ("MPLCONFIGDIR", "IPYTHONDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")

_declared = 0
_known: set[str] = set()


@contextmanager
def declared_reads() -> Iterator[None]:
    """Inside the block, what is read is recorded by the caller."""
    global _declared
    _declared += 1
    try:
        yield
    finally:
        _declared -= 1


def declare(path: Path) -> None:
    """What is in this file is recorded: the notebook may read it as it likes."""
    _known.add(str(path))


def start(run: str, workspace: str) -> None:
    """Watch this process from now on; what it reads is told to the run's folder, each file once."""
    inside, outside = _ignored_inside(run, workspace), _ignored_outside(run, workspace)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or _declared or not isinstance(arguments[0], (str, bytes)):
            return
        path = os.path.abspath(os.fsdecode(arguments[0]))  # noqa: PTH100 - pathlib is too slow for every open
        ignored = inside if path.startswith(f"{workspace}/") else outside
        if path in _known or path.startswith(ignored):
            return
        reads = _reads(arguments[1], arguments[2])
        if reads and not os.path.isfile(path):  # noqa: PTH113
            return
        _known.add(path)
        if reads:
            _tell(Path(run), path, workspace)

    sys.addaudithook(hook)


def _tell(run: Path, path: str, workspace: str) -> None:
    with suppress(OSError):  # the notebook can't read it either
        digest = sha256(Path(path))
        event = {"kind": "undeclared", "name": _name(path, workspace), "sha256": digest}
        run_folder.append_event(run, event)


def _ignored_inside(run: str, workspace: str) -> tuple[str, ...]:
    """What doesn't count wherever it is, in the workspace too."""
    committed = (f"{workspace}/{folder}" for folder in COMMITTED)
    caches = (os.environ[name] for name in CACHES if os.environ.get(name))
    return _folders(*committed, run, sys.prefix, str(code.FOLDER), *caches)


def _ignored_outside(run: str, workspace: str) -> tuple[str, ...]:
    """... and outside of the workspace, which may itself be below one of these."""
    home = Path.home()
    personal = (str(home / name) for name in (".cache", ".config", ".ipython", ".local"))
    return (*_ignored_inside(run, workspace), *_folders(*SYSTEM, *personal, sys.base_prefix))


def _folders(*paths: str) -> tuple[str, ...]:
    return tuple(f"{path.rstrip('/')}/" for path in paths)


def _reads(mode: str | None, flags: int) -> bool:
    return "r" in mode if mode else flags & os.O_ACCMODE == os.O_RDONLY


def _name(path: str, workspace: str) -> str:
    """In the workspace, the path from there; bytes that are no UTF-8 are escaped, as JSON has none."""
    return os.fsencode(path.removeprefix(f"{workspace}/")).decode(errors="backslashreplace")


def write_startup_script(folder: Path) -> None:
    """Have IPython, with `folder` as its IPYTHONDIR, watch from its start."""
    scripts = folder / "profile_default" / "startup"
    scripts.mkdir(parents=True)
    (scripts / "00-samebook.py").write_text(
        "import os\n"
        "from samebook.records import undeclared\n"
        "undeclared.start(os.environ['SAMEBOOK_RUN'], os.environ['SAMEBOOK_WORKSPACE'])\n"
        "del os, undeclared\n"
    )
