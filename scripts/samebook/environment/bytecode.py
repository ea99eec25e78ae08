"""The bytecode of installed packages: compiled once on a machine for each wheel, and copied into each environment.

    python -P -m samebook.environment.bytecode .venv/lib/python3.13/site-packages [another folder of packages]

The user's cache has an archive for each wheel, named after the hashes of the wheel's code. Only code that is as its
RECORD says is compiled for it, and never by what a notebook runs. Environments get copies: what a notebook does to its
own changes no other.
"""

import importlib.util
import marshal
import os
import struct
import sys
import time
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Set
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from samebook.core import workspace
from samebook.core.digest import json_bytes, sha256, stamp
from samebook.core.errors import UsageError
from samebook.environment import edits, machine

DAY = 24 * 3600
# An archive that no new environment has asked for in so many days is removed.
UNUSED_DAYS = 30
ARCHIVE = ".zip"
CACHED = "__pycache__"
TAG = sys.implementation.cache_tag
# Another Python's bytecode, or another form of the archive, has other names.
VERSION = f"1 {TAG} {importlib.util.MAGIC_NUMBER.hex()}"
# What reading an archive raises that was cut or edited.
DAMAGES = (zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError)


def folder() -> Path:
    """The folder of the archives."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    # https://specifications.freedesktop.org/basedir-spec/latest/: a relative path is to be ignored.
    return (cache if cache.is_absolute() else Path.home() / ".cache") / "samebook" / "bytecode"


def fill(site: Path, like: Path | None = None) -> None:
    """Write the bytecode of the packages in a folder, on all cores. Where it can't be written, Python compiles what it
    imports.

    A folder for one run gets only that of modules which have been imported in the folder `like`, as far as the file
    system tells.
    """
    used = _used(like) if like else frozenset[str]()
    records = sorted(site.glob("*.dist-info/RECORD"), key=lambda path: path.stat().st_size, reverse=True)
    with ProcessPoolExecutor(machine.cores()) as pool:
        list(pool.map(partial(_fill_package, used=used), records))


def _used(site: Path) -> frozenset[str]:
    """The modules in a folder of packages, by their relative paths, whose bytecode has been read since it was written;
    none where the file system does not keep the time of a file's last read.
    """
    files = ((path, path.stat()) for path in site.glob(f"**/{CACHED}/*.{TAG}.pyc"))
    read = (path for path, status in files if status.st_atime_ns > status.st_mtime_ns)
    modules = (path.parents[1] / path.name.replace(f".{TAG}.pyc", ".py") for path in read)
    return frozenset(module.relative_to(site).as_posix() for module in modules)


def _fill_package(record: Path, used: Set[str] = frozenset()) -> None:
    """Write the bytecode of a package, from the archive of its wheel, which is made where it is missing or damaged."""
    site, installed = record.parent.parent, record.stat().st_mtime_ns
    entries = edits.entries(record, installed)
    files = {name: (digest, size) for name, digest, size in entries if name.endswith(".py")}
    archive = folder() / f"{sha256(json_bytes([VERSION, files]))}{ARCHIVE}"
    codes = _read(archive)
    if codes is None:
        codes = _compiled(site, {name: digest for name, (digest, _) in files.items()})
        if codes:
            with suppress(OSError, UsageError):  # a cache that is full, or can't be written
                _write(archive, codes)
    folders = {name.rpartition("/")[0] for name in codes}
    inside = {name for name in folders if (site / name).is_dir() and (site / name).resolve().is_relative_to(site)}
    with suppress(OSError):
        for name in inside:
            (site / name / CACHED).mkdir(exist_ok=True)
        for name, code in codes.items():
            if (not used or name in used) and name in files and name.rpartition("/")[0] in inside:
                _install(site / name, code, files[name][1], installed)


def _read(archive: Path) -> dict[str, bytes] | None:
    """The bytecode in an archive, by the names of the files; None where it is missing or damaged."""
    try:
        with zipfile.ZipFile(archive) as content:
            codes = {name: content.read(name) for name in content.namelist()}
    except DAMAGES:
        return None
    with suppress(OSError):
        if time.time() - archive.stat().st_mtime > DAY:
            os.utime(archive)
    return codes


def _compiled(site: Path, digests: Mapping[str, str]) -> dict[str, bytes]:
    """The bytecode of files, by their names, without what no Python compiles. Empty where a file is not as its RECORD
    says: nothing is kept of such a package.
    """
    codes = dict[str, bytes]()
    for name, digest in digests.items():
        content = (site / name).read_bytes() if (site / name).is_file() else b""
        if sha256(content) != edits.hex_digest(digest):
            return {}
        with suppress(SyntaxError, ValueError, RecursionError, MemoryError), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            codes[name] = marshal.dumps(compile(content, name, "exec", dont_inherit=True, optimize=0))
    return codes


def _write(archive: Path, codes: Mapping[str, bytes]) -> None:
    """Write an archive, as a whole or not at all. Of two that are made at once, which say the same, the later stays."""
    with workspace.replacing(archive) as temporary, zipfile.ZipFile(temporary, "w") as content:
        for name, code in codes.items():
            content.writestr(name, code)


def _install(path: Path, code: bytes, size: int, installed: int) -> None:
    """Write the bytecode of a file, unless the file is gone, or was edited: has another size, or is younger than the
    installation.

    Python takes bytecode by the size and the time of the source: https://docs.python.org/3/reference/import.html
    """
    status = path.stat() if path.is_file() else None
    if status is None or status.st_size != size or status.st_mtime_ns > installed:
        return
    numbers = struct.pack("<LLL", 0, int(status.st_mtime) & 0xFFFFFFFF, size & 0xFFFFFFFF)
    content = importlib.util.MAGIC_NUMBER + numbers + code
    target = path.parent / CACHED / f"{path.stem}.{TAG}.pyc"
    try:
        with target.open("xb") as stream:
            stream.write(content)
    except FileExistsError:  # Python's own, which a program may read just now; or a part, which killed make has left
        if target.stat().st_size != len(content):
            workspace.write_whole(target, content)
    except OSError:
        target.unlink(missing_ok=True)
        raise


@contextmanager
def guarded() -> Iterator[None]:
    """The archives are inside the block what they were before it: whatever it adds or changes is removed after it.

    Nobody can set the time of a change that is compared: https://man7.org/linux/man-pages/man7/inode.7.html
    """
    before = _states()
    try:
        yield
    finally:
        for path, state in _states().items():
            if before.get(path) != state:
                path.unlink(missing_ok=True)


def _states() -> dict[Path, tuple[int, ...]]:
    return {path: stamp(path) for path in folder().glob(f"*{ARCHIVE}")}


def unused() -> list[Path]:
    """The archives that no new environment has asked for lately, and what killed programs left of some."""
    limit, day = time.time() - UNUSED_DAYS * DAY, time.time() - DAY
    old = [path for path in folder().glob(f"*{ARCHIVE}") if path.lstat().st_mtime < limit]
    return [*old, *(path for path in folder().glob(f".*{ARCHIVE}.*") if path.lstat().st_mtime < day)]


if __name__ == "__main__":
    fill(*(Path(name).resolve() for name in sys.argv[1:3]))
