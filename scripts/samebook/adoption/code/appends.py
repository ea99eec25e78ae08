"""`frame.append(other)` of pandas whose result is used: `pd.concat`, where it is the same for whatever `other` may be.

A frame's `append` took a frame, a list of frames, and a dictionary or a series, which became one row; a series' took a
series. `pd.concat` takes no dictionary, and of a series it makes a column.
https://pandas.pydata.org/docs/whatsnew/v1.4.0.html
"""

import ast
from collections.abc import Iterator

from samebook.adoption.code import cells, frames, series
from samebook.adoption.code.cells import Code, Edit
from samebook.adoption.code.frames import ByKind, Place

# What `other` is called where it has no name, and is asked what it is.
APPENDED = "appended"


def places(text: str, by_kind: ByKind, code: Code) -> Iterator[Place]:
    """The rules that apply to a cell of this code, where they begin, and their edits."""
    tree = cells.read_tree(text)
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for call in ast.walk(tree):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and id(call) not in alone:
            for rule in by_kind("append"):
                if rule.old == call.func.attr and len(call.args) == 1:
                    edits = _concatenation(text, call, call.func.value, code)
                    yield rule, cells.span(text, call)[0], edits


def _concatenation(text: str, call: ast.Call, frame: ast.expr, code: Code) -> tuple[Edit, ...]:
    """The edit from `frame.append(other)` to `pd.concat`; none where what they are decides, and nothing can ask it."""
    pandas = next((name for name, module in code.names.items() if module == "pandas"), "pd")
    if (others := _others(text, call.args[0], frame, pandas, code)) is None:
        return ()
    options = "".join(f", {ast.unparse(keyword)}" for keyword in call.keywords)
    concatenation = f"{pandas}.concat([{cells.source(text, frame)}, {others}]{options})"
    needed = () if pandas in code.names else (cells.first_line(text, "import pandas as pd"),)
    return (*needed, Edit(*cells.span(text, call), concatenation))


def _others(text: str, other: ast.expr, frame: ast.expr, pandas: str, code: Code) -> str | None:
    """What stands after the frame in the list of `pd.concat`; None where nothing is sure."""
    written = cells.source(text, other)
    if isinstance(other, ast.List):
        is_sure = all(frames.is_frame(item, code) or series.is_series(frame, code) for item in other.elts)
        return written[1:-1] if is_sure and other.elts else None
    if frames.is_frame(other, code) or series.is_series(frame, code):
        return written
    is_row = code.all_are(other, _is_dictionary)
    if is_row or (series.is_series(other, code) and frames.is_frame(frame, code)):
        return f"{pandas}.DataFrame([{written}])"
    if not (frames.is_frame(frame, code) or isinstance(frame, ast.Name)):
        return None
    # Only the run knows: of a dictionary and of a series a row is made. Of anything else concat itself decides.
    name = other.id if isinstance(other, ast.Name) else APPENDED
    asked = name if isinstance(other, ast.Name) else f"({name} := {written})"
    kinds = f"isinstance({asked}, (dict, {pandas}.Series))"
    if not frames.is_frame(frame, code):
        kinds += f" and isinstance({cells.source(text, frame)}, {pandas}.DataFrame)"
    return f"{pandas}.DataFrame([{name}]) if {kinds} else {name}"


def _is_dictionary(node: ast.expr) -> bool:
    return isinstance(node, ast.Dict) or (isinstance(node, ast.Call) and ast.unparse(node.func) == "dict")
