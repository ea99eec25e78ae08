"""Errors: their exit codes, their hints, and the classes for errors that cells raise."""

import signal

import pytest

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
    assert errors.nearest("x", []) == "; there are none"
