"""Files beside a notebook that its code mentions in some other way than by reading a literal: in lists, as a default.

The modules that come along are searched too: what they read lies beside them.
"""

import ast
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path, PurePosixPath

from samebook.adoption import data_files
from samebook.adoption.code import cells, literals
from samebook.adoption.data_files import Beside, Copy
from samebook.adoption.imports import Helper

# What is code, and calls that write.
CODE = (".ipynb", ".py", ".pyc")
OWN_LINES = re.compile(r"^\s*(?:[\w ,]+=\s*)?(?:!|%{1,2}run\b)(.*)$", re.MULTILINE)
WRITERS = ("to_", "save", "dump", "write", "imsave", "urlretrieve")


def copies(
    texts: Sequence[str], helpers: Iterable[Helper], beside: Beside, notebooks: Path, planned: Sequence[Copy]
) -> list[Copy]:
    """The copies of mentioned files, each at its own path below notebooks/, that are not planned already."""
    sources = [(beside.folder, text) for text in texts]
    for helper in helpers:
        sources += [(helper.path.parent, text) for text in helper.code]
    taken = {copy.target: copy for copy in planned}
    found = dict[str, Copy]()
    for folder, text in sources:
        for name in _names(text):
            path, target = folder / name, f"notebooks/{PurePosixPath(name)}"
            is_new = path not in {copy.source for copy in taken.values()}
            if _may_come(path, beside.limit) and is_new and data_files.is_free(target, path, notebooks.parent, taken):
                found[target] = taken[target] = Copy(path, target, is_large=False)
    return list(found.values())


def _names(text: str) -> Iterator[str]:
    """The strings in code that may be names of files: relative ones with an ending, and those joined from constants.

    The words of IPython's own lines, `!head a.csv` and `%run b.py`, may be too.
    """
    tree = cells.read_tree(text)
    words = [word.strip("'\"") for line in OWN_LINES.findall(text) for word in line.split()]
    yield from (word for word in words if _is_inside(word) and literals.SUFFIX.search(word))
    written = {
        id(part) for call in ast.walk(tree) if isinstance(call, ast.Call) and _writes(call) for part in call.args
    }
    for node in ast.walk(tree):
        name = ""
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in written:
            name = node.value
        elif isinstance(node, ast.Call) and cells.last_name(node) == "join" and len(node.args) > 1:
            parts = [part.value for part in node.args if isinstance(part, ast.Constant) and isinstance(part.value, str)]
            name = "/".join(parts) if len(parts) == len(node.args) else ""
        if _is_inside(name) and "\n" not in name and literals.SUFFIX.search(name) and not name.endswith(CODE):
            yield name


def _is_inside(name: str) -> bool:
    return not (data_files.ABSOLUTE.match(name) or data_files.URL.match(name) or ".." in name or "\\" in name)


def _writes(call: ast.Call) -> bool:
    return cells.last_name(call).startswith(WRITERS)


def _may_come(path: Path, limit: Path) -> bool:
    """Whether a file is there, within the limit, and small enough for git."""
    with suppress(OSError, ValueError):
        is_inside = path.resolve().is_relative_to(limit.resolve())
        return is_inside and path.is_file() and path.stat().st_size <= data_files.LARGEST
    return False
