"""Errors: their exit codes, their hints, and the classes for errors that cells raise."""

import ast
import re
import signal

import pytest
from tiny import CHECKOUT

from samebook.core import errors


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("DataRejected", 4),
        ("SchemaErrors", 4),
        ("UsageError", 2),
        ("PolicyRefused", 6),
        ("ZeroDivisionError", 1),
        ("KeyboardInterrupt", 1),
        ("Interrupted", 1),
        ("nearest", 1),
        ("annotations", 1),
    ],
)
def test_cell_error_has_code(name: str, code: int) -> None:
    """A cell's error becomes the samebook error of that name; any other becomes CellFailed."""
    assert errors.error_class(name).exit_code == code


def test_interrupted_as_shells_say() -> None:
    """A signal's exit code is 128 and its number."""
    assert errors.Interrupted(signal.SIGTERM).exit_code == 143


def test_hints_help() -> None:
    """A near name is suggested; otherwise the candidates are listed."""
    assert errors.nearest("trian", ["train", "predict"]) == "; did you mean train?"
    assert errors.nearest("x", ["b", "a"]) == "; expected one of: a, b"
    assert errors.nearest("n_trees", ["n_tree", "N_TREES"]) == "; did you mean N_TREES?"
    assert errors.closest("n_trees", ["n_tree", "N_TREES"]) == "N_TREES"
    assert errors.nearest("x", []) == "; there are none"


LEAVES = {name for name, value in vars(errors).items() if isinstance(value, type)} - {"Interrupted"}
# Their messages become a part of another error's, of a report beside a file, or of a line of the story.
INNER = {"core/errors.py", "environment/yaml_file.py", "models/reproducers.py", "pipelines/inbox.py"}
INNER |= {"pipelines/notices.py", "store/transfer.py"}


def errors_raised() -> list[tuple[str, ast.Call]]:
    """Every error of samebook that the package makes, with its place."""
    package = CHECKOUT / "scripts" / "samebook"
    nodes = ((path, node) for path in package.rglob("*.py") for node in ast.walk(ast.parse(path.read_text())))
    calls = ((path, node) for path, node in nodes if isinstance(node, ast.Call))
    return [
        (f"{path.relative_to(package).as_posix()}:{call.lineno}", call)
        for path, call in calls
        if getattr(call.func, "id", getattr(call.func, "attr", "")) in LEAVES
    ]


def test_every_error_is_mended() -> None:
    """Each error that ends a command names the nearest name, or what mends it: one command, and no second one."""
    raised = [(place, call) for place, call in errors_raised() if place.partition(":")[0] not in INNER]
    assert len(raised) > 150
    mends = {place: [word.value for word in call.keywords if word.arg == "mend"] for place, call in raised}
    assert [place for place, call in raised if not mends[place] and "nearest" not in ast.dump(call)] == []
    texts = {place: ast.unparse(mend[0]) for place, mend in mends.items() if mend}
    assert {place: text for place, text in texts.items() if re.search(r", or |; ", text)} == {}
