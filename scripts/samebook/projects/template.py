"""The template of projects, put together from a wheel of samebook: what copier renders."""

import re
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile

from samebook.core import code, subcommand
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.projects import wheel_file
from samebook.projects.answers import OF_TEMPLATE

FOLDER = "samebook/projects/"


def own_wheel(folder: Path) -> Path:
    """The wheel of this samebook, written into a folder: of the installed files, or of a checkout's commit."""
    checkout = code.FOLDER.parents[1]
    if (code.FOLDER / "projects" / "files").is_dir():
        from importlib import metadata

        path = folder / name(metadata.version("samebook"))
        wheel_file.write(path, wheel_file.installed())
        return path
    if not (checkout / "scripts" / "package.mk").exists() or not (checkout / "Makefile").exists():
        raise UsageError("this samebook has no template of projects", mend="pip install 'samebook[new]'")
    subcommand.make(Workspace(checkout), "wheel", ENGINE="local", DIST=str(folder))
    return next(folder.glob("samebook-*.whl"))


def given_wheel(path: Path, folder: Path) -> Path:
    """The wheel in a file, written into a folder under its own name. Raises UsageError where it is not samebook's."""
    mend = "make update WHEEL=../samebook/dist/samebook-….whl"
    if not path.is_file():
        raise UsageError(f"there is no file {path}; expected a wheel of samebook, as make wheel writes it", mend=mend)
    try:
        files = wheel_file.contents(path)
    except (BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise UsageError(f"{path} can't be read: {error}; expected a wheel of samebook", mend=mend) from None
    notes = [content.decode(errors="replace") for file, content in files.items() if _is_metadata(file)]
    version = re.fullmatch(r"Name: samebook\nVersion: (\d[a-z0-9.+]*)", _heading(notes[0])) if len(notes) == 1 else None
    if version is None or f"{FOLDER}template/copier.yml" not in files:
        raise UsageError(f"{path} is no wheel of samebook with a template of projects", mend=mend)
    copy = folder / name(version[1])
    copy.write_bytes(path.read_bytes())
    return copy


def name(version: str) -> str:
    """The name of samebook's wheel of a version."""
    return f"samebook-{version}-py3-none-any.whl"


def version(wheel: Path) -> str:
    """The version in a wheel's name."""
    return wheel.name.split("-")[1]


def age(version: str) -> tuple[object, int]:
    """What versions are ordered by: the release, then the time of the commit; 0 where a version names none."""
    from packaging.version import InvalidVersion, Version

    try:
        release = Version(version)
    except InvalidVersion:
        raise UsageError(f"{version!r} is no version of samebook", mend="make wheel") from None
    time = (release.local or "").partition(".")[0]
    return Version(release.public), int(time) if time.isdigit() else 0


def render(wheel: Path, answers: Mapping[str, str], folder: Path) -> None:
    """Write the project of a wheel and these answers into a folder.

    Raises UsageError for a wheel whose template can't be rendered, or that has no such example.
    """
    import copier
    from copier.errors import CopierError
    from jinja2 import TemplateError

    template = folder.with_name(f"{folder.name}-template")
    assemble(wheel, template)
    data = {**answers, "version": version(wheel)}
    try:
        copier.run_copy(str(template), folder, data=data, defaults=True, quiet=True)
    except (CopierError, TemplateError, ValueError) as error:
        raise UsageError(f"the template in {wheel.name} can't be rendered: {error}", mend="make wheel") from error
    example = answers["example"]
    if not _unpack(wheel, f"examples/{example}/", folder) and example not in OF_TEMPLATE:
        raise UsageError(
            f"{wheel.name} has no example {example!r}", mend="make update WHEEL=../samebook/dist/samebook-….whl"
        )


def assemble(wheel: Path, folder: Path) -> None:
    """Write the template that a wheel holds into a folder: what is rendered, the shared files, and the wheel."""
    for part, into in (("template/", folder), ("files/", folder / "project")):
        _unpack(wheel, part, into)
    _write(folder / "project" / "scripts" / wheel.name, wheel.read_bytes())


def contents(wheel: Path, part: str = "") -> dict[str, bytes]:
    """What a wheel has for projects, or in a folder of that, by name."""
    folder = FOLDER + part
    with ZipFile(wheel) as archive:
        files = [file for file in archive.namelist() if file.startswith(folder) and not file.endswith("/")]
        return {file.removeprefix(folder): archive.read(file) for file in files}


def _unpack(wheel: Path, part: str, into: Path) -> int:
    """Write what a wheel has in a folder of its projects into another; returns how many files."""
    files = contents(wheel, part)
    for file, content in files.items():
        if ".." in PurePosixPath(file).parts:  # a stranger's wheel
            raise UsageError(f"{wheel.name} has a file outside of its folder: {part}{file}", mend="make wheel")
        _write(into / file, content)
    return len(files)


def _is_metadata(file: str) -> bool:
    return file.count("/") == 1 and file.endswith(".dist-info/METADATA")


def _heading(metadata: str) -> str:
    """The lines of a package's metadata with its name and its version."""
    return "\n".join(line for line in metadata.splitlines() if line.startswith(("Name: ", "Version: ")))


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    # A wheel keeps no modes: what names its program can be run.
    path.chmod(0o755 if content.startswith(b"#!") else 0o644)
