"""Edited packages: the code files of an installed package that are not those of its wheel, as its RECORD has them."""

import base64
import os
import re
from functools import cache
from pathlib import Path

from samebook.core.digest import sha256

# The path, the sha256 and the size of a code file. A package's own tests change no result.
CODE = re.compile(r"^(?!\.\./|[^,\n]*/tests/)([^,\n]+\.py),sha256=([^,\n]+),(\d+)$", re.MULTILINE)


# Files that Python runs at its start, whatever is imported later.
STARTUP = re.compile(r".+\.pth|(site|user)customize\.py")


def of_startup(site: Path) -> dict[str, str]:
    """The sha256 of each file in a folder of packages that Python runs at its start, and that no package has."""
    names = sorted(path.name for path in site.iterdir() if STARTUP.fullmatch(path.name))
    records = [b"\n" + record.read_bytes() for record in site.glob("*.dist-info/RECORD")] if names else []
    return {
        name: sha256(site / name) for name in names if not any(f"\n{name},".encode() in record for record in records)
    }


def of_package(record: Path, *, is_full: bool = False) -> dict[str, str]:
    """The sha256 of each edited code file of a package, by its path; `record` is the package's RECORD.

    A file is read where its size is another one, or it was written after the package was installed; with `is_full`
    every file is read. The image has fewer files than the wheel, and smaller libraries.
    """
    edits, site = dict[str, str](), f"{record.parent.parent}/"
    installed = record.stat().st_mtime_ns if record.is_file() else 0
    for name, expected, size in _entries(record, installed):
        path = site + name
        try:
            status = os.stat(path)  # noqa: PTH116 - ten thousand files for each run, and pathlib takes twice as long
        except OSError:
            continue
        if (is_full or status.st_size != size or status.st_mtime_ns > installed) and (
            digest := sha256(Path(path))
        ) != _hex(expected):
            edits[name] = digest
    return edits


@cache
def _entries(record: Path, installed: int) -> list[tuple[str, str, int]]:
    text = record.read_text() if installed else ""
    return [(name, digest, int(size)) for name, digest, size in CODE.findall(text)]


def _hex(digest: str) -> str:
    """The hex digits of a digest in RECORD's form: base64 without its end."""
    return base64.urlsafe_b64decode(digest + "=" * (-len(digest) % 4)).hex()
