"""Environments of the local engine: each is made once on a machine, and shared by checkouts.

    python -P -m samebook.wheelhouse.shared link VIEW UV LOCK…
    python -P -m samebook.wheelhouse.shared keep VIEW NEW

An environment follows from its locks, Python and the platform, and stands under the digest of these in the user's
cache, else in the checkout. A checkout's .venv is a view of it: links to its packages, and the checkout's own code
beside them. make calls this before any package is installed.
"""

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import UsageError
from samebook.core.file_lock import hold
from samebook.environment import bytecode, edits, machine
from samebook.wheelhouse import seal
from samebook.wheelhouse.seal import Comparison

# Another form of environments has other digests.
FORM = 1
# Links to the views of an environment, which keep it.
VIEWS = f"{seal.NOTES}/views"
LOCK = ".lock"
# Bytes that a new environment may need.
LEAST_FREE = 2 << 30
# By these make takes no environment of the cache, or makes none there and compiles nothing: for a reproduction.
UNSHARED, UNCOMPILED = "SAMEBOOK_UNSHARED", "SAMEBOOK_UNCOMPILED"
# The exit code that asks make for the packages.
MISSING = 3
# How uv begins a command of an environment that may be moved, and the longest line that may stand there instead:
# https://man7.org/linux/man-pages/man2/execve.2.html
BEGINNING = re.compile(rb"#!/bin/sh\n'''exec' [^\n]*\n' '''\n")
LONGEST_LINE = 120


def folder() -> Path:
    """The folder of the environments that checkouts share."""
    return bytecode.folder().with_name("environments")


def of_view(view: Path) -> Path | None:
    """The shared environment that a view shows; None where it shows another one, or is none."""
    environment = Path(os.path.realpath(view / machine.SHOWN))
    return environment if environment.parent == Path(os.path.realpath(folder())) else None


def link(view: Path, uv: Path, locks: Iterable[Path]) -> int:
    """Show the environment of the locks in a view. Where there is none, or a damaged one, print the folder to make it
    in, and return MISSING; uv forgets what it has unpacked of damaged packages.
    """
    facts = [FORM, sys.version, sysconfig.get_platform(), platform.libc_ver(), [*map(sha256, locks)]]
    name, is_aside = sha256(json_bytes(facts)), UNCOMPILED in os.environ
    own = Path(".samebook", "environments").absolute()
    places = [own] if UNSHARED in os.environ else [folder(), own]
    for environment in (place / name for place in places):
        if not ((environment / seal.SEAL).is_file() and _add_view(environment, view)):
            continue
        if is_aside or not Comparison.of(environment).damages():
            show(environment, view)
            return 0
        sys.stderr.write(f"  damaged, and made again: {environment}\n")
        if packages := edits.in_full(edits.packages(environment)):
            subprocess.run([str(uv), "cache", "clean", "--quiet", *packages], check=False)
    place = own if is_aside else next((place for place in places if _has_room(place)), own)
    place.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(f"{place / f'.new-{name}-{os.getpid()}'}\n")
    return MISSING


def keep(view: Path, new: Path) -> None:
    """Seal a new environment, give it its name, and show it in a view. Of two that are made at once the first stays,
    unless it is damaged.
    """
    if UNCOMPILED not in os.environ:
        bytecode.fill(edits.packages(new))
    seal.write(new)
    environment, old = new.with_name(new.name.split("-")[1]), new.with_name(new.name.replace("new", "old", 1))
    with hold(new.with_name(LOCK)):
        if environment.exists() and Comparison.of(environment).damages():
            environment.rename(old)
        if not environment.exists():
            new.rename(environment)
    for path in (new, old):
        shutil.rmtree(path, ignore_errors=True)
    _add_view(environment, view)
    show(environment, view)


def show(environment: Path, view: Path) -> None:
    """Make a new virtual environment a view: links to the packages, and commands that start its own Python."""
    _link_all(edits.packages(environment), edits.packages(view))
    begin = _beginning(str(view.absolute() / "bin" / "python"))
    for source in (environment / "bin").iterdir():
        content = b"" if source.is_symlink() else source.read_bytes()
        target = view / "bin" / source.name
        if (beginning := BEGINNING.match(content)) and not target.exists():
            target.write_bytes(begin + content[beginning.end() :])
            target.chmod(0o755)
    _link_all(environment / "bin", view / "bin")
    _link_all(environment, view)
    (view / machine.SHOWN).symlink_to(environment)


def _beginning(python: str) -> bytes:
    """The beginning of a command that this Python runs: where its path is longer than a line may be, through sh, as uv
    does it.
    """
    line = f"#!{python}\n"
    through_sh = f"#!/bin/sh\n'''exec' {shlex.quote(python)} \"$0\" \"$@\"\n' '''\n"
    return os.fsencode(line if len(os.fsencode(line)) < LONGEST_LINE else through_sh)


def unused() -> list[Path]:
    """The environments that no checkout has shown lately and no process uses, and what killed makes have left."""
    now = time.time()
    left = [path for path in folder().glob(".*-*") if path.lstat().st_mtime < now - bytecode.DAY]
    sealed = (path.parents[1] for path in folder().glob(f"[!.]*/{seal.SEAL}"))
    limit = now - bytecode.UNUSED_DAYS * bytecode.DAY
    return [*left, *(path for path in sealed if not (_is_shown(path, limit) or _is_loaded(path)))]


def remove(environment: Path) -> None:
    """Remove an environment that is unused still: no checkout begins to show it meanwhile."""
    old = environment.with_name(f".old-{environment.name.lstrip('.')}-{os.getpid()}")
    with hold(folder() / LOCK):
        if environment in unused():
            environment.rename(old)
    shutil.rmtree(old, ignore_errors=True)


def size(environment: Path) -> int:
    """The bytes that go with an environment: links to files of uv's cache are none of them."""
    statuses = (path.lstat() for path in environment.rglob("*") if path.is_symlink() or not path.is_dir())
    return sum(status.st_size for status in statuses if status.st_nlink == 1)


def _has_room(place: Path) -> bool:
    with suppress(OSError):
        place.mkdir(parents=True, exist_ok=True)
        return os.access(place, os.W_OK | os.X_OK) and shutil.disk_usage(place).free > LEAST_FREE
    return False


def _add_view(environment: Path, view: Path) -> bool:
    """Note that a view shows an environment, which keeps it; whether that is there still, and takes the note."""
    path = str(view.absolute())
    try:
        with hold(environment.with_name(LOCK)):
            (environment / VIEWS).mkdir(exist_ok=True)
            os.utime(environment / VIEWS)
            with suppress(FileExistsError):
                (environment / VIEWS / sha256(path.encode())).symlink_to(path)
    except (OSError, UsageError):  # removed meanwhile, or a cache that can't be written
        return False
    return True


def _is_shown(environment: Path, limit: float) -> bool:
    """Whether a view shows an environment, or one has begun to after a time."""
    views = environment / VIEWS
    if views.is_dir() and views.stat().st_mtime > limit:
        return True
    return any(Path(os.path.realpath(view / machine.SHOWN)) == environment.resolve() for view in views.glob("*"))


def _is_loaded(environment: Path) -> bool:
    """Whether a process has loaded a library from an environment, as far as this user may know."""
    start = f"{environment.resolve()}/".encode()
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            if start in maps.read_bytes():
                return True
    return False


def _link_all(source: Path, target: Path) -> None:
    """Link what a folder has and another one has not, except the notes of tools."""
    for path in source.iterdir():
        if not (path.name.startswith(".") or os.path.lexists(target / path.name)):
            (target / path.name).symlink_to(path)


if __name__ == "__main__":
    verb, shown, place, *others = sys.argv[1:]
    if verb == "link":
        sys.exit(link(Path(shown), Path(place), map(Path, others)))
    keep(Path(shown), Path(place))
