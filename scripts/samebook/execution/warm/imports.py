"""What a notebook imports from installed packages, read from its cells: what a kernel may have imported before."""

import ast
import json
import sysconfig
from collections.abc import Iterator, Sequence
from importlib.machinery import PathFinder
from pathlib import Path


def of_notebook(notebook: Path) -> tuple[str, ...]:
    """The modules of a notebook's file; none where it is no notebook, which others will tell."""
    try:
        cells = json.loads(notebook.read_text())["cells"]
        sources = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return modules(sources, notebook.parent)


def modules(cells: Sequence[str], folder: Path) -> tuple[str, ...]:
    """The modules of installed packages, in the order in which a notebook with these code cells would import them.

    `module:name` stands for `from module import name`, where the name may be a module of its own. What isn't sure to
    be imported, as it stands in a function or below an `if`, is left out; modules beside the notebook, which somebody
    may edit, are left out, and what they import is not.
    """
    return tuple(dict.fromkeys(_followed(cells, folder, set())))


def _followed(sources: Sequence[str], folder: Path, seen: set[Path]) -> Iterator[str]:
    for name in (name for source in sources for name in _names(source)):
        local = folder / f"{name.split(':')[0].split('.')[0]}.py"
        if local.is_file():
            if local not in seen:
                seen.add(local)
                yield from _followed([local.read_text()], folder, seen)
        elif _is_installed(name.split(":")[0].split(".")[0]):
            yield name


def _names(source: str) -> Iterator[str]:
    for node in _statements(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}:{alias.name}" for alias in node.names if alias.name != "*")


def _statements(source: str) -> list[ast.stmt]:
    """A cell's statements, its magics left out; of what is no Python, none."""
    for text in (source, "\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!")))):
        try:
            return ast.parse(text).body
        except SyntaxError:
            continue
    return []


def _is_installed(name: str) -> bool:
    places = [sysconfig.get_path(kind) for kind in ("purelib", "platlib")]
    return PathFinder.find_spec(name, places) is not None
