"""Notices, inside a kernel, files that a notebook reads around the API: undeclared inputs of its receipt.

An audit hook (PEP 578) sees what Python opens; a library that opens files in C (DuckDB, pyarrow) is not seen.
What doesn't count: what the commit or the environment holds, what the system and caches hold, and what the
notebook itself has written before.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from samebook import runfolder

SYSTEM = ("/usr/", "/lib", "/etc/", "/proc/", "/sys/", "/dev/", "/run/", "/var/")
COMMITTED = ("notebooks", "scripts", "environments", "models", "store", ".samebook", ".venv")
CACHES = ("MPLCONFIGDIR", "IPYTHONDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")

_declared = 0
_known: set[str] = set()


@contextmanager
def declared() -> Iterator[None]:
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
    ignored = _ignored(run, workspace)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event != "open" or _declared or not isinstance(arguments[0], str):
            return
        path = os.path.abspath(arguments[0])  # noqa: PTH100 - pathlib is too slow for every open
        if path in _known or path.startswith(ignored):
            return
        _known.add(path)
        if _reads(arguments[1], arguments[2]) and os.path.isfile(path):  # noqa: PTH113
            with declared():
                runfolder.append_event(Path(run), {"kind": "undeclared", "name": _name(path, workspace), "path": path})

    sys.addaudithook(hook)


def _ignored(run: str, workspace: str) -> tuple[str, ...]:
    home = Path.home()
    caches = (os.environ[name] for name in CACHES if os.environ.get(name))
    return (
        *SYSTEM,
        *(f"{workspace}/{folder}" for folder in COMMITTED),
        *(str(path) for path in (home / ".cache", home / ".config", home / ".ipython", home / ".local")),
        *(run, sys.prefix, sys.base_prefix, str(Path(__file__).parent), *caches),
    )


def _reads(mode: str | None, flags: int) -> bool:
    return "r" in mode if mode else flags & os.O_ACCMODE == os.O_RDONLY


def _name(path: str, workspace: str) -> str:
    return path.removeprefix(f"{workspace}/")


def startup(folder: Path) -> None:
    """Have IPython, with `folder` as its IPYTHONDIR, watch from its start."""
    scripts = folder / "profile_default" / "startup"
    scripts.mkdir(parents=True)
    (scripts / "00-samebook.py").write_text(
        "import os\n"
        "from samebook import watching\n"
        "watching.start(os.environ['SAMEBOOK_RUN'], os.environ['SAMEBOOK_WORKSPACE'])\n"
        "del os, watching\n"
    )
