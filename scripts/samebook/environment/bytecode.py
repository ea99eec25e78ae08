"""The bytecode of installed packages: compiled once on a machine for each wheel, and copied into each environment.

    python -P -m samebook.environment.bytecode .venv/lib/python3.13/site-packages

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
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import UsageError
from samebook.core.workspace import replacing
from samebook.environment import edits, machine

DAY = 24 * 3600
# An archive that no new environment has asked for in so many days is removed.
UNUSED_DAYS = 30
ARCHIVE = ".zip"
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


def fill(site: Path) -> None:
    """Write the bytecode of the packages in a folder, on all cores. Where it can't be written, Python compiles what it
    imports.
    """
    records = sorted(site.glob("*.dist-info/RECORD"), key=lambda path: path.stat().st_size, reverse=True)
    with ProcessPoolExecutor(machine.cores()) as pool:
        list(pool.map(_fill_package, records))


def _fill_package(record: Path) -> None:
    """Write the bytecode of a package, from the archive of its wheel, which is made where it is missing or damaged."""
    site, installed = record.parent.parent, record.stat().st_mtime_ns
    files = {name: (digest, size) for name, digest, size in edits.entries(record, installed)}
    archive = folder() / f"{sha256(json_bytes([VERSION, files]))}{ARCHIVE}"
    codes = _read(archive)
    if codes is None:
        codes = _compiled(site, {name: digest for name, (digest, _) in files.items()})
        if codes:
            with suppress(OSError, UsageError):  # a cache that is full, or can't be written
                _write(archive, codes)
    folders = {path for path in {(site / name).parent for name in files} if path.resolve().is_relative_to(site)}
    with suppress(OSError):
        for name in files.keys() & codes.keys():
            if (site / name).parent in folders:
                _install(site / name, codes[name], files[name][1], installed)


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
    with replacing(archive) as temporary, zipfile.ZipFile(temporary, "w") as content:
        for name, code in codes.items():
            content.writestr(name, code)


def _install(path: Path, code: bytes, size: int, installed: int) -> None:
    """Write the bytecode of a file, unless it was edited: it has another size, or is younger than the installation.

    Python takes bytecode by the size and the time of the source: https://docs.python.org/3/reference/import.html
    """
    status = path.stat()
    if status.st_size != size or status.st_mtime_ns > installed:
        return
    target = path.parent / "__pycache__" / f"{path.stem}.{TAG}.pyc"
    temporary = target.with_suffix(f".{os.getpid()}")
    target.parent.mkdir(exist_ok=True)
    numbers = struct.pack("<LLL", 0, int(status.st_mtime) & 0xFFFFFFFF, size & 0xFFFFFFFF)
    temporary.write_bytes(importlib.util.MAGIC_NUMBER + numbers + code)
    temporary.replace(target)


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
    return {path: edits.file_state(path)[1] for path in folder().glob(f"*{ARCHIVE}")}


def unused() -> list[Path]:
    """The archives that no new environment has asked for lately, and what killed programs left of some."""
    limit, day = time.time() - UNUSED_DAYS * DAY, time.time() - DAY
    old = [path for path in folder().glob(f"*{ARCHIVE}") if path.lstat().st_mtime < limit]
    return [*old, *(path for path in folder().glob(f".*{ARCHIVE}.*") if path.lstat().st_mtime < day)]


if __name__ == "__main__":
    fill(Path(sys.argv[1]).resolve())
