"""The modules that a notebook imports from installed packages, read from its cells."""

import ast
import json
import sysconfig
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path

# The module of samebook that notebooks use.
API = "samebook.api.notebook"


def of_notebook(path: Path) -> tuple[str, ...]:
    """The modules of a notebook's file; none where it, or a module beside it, cannot be read: the run will say so."""
    try:
        cells = json.loads(path.read_text())["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
        return modules(sources, path.parent)
    except (OSError, ValueError, KeyError, TypeError, RecursionError, MemoryError):
        return ()


def modules(sources: Sequence[str], folder: Path) -> tuple[str, ...]:
    """The modules of installed packages, in the order in which a notebook with these code cells would import them.

    `module:name` stands for `from module import name`, where the name may be a module of its own. An import in a
    function or below an `if` is left out, as it may not happen. A module beside the notebook, in `folder`, is left
    out, as somebody may edit it; the modules that it imports are not.
    """
    return tuple(dict.fromkeys(_installed(sources, folder, set())))


def _installed(sources: Sequence[str], folder: Path, visited: set[Path]) -> Iterator[str]:
    for name in (name for source in sources for name in _names(source)):
        package = name.split(":")[0].split(".")[0]
        local = folder / f"{package}.py"
        if local.is_file():
            if local not in visited:
                visited.add(local)
                yield from _installed([local.read_text()], folder, visited)
        elif package == "samebook":  # it imports what a name is from once a cell asks for the name
            yield API
        elif _is_installed(package):
            yield name


def _names(source: str) -> Iterator[str]:
    for node in _statements(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}:{alias.name}" for alias in node.names if alias.name != "*")


def _statements(source: str) -> list[ast.stmt]:
    """A cell's statements without its magics; none where the rest is not Python."""
    for text in (source, "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))):
        try:
            return ast.parse(text).body
        except SyntaxError:
            continue
    return []


def _is_installed(package: str) -> bool:
    paths = [sysconfig.get_path(kind) for kind in ("purelib", "platlib")]
    return PathFinder.find_spec(package, paths) is not None
