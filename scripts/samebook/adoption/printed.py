"""The versions of packages that a notebook's saved outputs show: in lists, and where its code shows `__version__`."""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from samebook.adoption import imports
from samebook.adoption.code import cells
from samebook.environment import packages

# A version, without what names a build of it: of `1.9.0+cu102` it is `1.9.0`.
VERSION = r"(?<![\w.+-])v?(\d{1,9}(?:\.\d{1,9}){1,4}(?:[.-]?(?:a|b|rc|dev|post)\d+)*)(?:\+[\w.]+)?(?!\w|\.\d|[+-]\w)"
# A line of a list: `pandas 1.5.3`, `pandas==1.5.3`, `pandas: 1.5.3`, `pandas version: 1.5.3`; conda adds a build.
LINE = re.compile(
    rf"\s*([A-Za-z][\w.-]*)(?:\s+version)?(\s*==\s*|\s*[:=]\s*|\s+){VERSION}(\s+\S+){{0,2}}\s*", re.IGNORECASE
)
# Code that shows versions; in what other code prints, a number with one dot beside a name may be anything.
SHOWS = re.compile(
    r"__version__|watermark|version_information|session_info|show_versions|sinfo\(|\b(?:pip3?|conda|mamba)\s+(?:list|freeze)"
)
PRINTERS = re.compile(r"p?print")


def versions(texts: Sequence[str], outputs: Sequence[str]) -> dict[str, str]:
    """The versions, like `==1.5.3`, of the packages that these code cells import, as their outputs show them.

    A package of which they show several has none.
    """
    modules = imports.modules(texts)
    spelt = {
        name.lower(): packages.package(module) for module in modules for name in (module, packages.package(module))
    }
    names = cells.imported_names(texts)
    found: dict[str, set[str]] = {}
    for text, output in zip(texts, outputs, strict=True):
        is_list = bool(SHOWS.search(text))
        for name, version in (*_listed(output, is_list=is_list), *_asked(text, output, names)):
            package = spelt.get(name.lower())
            if package and version.strip("0."):  # `pip freeze` shows a package sklearn 0.0, which has nothing in it
                found.setdefault(package, set()).add(f"=={version}")
    return {package: each.pop() for package, each in found.items() if len(each) == 1}


def _listed(output: str, *, is_list: bool) -> Iterator[tuple[str, str]]:
    """The lines that are a name and its version."""
    for line in output.splitlines():
        if match := LINE.fullmatch(line):
            name, sign, version, more = match.groups()
            if is_list or (not more and ("==" in sign or version.count(".") > 1)):
                yield name, version


def _asked(text: str, output: str, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The versions of modules that code shows by `__version__`, in its order, where its output has just as many."""
    shown = {id(node): node for part in _shown(cells.read_tree(text)) for node in ast.walk(part)}
    asked = [node for node in shown.values() if isinstance(node, ast.Attribute) and node.attr == "__version__"]
    asked.sort(key=lambda node: (node.end_lineno or 0, node.end_col_offset or 0))
    numbers = re.findall(VERSION, output)
    if len(asked) == len(numbers):
        yield from zip((cells.dotted(node.value, names) for node in asked), numbers, strict=True)


def _shown(tree: ast.Module) -> Iterator[ast.expr]:
    """What a cell shows: all that it prints, and its last expression."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    yield from (call for call in calls if PRINTERS.fullmatch(cells.last_name(call)))
    if tree.body and isinstance(tree.body[-1], ast.Expr):
        yield tree.body[-1].value
