"""The template of projects, put together from a wheel of samebook: what copier renders."""

from pathlib import Path
from zipfile import ZipFile

from samebook.core import code, subcommand
from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.projects import wheel_file

FOLDER = "samebook/projects/"


def own_wheel(folder: Path) -> Path:
    """The wheel of this samebook, written into a folder: of the installed files, or of a checkout's commit."""
    checkout = code.FOLDER.parents[1]
    if (code.FOLDER / "projects" / "files").is_dir():
        from importlib import metadata

        path = folder / f"samebook-{metadata.version('samebook')}-py3-none-any.whl"
        wheel_file.write(path, wheel_file.installed())
        return path
    if not (checkout / "scripts" / "package.mk").exists() or not (checkout / "Makefile").exists():
        raise UsageError("this samebook has no template of projects", mend="pip install a wheel of it: make wheel")
    subcommand.make(Workspace(checkout), "wheel", ENGINE="local", DIST=str(folder))
    return next(folder.glob("samebook-*.whl"))


def version(wheel: Path) -> str:
    """The version in a wheel's name."""
    return wheel.name.split("-")[1]


def assemble(wheel: Path, folder: Path) -> None:
    """Write the template that a wheel holds into a folder: what is rendered, the shared files, and the wheel."""
    with ZipFile(wheel) as archive:
        for name in archive.namelist():
            for part, into in (("template/", folder), ("files/", folder / "project")):
                if name.startswith(FOLDER + part):
                    _write(into / name.removeprefix(FOLDER + part), archive.read(name))
    _write(folder / "project" / "scripts" / wheel.name, wheel.read_bytes())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    # A wheel keeps no modes: what names its program can be run.
    path.chmod(0o755 if content.startswith(b"#!") else 0o644)
