"""Defaults of libraries that were others once, and that an option sets back: the type of strings in pandas.

Old code compares a column's type with `object`, and hands `.values` to libraries that want arrays of numpy: with the
type that strings have today it fails, or, in silence, selects other columns.
"""

import ast
from collections.abc import Iterator, Sequence

from samebook.adoption.code import cells
from samebook.adoption.code.cells import Edit
from samebook.adoption.code.renames import Change
from samebook.adoption.code.rules import Rule

OPTION = "future.infer_string"
RULE = Rule("default", OPTION, "https://pandas.pydata.org/docs/user_guide/migration-3-strings.html", "False")


def mended(texts: Sequence[str]) -> tuple[list[str], list[Change]]:
    """The code cells with the option after the first import of pandas, and its change; none where they set it."""
    if any(OPTION.rpartition(".")[2] in text for text in texts):
        return list(texts), []
    for number, text in enumerate(texts, start=1):
        if edit := next(_after_import(text), None):
            changed = [*texts[: number - 1], cells.edited(text, [edit]), *texts[number:]]
            return changed, [Change(number, RULE, edit.text.strip().splitlines()[-1], (edit,))]
    return list(texts), []


def _after_import(text: str) -> Iterator[Edit]:
    """The line with the option, below the import of pandas in a cell."""
    for node in ast.walk(cells.read_tree(text)):
        if isinstance(node, ast.Import):
            name = next((alias.asname or alias.name for alias in node.names if alias.name == "pandas"), "")
        else:
            name = "pandas" if isinstance(node, ast.ImportFrom) and node.module == "pandas" and not node.level else ""
        if name and isinstance(node, ast.Import | ast.ImportFrom):
            start, end = cells.span(text, node)
            line_end = text.find("\n", end)
            at = len(text) if line_end < 0 else line_end
            before = text[text.rfind("\n", 0, start) + 1 : start]
            lines = [*["import pandas"] * isinstance(node, ast.ImportFrom), f'{name}.set_option("{OPTION}", False)']
            if not before.strip():
                yield Edit(at, at, "".join(f"\n{before}{line}" for line in lines))
