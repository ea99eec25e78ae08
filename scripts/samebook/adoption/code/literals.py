"""The strings in a notebook's code that it reads files by: arguments of readers, and what is assigned to a name."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from samebook.adoption.code import cells

# Calls whose first argument is a file's name, by their last name; `read_sql` and the like take a query.
READERS = re.compile(
    r"(read_(csv|table|fwf|excel|json|parquet|feather|hdf|pickle|stata|sas|spss|xml|orc|text|html|image|file|data\w*)"
    r"|open|load|loads?_?(txt|mat|dataset|img|image|wb|workbook)|genfromtxt|fromfile|imread|loadtxt|loadmat|Path"
    r"|ExcelFile|HDFStore|File|ZipFile|glob|listdir|scan_\w+|connect|Image)"
)
NAMES = ("filepath_or_buffer", "path", "fname", "file", "filename", "io", "path_or_buf")
SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$")


@dataclass(frozen=True)
class Literal:
    """A string in the code that names a file: the number of its cell, its text, and its place in the cell.

    `is_joined`: the code joins it to the folder that it runs in.
    """

    cell: int
    text: str
    start: int
    end: int
    is_joined: bool = False


def find(texts: Iterable[str]) -> list[Literal]:
    """The strings that code cells read files by: arguments of readers, and those assigned to a name they are read by.

    A file that is opened for writing is none.
    """
    return [literal for number, text in enumerate(texts, start=1) for literal in _in_cell(number, text)]


def _in_cell(number: int, text: str) -> Iterator[Literal]:
    nodes = [*_arguments(text), *_assigned(text)]
    for node in sorted({id(node): node for node in nodes}.values(), key=lambda node: (node.lineno, node.col_offset)):
        start, end = cells.span(text, node)
        yield Literal(number, str(node.value), start, end)
    for whole, name in _of_working_folder(text):
        yield Literal(number, name, *cells.span(text, whole), is_joined=True)


def _arguments(text: str) -> Iterator[ast.Constant]:
    for call in cells.calls(text):
        name = cells.last_name(call)
        if READERS.fullmatch(name) and not writes(name, call):
            keywords = [keyword.value for keyword in call.keywords if keyword.arg in NAMES]
            values = (*call.args[:1], *keywords)
            yield from (node for node in values if isinstance(node, ast.Constant) and _is_text(node))


def _assigned(text: str) -> Iterator[ast.Constant]:
    """Strings with a file's suffix that are assigned to a name: `DATA = "a/b.csv"`."""
    for node in ast.walk(cells.read_tree(text)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant) and _is_text(node.value):
            name = str(node.value.value)
            yield from [node.value] * bool(SUFFIX.search(name) and " " not in name)


def _of_working_folder(text: str) -> Iterator[tuple[ast.BinOp, str]]:
    """The files named as `os.getcwd() + "/data/a.csv"`, with their path from the notebook's folder."""
    for node in ast.walk(cells.read_tree(text)):
        if not (
            isinstance(node, ast.BinOp) and isinstance(node.left, ast.Call) and isinstance(node.right, ast.Constant)
        ):
            continue
        if cells.last_name(node.left) == "getcwd" and isinstance(node.right.value, str):
            yield node, node.right.value.replace("\\", "/").lstrip("/")


def _is_text(node: ast.Constant) -> bool:
    return isinstance(node.value, str) and bool(node.value.strip())


def writes(name: str, call: ast.Call) -> bool:
    """Whether `open` is given a mode that writes."""
    modes = [*call.args[1:2], *(keyword.value for keyword in call.keywords if keyword.arg == "mode")]
    return name in ("open", "File") and any(
        isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) & set("wax")
        for mode in modes
    )
