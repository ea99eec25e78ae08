"""The imports of a notebook: the packages that the environment lacks, and the modules that lie beside the notebook."""

import ast
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from samebook.adoption.code import cells
from samebook.core.errors import nearest
from samebook.environment import packages

# What calls of other packages need besides, by the name of the call, as their own pages say.
NEEDED = {
    "read_html": "lxml",
    "read_xml": "lxml",
    **dict.fromkeys(("read_excel", "to_excel", "ExcelFile", "ExcelWriter"), "openpyxl"),
    **dict.fromkeys(("read_hdf", "to_hdf", "HDFStore"), "tables"),
    **dict.fromkeys(("tqdm_notebook", "tnrange"), "ipywidgets"),
}
# What a run has without any package: samebook itself, and what IPython calls a module.
OWN = ("samebook", "__future__", "__main__")
RUN = re.compile(r"^\s*%run\s+(?:-\w+\s+)*(\S+\.py)\b", re.MULTILINE)


@dataclass(frozen=True)
class Helper:
    """A module of the notebook's own project: its file, or its package's folder, and the files that come along."""

    path: Path
    files: tuple[Path, ...]

    @property
    def code(self) -> list[str]:
        """The text of its modules."""
        return [file.read_text("utf-8", "replace") for file in self.files if file.suffix == ".py"]


@dataclass(frozen=True)
class Imports:
    """What a notebook imports: wanted packages, those that nobody here knows by their module, and its own modules.

    `notes` tell of versions and unknown names.
    """

    wanted: tuple[str, ...]
    unknown: tuple[str, ...]
    helpers: tuple[Helper, ...]
    notes: tuple[str, ...]


def modules(texts: Iterable[str]) -> dict[str, int]:
    """The first names of all imported modules, each with the number of the first code cell that imports it."""
    found: dict[str, int] = {}
    for number, text in enumerate(texts, start=1):
        for name in _names(cells.read_tree(text)):
            found.setdefault(name.split(".")[0], number)
    return found


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (needed := NEEDED.get(cells.last_name(node))):
            yield needed
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def locked(text: str) -> dict[str, str]:
    """The packages of a lock and their versions."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9.-]*)==([^\s;\\]+)", text, re.MULTILINE))


def find(
    texts: Sequence[str],
    folders: tuple[Path, Path],
    lock: Mapping[str, str],
    asked: Mapping[str, str],
    printed: Mapping[str, str],
) -> Imports:
    """The imports of these code cells, and of the helpers beside them, against the packages of a lock.

    `folders` are the notebook's and that of its repository. `asked` has the versions that the notebook's own project
    asks for, by package; `printed` those that its outputs show, which count where nothing is asked for, and do not say
    that a package of that name is the module's.
    """
    helpers: dict[str, Helper] = {}
    imported = modules(texts)
    imported = {**dict.fromkeys(modules(_run(texts, *folders)), 0), **imported}
    waiting = list(imported)
    while waiting:
        name = waiting.pop()
        if name not in helpers and (path := _path(*folders, name, lock)):
            helpers[name] = Helper(path, tuple(_files(path, folders[1])))
            inner = modules(helpers[name].code)
            waiting += [module for module in inner if module not in imported]
            imported |= {module: 0 for module in inner if module not in imported}
    foreign = [name for name in imported if name not in (*sys.stdlib_module_names, *OWN) and name not in helpers]
    missing = [name for name in foreign if packages.package(name) not in lock]
    known = [name for name in missing if packages.is_known(name) or packages.package(name) in asked]
    unknown = tuple(sorted(name for name in missing if name not in known))
    wishes = {**printed, **{name: wish for name, wish in asked.items() if wish}}
    brought = sorted({packages.package(module) for module in known})
    shown = [name for name in brought if name in printed and wishes[name] == printed[name]]
    notes = (
        *(_unknown(name, imported[name], lock) for name in unknown),
        *(_shown(name, printed[name].removeprefix("==")) for name in shown),
        *(_version(packages.package(name), wishes, lock) for name in sorted(foreign) if name not in missing),
    )
    wanted = tuple(f"{name}{wishes.get(name, '')}" for name in brought)
    return Imports(wanted, unknown, tuple(helpers.values()), tuple(dict.fromkeys(filter(None, notes))))


def _run(texts: Iterable[str], folder: Path, repository: Path) -> list[str]:
    """The code of the files that cells run by `%run`."""
    names = [name.strip("'\"") for text in texts for name in RUN.findall(text)]
    return [(folder / name).read_text("utf-8", "replace") for name in names if _is_inside(folder / name, repository)]


def _path(folder: Path, repository: Path, name: str, lock: Collection[str]) -> Path | None:
    """The file or the folder of a module beside a notebook, above it, or once in the repository; None where none is.

    As Python has it, only a file or a package in the notebook's own folder comes before a package that is installed.
    """
    own = (folder / f"{name}.py", folder / name / "__init__.py")
    if beside := next((path for path in own if _is_inside(path, repository)), None):
        return beside if beside == own[0] else beside.parent
    if name in (*sys.stdlib_module_names, *OWN) or packages.is_known(name) or packages.package(name) in lock:
        return None
    for place in (place for place in (folder, *folder.parents) if place.is_relative_to(repository)):
        if _is_inside(place / f"{name}.py", repository):
            return place / f"{name}.py"
        if any((place / name).glob("*.py")) and _is_whole(place / name):
            return place / name
    places = sorted(path for path in repository.rglob(f"{name}.py") if path.is_file() and not path.is_symlink())
    return places[0] if len({path.read_bytes() for path in places}) == 1 else None


def _is_whole(folder: Path) -> bool:
    """Whether a package has the modules that its first file imports from it: a build may have made them."""
    first = folder / "__init__.py"
    tree = cells.read_tree(first.read_text("utf-8", "replace") if first.is_file() else "")
    inner = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level == 1]
    names = [module.split(".")[0] for module in inner if module]
    return all((folder / f"{name}.py").is_file() or (folder / name).is_dir() for name in names)


def _files(path: Path, repository: Path) -> list[Path]:
    """The files of a module: itself, or all that its folder holds but caches, and links out of the repository."""
    below = [path] if path.is_file() else sorted(path.rglob("*"))
    return [file for file in below if _is_inside(file, repository) and "__pycache__" not in file.parts]


def _is_inside(file: Path, repository: Path) -> bool:
    return file.is_file() and file.resolve().is_relative_to(repository.resolve())


def _unknown(name: str, cell: int, lock: Collection[str]) -> str:
    candidates = {*lock, *packages.PACKAGES, *packages.SAME_NAMES}
    close = nearest(name, candidates)
    hint = close if close.startswith("; did you mean") else ""
    place = f"code cell {cell}" if cell else "a helper"
    return (
        f"{place} imports {name}, which nobody here knows{hint}: it may be a file that did not come along, and a "
        f"package of that name may be a trap: where it is the one, make add PACKAGE={packages.package(name)}"
    )


def _shown(package: str, version: str) -> str:
    return (
        f"its outputs show {package} {version}, which is taken where it fits; "
        f'where the notebook fails on it, make add PACKAGE="{package}>{version}"'
    )


def _version(package: str, asked: Mapping[str, str], lock: Mapping[str, str]) -> str:
    """A note where the notebook's project pins another version than the environment has."""
    pin = re.fullmatch(r"===?([\w.!+]+)", asked.get(package, ""))
    if pin is None or pin[1] == lock[package]:
        return ""
    return f"it was written for {package} {pin[1]}; the environment has {lock[package]}"
