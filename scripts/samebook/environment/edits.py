"""Edited packages: the files of an installed package that are not those of its wheel, as its RECORD has them."""

import base64
import os
import re
from collections.abc import Container, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path

from samebook.core.digest import sha256

# The path, the sha256 and the size of a file: code, compiled or not, and data, which a notebook may load. A package's
# tests change no result.
FILE = re.compile(r"^(?!\.\./|[^,\n]*/tests/)([^,\n]+),sha256=([^,\n]+),(\d+)$", re.MULTILINE)
# What an installer writes into the folder of notes about a package.
NOTES = re.compile(r"\.dist-info/[^/]+$")
# A library, which the image has without what only debuggers read.
LIBRARY = re.compile(r"\.so\b")
# What Python imports, or runs at its start, from the folder of packages.
IMPORTED = (".py", ".pyc", ".so", ".pth")
# The part of a RECORD's lines below one name; neighbours of the same name are matched at once, for speed.
TOP = re.compile(rb"^([^/,\n]+)[/,][^\n]*\n?(?:\1[/,][^\n]*\n?)*", re.MULTILINE)
# make writes it, so that `python -m pip install` says `make add`.
PIP = "pip.py"
PIP_CONTENT = b'import os, sys; __name__ == "__main__" and os.execv(sys.prefix + "/bin/pip", ["pip", *sys.argv[1:]])\n'


def packages(environment: Path) -> Path:
    """The folder of packages of a virtual environment."""
    return next(environment.glob("lib/python*/site-packages"))


def distributions(site: Path) -> Iterator[tuple[Path, str, str]]:
    """The folder of notes, the name and the version of each package in a folder of packages."""
    for path in sorted(site.glob("*.dist-info")):
        name, _, version = path.name.removesuffix(".dist-info").rpartition("-")
        yield path, name, version


def normal(name: str) -> str:
    """A package's name in the form in which equal ones are equal."""
    return re.sub(r"[-_.]+", "-", name).lower()


def in_full(site: Path, names: Container[str] | None = None, *, is_image: bool = False) -> dict[str, list[str]]:
    """The edited files of each package in a folder of packages that has some, by normalised name; all are read.

    Only packages of these `names` are looked at, where some are given.
    """
    found = {normal(name): path / "RECORD" for path, name, _ in distributions(site)}
    records = {name: record for name, record in found.items() if names is None or name in names}
    with ThreadPoolExecutor() as pool:
        files = pool.map(partial(of_package, is_full=True, is_image=is_image), records.values())
        return {name: sorted(edited) for name, edited in zip(records, files, strict=True) if edited}


def strays(site: Path, packages: Container[str], *, is_full: bool = False) -> dict[str, str]:
    """The sha256 of each file in a folder of packages that Python may import and none of these packages has, by path.

    `packages` are folders of notes, as numpy-2.5.5.dist-info. A folder counts as its files do. With `is_full` those
    inside the folders of packages count as well.
    """
    records = [record for record in site.glob("*.dist-info/RECORD") if record.parent.name in packages]
    names = frozenset[str]().union(*(_tops(record, record.stat().st_mtime_ns) for record in records))
    alone = [path for path in site.iterdir() if path.name not in names and not path.name.endswith(".dist-info")]
    paths = [file for path in alone for file in ([str(path)] if path.is_file() else _imported(path))]
    own = set[str]()
    if is_full:
        own = {name for record in records for name in re.findall(r"^[^,\n]+", record.read_text(), re.MULTILINE)}
        paths = _imported(site)
    files = {path.removeprefix(f"{site}/"): Path(path) for path in sorted(paths) if path.endswith(IMPORTED)}
    digests = {name: sha256(path) for name, path in files.items() if name not in own and path.is_file()}
    return {name: digest for name, digest in digests.items() if (name, digest) != (PIP, sha256(PIP_CONTENT))}


def _imported(folder: Path) -> list[str]:
    """The paths below a folder that Python may import by their place; a cached module counts by its source."""
    walk = os.walk(folder, followlinks=True)  # .venv shows packages through links
    places = ((place, names) for place, _, names in walk if not place.endswith("/__pycache__"))
    return [f"{place}/{name}" for place, names in places for name in names if name.endswith(IMPORTED)]


@cache
def _tops(record: Path, written: int) -> frozenset[str]:
    """The names below which a RECORD, written at this time, has files."""
    content = record.read_bytes() if written else b""
    return frozenset(map(os.fsdecode, TOP.findall(content)))


def of_package(record: Path, *, is_full: bool = False, is_image: bool = False) -> dict[str, str]:
    """The sha256 of each edited file of a package, by its path, "" for one that is gone; `record` is its RECORD.

    A file is read where its size is another one, or it was written after the package was installed; with `is_full`
    every file is read. The image has fewer files than the wheel, and smaller libraries.
    """
    edits, site = dict[str, str](), f"{record.parent.parent}/"
    installed = record.stat().st_mtime_ns if record.is_file() else 0
    for name, expected, size in entries(record, installed):
        path = site + name
        if is_image and LIBRARY.search(name):
            continue
        try:
            status = os.stat(path)  # noqa: PTH116 - ten thousand files for each run, and pathlib takes twice as long
        except OSError:
            edits |= {} if is_image else {name: ""}
            continue
        if (is_full or status.st_size != size or status.st_mtime_ns > installed) and (
            digest := sha256(Path(path))
        ) != hex_digest(expected):
            edits[name] = digest
    return edits


@cache
def entries(record: Path, installed: int) -> list[tuple[str, str, int]]:
    """The path, the sha256 in RECORD's form and the size of each file that a RECORD, written at this time, has."""
    text = record.read_text() if installed else ""
    files = (entry for entry in FILE.findall(text) if not NOTES.search(entry[0]))
    return [(name, digest, int(size)) for name, digest, size in files]


def hex_digest(digest: str) -> str:
    """The hex digits of a digest in RECORD's form: base64 without its end."""
    return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
