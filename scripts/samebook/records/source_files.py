"""The files of a checkout that a run may read at any time: their states, and the listing of a release image.

Git sees a checkout at one moment, and an image has no git. An edit changes a file's ctime, which no program can set.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from stat import S_ISREG

from samebook.core import uncommitted
from samebook.core.digest import sha256
from samebook.environment import machine

FOLDERS = ("environments", "notebooks", "scripts")
SHOWN = 12


def states(root: Path) -> dict[str, tuple[int, int]]:
    """The ctime in nanoseconds and the inode of each file, by its path from `root`."""
    return {name: (state.st_ctime_ns, state.st_ino) for name, state in _files(root)}


def edited(before: Mapping[str, tuple[int, int]], after: Mapping[str, tuple[int, int]]) -> list[str]:
    """The files whose state is another one, and those that came or went, sorted."""
    return sorted(name for name in {*before, *after} if before.get(name) != after.get(name))


def edited_since(root: Path, moment: int) -> list[str]:
    """The files that were changed after a moment, in nanoseconds since 1970, sorted."""
    return sorted(name for name, state in _files(root) if state.st_ctime_ns > moment)


def unlisted(root: Path) -> tuple[str, ...]:
    """A line for each file that is not as the image's listing says, and for each that it doesn't have."""
    if not machine.is_image():
        return ("nothing here shows which files are the commit's",)
    lines = machine.LISTING.read_text().splitlines()
    digests = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    names = {*digests, *(name for name, _ in _files(root, follows_links=True))}
    return shown((name for name in sorted(names) if _digest(root / name) != digests.get(name)), "is not the commit's")


def shown(names: Iterable[str], problem: str) -> tuple[str, ...]:
    """A line for each of the first names, and one for the others."""
    lines = [f"{name}: {problem}" for name in names]
    return (*lines[:SHOWN], *([f"{len(lines) - SHOWN} files more"] if len(lines) > SHOWN else []))


def _digest(path: Path) -> str | None:
    return sha256(path) if path.is_file() else None


def _files(root: Path, *, follows_links: bool = False) -> Iterator[tuple[str, os.stat_result]]:
    """The files, each with its state; a folder that links lead to in several ways, or around, is entered once.

    Links are followed where anything may be mounted. Elsewhere git holds the link alone, so that each file that a run
    reads behind one is recorded with the hash that it has then; and there may be millions.
    """
    entered = set[str]()
    for folder in FOLDERS:
        for path, folders, names in os.walk(root / folder, followlinks=follows_links):
            if (real := os.path.realpath(path)) in entered:
                folders.clear()
                continue
            entered.add(real)
            folders[:] = sorted(name for name in folders if not uncommitted.is_cache(name))
            for name in names:
                file = Path(path) / name
                with suppress(OSError):  # a link that leads nowhere
                    if S_ISREG((state := file.stat()).st_mode):
                        yield file.relative_to(root).as_posix(), state
