"""The seal of a shared environment: the sha256 of each of its files, by which one that was edited, added or removed is
found.

What a package's RECORD says of a file goes into the seal, and not what the file holds: uv's cache, from which it was
linked, may have an edit. Files whose states are those of their last reading are not read again.
"""

import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samebook.core.digest import sha256
from samebook.core.workspace import write_whole
from samebook.environment import edits

# The folder of an environment with what is known of it: the seal, and the states of the files when they were last read.
NOTES = ".samebook"
SEAL, STATES = (f"{NOTES}/{name}.json" for name in ("seal", "states"))

type State = list[int]


def write(environment: Path) -> None:
    """Seal an environment whose packages were just installed."""
    site = edits.packages(environment)
    start = site.relative_to(environment).as_posix()
    seal = {
        f"{start}/{name}": edits.hex_digest(digest)
        for record in site.glob("*.dist-info/RECORD")
        for name, digest, _ in edits.entries(record, record.stat().st_mtime_ns)
    }
    seal |= {name: _digest(environment / name) for name in _states(environment).keys() - seal.keys()}
    write_whole(environment / SEAL, json.dumps(seal).encode())


@dataclass(frozen=True)
class Comparison:
    """An environment compared with its seal: the states of its files, those that were added or are gone, and those that
    have to be read.
    """

    environment: Path
    seal: Mapping[str, str]
    states: Mapping[str, State]
    strays: list[str]
    unread: list[str]

    @classmethod
    def of(cls, environment: Path) -> "Comparison":
        """The comparison before a file is read. Caches of code that the seal has not are removed first: nobody knows
        who wrote them, and whoever reads them makes them again.
        """
        seal, known = (_read(environment / name) for name in (SEAL, STATES))
        states = _states(environment)
        for name in [name for name in states.keys() - seal.keys() if "/__pycache__/" in name]:
            with suppress(PermissionError):
                (environment / name).unlink(missing_ok=True)
                del states[name]
        unread = sorted(name for name in states.keys() & seal.keys() if known.get(name) != states[name])
        return cls(environment, seal, states, sorted(states.keys() ^ seal.keys()), unread)

    def damages(self) -> list[str]:
        """The files that are not as the seal says: added, gone or edited."""
        with ThreadPoolExecutor() as pool:
            digests = pool.map(_digest, (self.environment / name for name in self.unread))
            edited = [name for name, digest in zip(self.unread, digests, strict=True) if digest != self.seal[name]]
        if self.unread and not (edited or self.strays):
            with suppress(OSError):  # the next comparison reads them again
                write_whole(self.environment / STATES, json.dumps(self.states).encode())
        return sorted((*self.strays, *edited))


def _read(path: Path) -> dict[str, Any]:
    """The JSON object in a file; {} where the file is missing or damaged."""
    with suppress(OSError, ValueError):
        if isinstance(content := json.loads(path.read_bytes()), dict):
            return content
    return {}


def _digest(path: Path) -> str:
    """The sha256 of a file, or where a link leads; "" where neither can be read."""
    with suppress(OSError):
        return f"-> {path.readlink()}" if path.is_symlink() else sha256(path)
    return ""


def _states(environment: Path) -> dict[str, State]:
    """The numbers of each file that change with its content, by its path. Nobody can set the last of its times:
    https://man7.org/linux/man-pages/man7/inode.7.html
    """
    states, folders = dict[str, State](), [""]
    while folders:
        inside = folders.pop()
        with os.scandir(f"{environment}/{inside}") as entries:
            for entry in entries:
                name = f"{inside}{entry.name}"
                if not entry.is_dir(follow_symlinks=False):
                    status = entry.stat(follow_symlinks=False)
                    states[name] = [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
                elif name != NOTES:
                    folders.append(f"{name}/")
    return states
