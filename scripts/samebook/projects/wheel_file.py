"""The file of samebook's wheel: the same bytes from what the build made, and from the installed package.

Nothing in it is compressed, since each version of zlib compresses otherwise. `python wheel_file.py WHEEL` writes a
wheel in this form.
"""

import base64
import hashlib
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path, PurePosixPath
from zipfile import ZIP_STORED, ZipFile, ZipInfo

FIRST_YEAR = (1980, 1, 1, 0, 0, 0)
# What installers add to a package's own notes.
OF_INSTALLERS = {"INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_build.json", "uv_cache.json"}


def contents(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel, by name, but its list of them."""
    with ZipFile(wheel) as archive:
        names = (name for name in archive.namelist() if not name.endswith(("/", ".dist-info/RECORD")))
        return {name: archive.read(name) for name in names}


def installed() -> dict[str, bytes]:
    """The files that samebook's wheel had, by name, read from where it is installed."""
    files = [file for file in metadata.distribution("samebook").files or () if _is_own(file)]
    return {file.as_posix(): file.locate().read_bytes() for file in files}  # pyrefly: ignore


def write(wheel: Path, files: Mapping[str, bytes]) -> None:
    """Write a wheel with these files, and the list of their hashes."""
    notes = next(name.partition("/")[0] for name in files if name.endswith(".dist-info/METADATA"))
    lines = [f"{name},sha256={_digest(content)},{len(content)}" for name, content in sorted(files.items())]
    record = f"{notes}/RECORD"
    listed = {**dict(sorted(files.items())), record: "\n".join([*lines, f"{record},,", ""]).encode()}
    with ZipFile(wheel, "w", ZIP_STORED) as archive:
        for name, content in listed.items():
            entry = ZipInfo(name, FIRST_YEAR)
            entry.external_attr, entry.create_system = 0o100644 << 16, 3
            archive.writestr(entry, content)


def _is_own(file: PurePosixPath) -> bool:
    is_note = file.parent.name.endswith(".dist-info")
    return ".." not in file.parts and file.suffix != ".pyc" and not (is_note and file.name in OF_INSTALLERS)


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")


if __name__ == "__main__":
    write(Path(sys.argv[1]), contents(Path(sys.argv[1])))
