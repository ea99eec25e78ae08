"""The imports of a notebook: the packages that the environment lacks, and the modules that lie beside the notebook."""

import ast
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from samebook.adoption import cells
from samebook.core.errors import nearest
from samebook.environment import packages

# What a run has without any package: samebook itself, and what IPython calls a module.
OWN = ("samebook", "__future__", "__main__")


@dataclass(frozen=True)
class Imports:
    """What a notebook imports: wanted packages, those that nobody here knows by their module, and helper files.

    `helpers` are paths: a module's file, or the folder of a package. `notes` tell of versions and unknown names.
    """

    wanted: tuple[str, ...]
    unknown: tuple[str, ...]
    helpers: tuple[Path, ...]
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
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module or ""


def locked(text: str) -> dict[str, str]:
    """The packages of a lock and their versions."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9.-]*)==([^\s;\\]+)", text, re.MULTILINE))


def find(
    texts: Iterable[str], folders: tuple[Path, Path], lock: Mapping[str, str], asked: Mapping[str, str]
) -> Imports:
    """The imports of these code cells, and of the helpers beside them, against the packages of a lock.

    `folders` are the notebook's and that of its repository. `asked` has the versions that the notebook's own project
    asks for, by package.
    """
    helpers: dict[str, Path] = {}
    imported = modules(texts)
    waiting = list(imported)
    while waiting:
        name = waiting.pop()
        if name not in helpers and (path := helper(*folders, name, lock)):
            helpers[name] = path
            inner = modules(file.read_text("utf-8", "replace") for file in files(path) if file.suffix == ".py")
            waiting += [module for module in inner if module not in imported]
            imported |= {module: 0 for module in inner if module not in imported}
    foreign = [name for name in imported if name not in (*sys.stdlib_module_names, *OWN) and name not in helpers]
    missing = [name for name in foreign if packages.package(name) not in lock]
    known = [name for name in missing if packages.is_known(name) or packages.package(name) in asked]
    unknown = tuple(sorted(name for name in missing if name not in known))
    wanted = sorted({f"{(name := packages.package(module))}{asked.get(name, '')}" for module in known})
    notes = (
        *(_unknown(name, imported[name], lock) for name in unknown),
        *(_version(packages.package(name), asked, lock) for name in sorted(foreign) if name not in missing),
    )
    return Imports(tuple(wanted), unknown, tuple(helpers.values()), tuple(filter(None, notes)))


def helper(folder: Path, repository: Path, name: str, lock: Collection[str]) -> Path | None:
    """The file or the folder of a module beside a notebook, or its one file in the repository; None where none is.

    What is a package, or a module of Python's, is not looked for in the whole repository.
    """
    if (folder / f"{name}.py").is_file():
        return folder / f"{name}.py"
    above = [place for place in (folder, *folder.parents) if place.is_relative_to(repository)]
    if package := next((place / name for place in above if any((place / name).glob("*.py"))), None):
        return package
    if name in (*sys.stdlib_module_names, *OWN) or packages.is_known(name) or packages.package(name) in lock:
        return None
    places = sorted(path for path in repository.rglob(f"{name}.py") if path.is_file() and not path.is_symlink())
    return places[0] if len({path.read_bytes() for path in places}) == 1 else None


def files(path: Path) -> list[Path]:
    """The files of a helper: itself, or all that its folder holds but caches."""
    if path.is_file():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)


def _unknown(name: str, cell: int, lock: Collection[str]) -> str:
    candidates = {*lock, *packages.PACKAGES, *packages.SAME_NAMES}
    close = nearest(name, candidates)
    hint = close if close.startswith("; did you mean") else ""
    place = f"code cell {cell}" if cell else "a helper"
    return (
        f"{place} imports {name}, which nobody here knows{hint}: it may be a file that did not come along, and a "
        f"package of that name may be a trap: where it is the one, make add PACKAGE={packages.package(name)}"
    )


def _version(package: str, asked: Mapping[str, str], lock: Mapping[str, str]) -> str:
    """A note where the notebook's project pins another version than the environment has."""
    pin = re.fullmatch(r"===?([\w.!+]+)", asked.get(package, ""))
    if pin is None or pin[1] == lock[package]:
        return ""
    return f"it was written for {package} {pin[1]}; the environment has {lock[package]}"
