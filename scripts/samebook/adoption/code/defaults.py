"""Settings of libraries that old code needs: a default that was another once, and a clock that no result may show.

Old code compares a column's type with `object`, and hands `.values` to libraries that want arrays of numpy: with the
type that strings of pandas have today it fails, or, in silence, selects other columns. A summary of statsmodels shows
the date and the time of day, by which every run of a notebook differs from the one before.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from samebook.adoption.code import cells
from samebook.adoption.code.cells import Edit
from samebook.adoption.code.renames import Change
from samebook.adoption.code.rules import Rule


@dataclass(frozen=True)
class Setting:
    """Lines that follow the first import of a module, by its pattern, where code has `call`, and nowhere `mark`.

    In the lines, `{name}` is the name that the import gives to pandas.
    """

    module: str
    call: str
    mark: str
    lines: tuple[str, ...]
    rule: Rule


STRINGS = Rule(
    "default", "future.infer_string", "https://pandas.pydata.org/docs/user_guide/migration-3-strings.html", "False"
)
DATES = Rule(
    "default",
    "date and time of summary()",
    "https://www.statsmodels.org/stable/_modules/statsmodels/iolib/summary.html",
    "",
)
SETTINGS = (
    Setting("pandas", "", "infer_string", ('{name}.set_option("future.infer_string", False)',), STRINGS),
    Setting(
        r"statsmodels(\..+)?",
        ".summary()",
        "iolib.summary.time",
        (
            "import statsmodels.iolib.summary  # its summaries show neither the date nor the time of day",
            "from types import SimpleNamespace",
            'statsmodels.iolib.summary.time = SimpleNamespace(localtime=int, strftime=lambda *_: "")',
        ),
        DATES,
    ),
)


def mended(texts: Sequence[str]) -> tuple[list[str], list[Change]]:
    """The code cells with each setting after the first import of its module, and the changes."""
    changed = list(texts)
    changes: list[Change] = []
    for setting in SETTINGS:
        code = "\n".join(changed)
        if setting.call in code and setting.mark not in code:
            for number, text in enumerate(changed, start=1):
                if edit := next(_after_import(text, setting), None):
                    changed[number - 1] = cells.edited(text, [edit])
                    changes.append(Change(number, setting.rule, edit.text.strip().splitlines()[-1].strip(), (edit,)))
                    break
    return changed, changes


def _after_import(text: str, setting: Setting) -> Iterator[Edit]:
    """The lines of a setting, below the import of its module in a cell."""
    for node in ast.walk(cells.read_tree(text)):
        if isinstance(node, ast.Import):
            modules = {alias.name: alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules = {node.module or "": ""}
        else:
            continue
        module = next(filter(re.compile(setting.module).fullmatch, modules), None)
        if module is not None:
            start, end = cells.span(text, node)
            line_end = text.find("\n", end)
            at = len(text) if line_end < 0 else line_end
            before = text[text.rfind("\n", 0, start) + 1 : start]
            lines = [line.format(name=modules[module] or module) for line in setting.lines]
            needed = ["import pandas"] * (module == "pandas" and not modules[module])
            if not before.strip():
                yield Edit(at, at, "".join(f"\n{before}{line}" for line in (*needed, *lines)))
