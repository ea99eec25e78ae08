"""The files that a notebook writes beside itself, by the literals in its code: they become outputs of its runs.

Beside a notebook a file is no result, and makes the next run one with uncommitted changes. What the notebook reads
back, later on, it reads from its outputs.
"""

import ast
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from samebook.adoption.code import cells, literals
from samebook.adoption.code.cells import Edit, Note
from samebook.adoption.code.literals import Literal

# Calls that write the file that one of their first two arguments names, by their last name; `open` by its mode.
WRITERS = re.compile(
    r"to_(csv|excel|parquet|json|pickle|feather|html|hdf|stata|latex|markdown|xml|file)|ExcelWriter"
    r"|savefig|save|savez(_compressed)?|savetxt|savemat|imsave|imwrite|dump|dump_svmlight_file"
    r"|save_(model|weights|raw|pretrained)|write_(csv|parquet|json|html|image|ipc|excel)"
)
# What takes text alone for a path.
OF_TEXT = ("imwrite", "imread", "VideoWriter")


def outputs(texts: Sequence[str], folder: Path) -> tuple[list[str], list[Note]]:
    """The code cells, in which each relative file that they write is `samebook.output_path(…)`, and notes.

    `folder` is the notebook's. A file stays where it is if it is read or added to before it is written, or a line of
    IPython names it, as `!head a.csv` does.
    """
    written = [literal for number, text in enumerate(texts, start=1) for literal in _written(number, text)]
    read = literals.find(texts)
    first = {literal.text: literal for literal in sorted(written, key=_place, reverse=True)}
    inputs = {one.text for one in read if one.text in first and _place(one) < _place(first[one.text])}
    inputs |= {name for name, literal in first.items() if _appends(texts[literal.cell - 1], literal)}
    shell = "\n".join(line[0] for text in texts for line in cells.IPYTHON.finditer(text))
    inputs |= {name for name in first if name in shell}
    edits: dict[int, list[Edit]] = {}
    for literal in dict.fromkeys([*written, *(one for one in read if one.text in first)]):
        if literal.text in inputs:
            continue
        text = texts[literal.cell - 1]
        path = f"samebook.output_path({text[literal.start : literal.end]})"
        edit = Edit(literal.start, literal.end, f"str({path})" if _wants_text(text, literal) else path)
        edits.setdefault(literal.cell, []).extend([cells.first_line(text, "import samebook"), edit])
    notes = [
        Note(literal.cell, f"writes {literal.text}, which it reads before", "write it under another name")
        for literal in written
        if literal.text in inputs and (folder / literal.text).exists()
    ]
    changed = [cells.edited(text, dict.fromkeys(edits.get(number, []))) for number, text in enumerate(texts, start=1)]
    return changed, list(dict.fromkeys(notes))


def _written(number: int, text: str) -> Iterator[Literal]:
    """The names of files that a cell writes."""
    for call in cells.calls(text):
        name = cells.last_name(call)
        if WRITERS.fullmatch(name) or literals.writes(name, call):
            keywords = [
                keyword.value for keyword in call.keywords if keyword.arg in (*literals.NAMES, "fp", "excel_writer")
            ]
            for node in (*call.args[:2], *keywords):
                if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_beside(node.value):
                    yield Literal(number, node.value, *cells.span(text, node))


def _is_beside(name: str) -> bool:
    """Whether a string names a file below the notebook's folder."""
    path = PurePosixPath(name)
    is_plain = not path.is_absolute() and ".." not in path.parts and not re.search(r"[\\:*?\n]|^~", name)
    return is_plain and bool(literals.SUFFIX.search(name))


def _wants_text(text: str, literal: Literal) -> bool:
    """Whether the call around a literal takes no path but as text."""
    return any(
        cells.last_name(call) in OF_TEXT and any(cells.span(text, node)[0] == literal.start for node in call.args)
        for call in cells.calls(text)
    )


def _appends(text: str, literal: Literal) -> bool:
    """Whether the call around a literal adds to the file that is there."""
    for call in cells.calls(text):
        values = (*call.args, *(keyword.value for keyword in call.keywords))
        modes = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
        modes += call.args[1:2] if cells.last_name(call) in ("open", "File") else []
        if any(cells.span(text, value)[0] == literal.start for value in values):
            return any(isinstance(mode, ast.Constant) and str(mode.value).startswith(("a", "r+")) for mode in modes)
    return False


def _place(literal: Literal) -> tuple[int, int]:
    return literal.cell, literal.start
