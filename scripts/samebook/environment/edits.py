"""Edited packages: the code files of an installed package that are not those of its wheel, as its RECORD has them."""

import base64
import os
import re
from functools import cache
from pathlib import Path

from samebook.core.digest import sha256

# The path, the sha256 and the size of a code file. A package's own tests change no result.
CODE = re.compile(r"^(?!\.\./|[^,\n]*/tests/)([^,\n]+\.py),sha256=([^,\n]+),(\d+)$", re.MULTILINE)


# What Python imports, or runs at its start, from the folder of packages.
IMPORTED = (".py", ".pyc", ".so", ".pth")
# The part of a RECORD's lines below one name; neighbours of the same name are matched at once, for speed.
TOP = re.compile(rb"^([^/,\n]+)[/,][^\n]*\n?(?:\1[/,][^\n]*\n?)*", re.MULTILINE)
# make writes it, so that `python -m pip install` says `make add`.
PIP = "pip.py"
PIP_CONTENT = b'import os, sys; __name__ == "__main__" and os.execv(sys.prefix + "/bin/pip", ["pip", *sys.argv[1:]])\n'


def strays(site: Path, *, is_full: bool = False) -> dict[str, str]:
    """The sha256 of each file in a folder of packages that Python may import and no package has, by its path.

    A folder counts as its files do. With `is_full` those inside the folders of packages count as well.
    """
    records = list(site.glob("*.dist-info/RECORD"))
    names = frozenset[str]().union(*(_tops(record, record.stat().st_mtime_ns) for record in records))
    alone = [path for path in site.iterdir() if path.name not in names and not path.name.endswith(".dist-info")]
    paths = [file for path in alone for file in ([path] if path.is_file() else path.rglob("*"))]
    if is_full:
        own = {name for record in records for name in re.findall(r"^[^,\n]+", record.read_text(), re.MULTILINE)}
        paths = [path for path in site.rglob("*") if path.relative_to(site).as_posix() not in own]
    files = {path.relative_to(site).as_posix(): path for path in sorted(paths) if _is_imported(path)}
    digests = {name: sha256(path) for name, path in files.items()}
    return {name: digest for name, digest in digests.items() if (name, digest) != (PIP, sha256(PIP_CONTENT))}


def _is_imported(path: Path) -> bool:
    """Whether Python may import a file by its place; a cached module counts by its source."""
    return path.name.endswith(IMPORTED) and path.parent.name != "__pycache__" and path.is_file()


@cache
def _tops(record: Path, written: int) -> frozenset[str]:
    """The names below which a RECORD, written at this time, has files."""
    content = record.read_bytes() if written else b""
    return frozenset(map(os.fsdecode, TOP.findall(content)))


def of_package(record: Path, *, is_full: bool = False) -> dict[str, str]:
    """The sha256 of each edited code file of a package, by its path; `record` is the package's RECORD.

    A file is read where its size is another one, or it was written after the package was installed; with `is_full`
    every file is read. The image has fewer files than the wheel, and smaller libraries.
    """
    edits, site = dict[str, str](), f"{record.parent.parent}/"
    installed = record.stat().st_mtime_ns if record.is_file() else 0
    for name, expected, size in entries(record, installed):
        path = site + name
        try:
            status = os.stat(path)  # noqa: PTH116 - ten thousand files for each run, and pathlib takes twice as long
        except OSError:
            continue
        if (is_full or status.st_size != size or status.st_mtime_ns > installed) and (
            digest := sha256(Path(path))
        ) != hex_digest(expected):
            edits[name] = digest
    return edits


def file_state(path: Path) -> tuple[Path, tuple[int, ...]]:
    """A path, and the numbers of its file that change with the content: inode, size and times; () without a file."""
    try:
        status = path.stat()
    except OSError:
        return path, ()
    return path, (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


@cache
def entries(record: Path, installed: int) -> list[tuple[str, str, int]]:
    """The name, the digest in RECORD's form and the size of each code file of a package, by its RECORD of this time."""
    text = record.read_text() if installed else ""
    return [(name, digest, int(size)) for name, digest, size in CODE.findall(text)]


def hex_digest(digest: str) -> str:
    """The hex digits of a digest in RECORD's form: base64 without its end."""
    return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
