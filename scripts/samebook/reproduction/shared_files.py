"""The files of packages that a rerun on the local engine could change for others: those of the caller's environment,
and those of its own, which are links into uv's cache.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.errors import EnvironmentMismatch
from samebook.environment import edits, identity

# A path and its sha256 in a RECORD.
HASHED = re.compile(r"^([^,\n]+),sha256=([^,\n]+),", re.MULTILINE)
COMPILED = ".pyc"

# What a package may be called: https://packaging.python.org/en/latest/specifications/name-normalization/
PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._]*")

# The numbers of a file that change where its content does: inode, links, size and times.
type State = tuple[int, int, int, int, int]
NONE = (0, 0, 0, 0, 0)


@dataclass(frozen=True)
class Files:
    """The files of a folder of packages, by their relative paths: their states, and as far as they are known the sha256
    and the packages.
    """

    site: Path
    states: Mapping[str, State]
    digests: Mapping[str, str]
    packages: Mapping[str, str]

    @classmethod
    def of(cls, site: Path) -> "Files":
        """The files as they are now. What no RECORD has a hash of is hashed, but for bytecode."""
        states, digests, packages = dict(_states(str(site))), dict[str, str](), dict[str, str]()
        for record in [name for name in states if name.endswith(".dist-info/RECORD")]:
            entries = dict(HASHED.findall((site / record).read_text(errors="replace")))
            digests |= {name: edits.hex_digest(digest) for name, digest in entries.items() if name in states}
            packages |= dict.fromkeys(entries, record.partition("-")[0])
        others = (name for name in states.keys() - digests.keys() if not name.endswith(COMPILED))
        return cls(site, states, digests | {name: sha256(site / name) for name in others}, packages)

    def changed(self) -> list[str]:
        """The files whose state is another one by now, new ones, and those that are gone.

        Whoever makes or removes a link changes the state alone. The last of its times can't be set by anybody:
        https://man7.org/linux/man-pages/man7/inode.7.html
        """
        states = dict(_states(str(self.site)))
        names = states.keys() | self.states.keys()
        return sorted(name for name in names if states.get(name) != self.states.get(name))

    def check(self, names: Iterable[str]) -> None:
        """Raise EnvironmentMismatch for the first of these files that has another content, or is another file."""
        if name := next((name for name in names if not self._is_whole(name)), ""):
            package = self.packages.get(name, "")
            raise EnvironmentMismatch(
                f"the run has changed {name!a}, a file of packages that environments of this machine share",
                mend=identity.anew("local", package if PACKAGE.fullmatch(package) else ""),
            )

    def _is_whole(self, name: str) -> bool:
        with suppress(OSError):
            path = self.site / name
            is_same_file = path.stat().st_ino == self.states.get(name, NONE)[0]
            return is_same_file and self.digests.get(name) == sha256(path)
        return False


@contextmanager
def guarded(caller: Path, checkout: Path | None = None) -> Iterator[None]:
    """What runs inside the block changes no file of packages in the caller's environment, and none that a checkout has
    as a link.

    Bytecode that it writes into the caller's environment is removed. Raises EnvironmentMismatch where it has changed
    another file.
    """
    callers, linked = ([Files.of(site) for site in _sites(folder)] for folder in (caller, checkout))
    try:
        yield
    finally:
        for files in callers:
            changed = files.changed()
            for name in changed:
                if name.endswith(COMPILED):
                    (files.site / name).unlink(missing_ok=True)
            files.check(name for name in changed if not name.endswith(COMPILED))
        for files in linked:
            files.check(name for name in files.changed() if files.states.get(name, NONE)[1] > 1)


def _sites(checkout: Path | None) -> list[Path]:
    return list(checkout.glob(".venv/lib/python*/site-packages")) if checkout else []


def _states(folder: str, inside: str = "") -> Iterator[tuple[str, State]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():  # links too: what .venv shows stands elsewhere
                yield from _states(entry.path, f"{inside}{entry.name}/")
            elif entry.is_file():
                status = entry.stat()
                times = status.st_mtime_ns, status.st_ctime_ns
                yield f"{inside}{entry.name}", (status.st_ino, status.st_nlink, status.st_size, *times)
