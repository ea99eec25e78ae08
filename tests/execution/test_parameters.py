"""Values of parameters: typed, refused, and written where the notebook and the receipt have them."""

import datetime
import runpy
from pathlib import Path
from typing import Any

import pytest

from samebook.core import secret
from samebook.core.errors import UsageError
from samebook.core.secret import Secret
from samebook.execution import parameters
from samebook.execution.json_value import JsonValue
from samebook.execution.parameters_cell import declarations

IMPORTS = """import datetime
import typing
from typing import Annotated, Any, Literal, Optional
from pydantic import Field
from datetime import date, timedelta
"""


def injected_value(declaration: str, text: str, folder: Path) -> Any:
    """The value of `x` in the notebook whose cell says `x: DECLARATION`, with `-p x=TEXT`."""
    source = f"{IMPORTS}x: {declaration}\n"
    cells = folder / "cells.py"
    cells.write_text(source + parameters.assignments(parameters.parse({"x": text}, declarations(source))))
    return runpy.run_path(str(cells))["x"]


@pytest.mark.parametrize(
    ("declaration", "text", "value"),
    [
        ("int = 3", "-7", -7),
        ("float = 0.5", "-1e-3", -0.001),
        ("float = 1", "2", 2.0),
        ("bool = False", "true", True),
        ("bool = True", "0", False),
        ("str = ''", "", ""),
        ("str = ''", 'it\'s "quoted" \\n\n and\ttwo lines', 'it\'s "quoted" \\n\n and\ttwo lines'),
        ("str = ''", "Zürich 東京 🛫 \u2028 {x} $y #", "Zürich 東京 🛫 \u2028 {x} $y #"),
        ("str = ''", "__import__('os')", "__import__('os')"),
        ("str = ''", "1", "1"),
        ("float | int = 0", "9007199254740993", 9007199254740993),
        ("typing.Sequence[date] = []", '["20130630"]', [datetime.date(2013, 6, 30)]),
        ("typing.FrozenSet[str] | None = None", '["b", "a"]', frozenset("ab")),
        ("date = date(2013, 1, 1)", "2013-06-30", datetime.date(2013, 6, 30)),
        (
            "datetime.datetime = datetime.datetime(2013, 1, 1)",
            "2013-06-30T12:00:00",
            datetime.datetime.fromisoformat("2013-06-30T12:00:00"),
        ),
        (
            "datetime.datetime = datetime.datetime(2013, 1, 1)",
            "2013-06-30T12:00:00Z",
            datetime.datetime(2013, 6, 30, 12, tzinfo=datetime.UTC),
        ),
        ("timedelta = timedelta(days=1)", "P2D", datetime.timedelta(days=2)),
        ("Literal['auc', 'brier'] = 'auc'", "brier", "brier"),
        ("Literal[1, 2] = 1", "2", 2),
        ("list[int] = []", "[1, -2]", [1, -2]),
        ("list[date] = []", '["2013-01-01"]', [datetime.date(2013, 1, 1)]),
        (
            "tuple[date, int] = (date(2013, 1, 1), 1)",
            '["2013-01-02", 2]',
            (datetime.date(2013, 1, 2), 2),
        ),
        ("set[str] | None = None", '["b", "a"]', {"a", "b"}),
        ("dict[str, list[int]] = {}", '{"a\'b": [1]}', {"a'b": [1]}),
        ("dict[date, int] = {}", '{"2013-01-01": 1}', {datetime.date(2013, 1, 1): 1}),
        ("int | None = 3", "null", None),
        ("Optional[int] = None", "4", 4),
        ("Annotated[int, Field(ge=1, le=16), 'depth'] = 6", "16", 16),
        ("Annotated[str, Field(pattern='^a+$')] = 'a'", "aaa", "aaa"),
        ("Any = None", "text", "text"),
        ("Any = None", "5", 5),
        ("int | str = 1", "05", "05"),
        ("bool | str = 'a'", "yes", "yes"),
        ("int | str = 1", "5", 5),
        ("str | None = None", "null", None),
        ("str | None = None", JsonValue(None), None),
        ("str | None = None", JsonValue("null"), "null"),
        ("str = ''", "null", "null"),
        ("str = ''", "1.10", "1.10"),
        ("int = 3", JsonValue("4"), 4),
        ("float | int = 3", "7", 7),
        ("bool | int = 3", "1", 1),
        ("date = date(2013, 1, 1)", "20240102", datetime.date(2024, 1, 2)),
        (
            "datetime.datetime = datetime.datetime(2013, 1, 1)",
            "20240101",
            datetime.datetime.fromisoformat("2024-01-01"),
        ),
    ],
)
def test_value_arrives_typed(declaration: str, text: str, value: object, tmp_path: Path) -> None:
    """A value given as text has the type of its declaration in the notebook."""
    arrived = injected_value(declaration, text, tmp_path)
    assert arrived == value
    assert type(arrived) is type(value)


@pytest.mark.parametrize(
    ("declaration", "text"),
    [
        ("int = 3", "three"),
        ("str = ''", "not UTF-8: \udcff"),
        ("int = 3", "1.5"),
        ("int = 3", ""),
        ("int = 3", "null"),
        ("float = 3", "nan"),
        ("float = 3", "1e400"),
        ("bool = False", "maybe"),
        ("date = date(2013, 1, 1)", "2013-02-30"),
        ("date = date(2013, 1, 1)", "tomorrow"),
        ("Literal['auc', 'brier'] = 'auc'", "loss"),
        ("list[int] = []", "[1, 'a']"),
        ("list[int] = []", "1,2"),
        ("dict[str, int] = {}", "{"),
        ("Annotated[int, Field(ge=1, le=16)] = 6", "0"),
        ("Annotated[int, Field(ge=1, le=16)] = 6", "17"),
        ("Annotated[str, Field(max_length=3)] = 'a'", "four"),
        ("date = date(2013, 1, 1)", "0"),
        ("datetime.datetime = datetime.datetime(2013, 1, 1)", "2024"),
        ("list[date] = []", '["0"]'),
        ("list[date | None] = []", "[0]"),
        ("dict[date, int] = {}", '{"0": 1}'),
        ("list = [1]", "[NaN]"),
        ("list = [1]", "[1e400]"),
        ("dict = {}", '{"a": 1, "a": 2}'),
        ("list[int] = []", "[true]"),
        ("Literal[1, 'a'] = 1", JsonValue(True)),
        ("list[Literal[0, 1]] = []", "[true]"),
        ("str = ''", JsonValue(None)),
        ("str = ''", JsonValue(True)),
        ("str = ''", JsonValue(1.10)),
        ("int = 3", JsonValue(True)),
        ("float = 0.5", "9007199254740993"),
        ("float = 0.5", JsonValue(9007199254740993)),
        ("list[float] = []", "[1, 9007199254740993]"),
        ("dict[str, float] = {}", '{"a": 9007199254740993}'),
        ("typing.Sequence[date] = []", '["1372550400"]'),
        ("typing.Mapping[str, date] = {}", '{"a": "1372550400"}'),
        ("datetime.datetime = datetime.datetime(2013, 1, 1)", "2013-06-30T12:00:00.1234567"),
    ],
)
def test_wrong_value_refused(declaration: str, text: str) -> None:
    """A value of the wrong type or out of range is refused, and the error shows what was found."""
    declared = declarations(f"{IMPORTS}x: {declaration}")
    with pytest.raises(UsageError, match="parameter x: found ") as refused:
        parameters.parse({"x": text}, declared)
    assert repr(text) in str(refused.value)


def test_unknown_name_hints() -> None:
    """An unknown parameter is refused with the nearest name."""
    with pytest.raises(UsageError, match="no parameter 'max_dept'; did you mean max_depth"):
        parameters.parse({"max_dept": "3"}, declarations("max_depth = 3"))


def test_datetime_of_any_import() -> None:
    """`datetime` is what the cell imports: the class or the module."""
    given = {"at": "2013-06-30T12:00:00"}
    of_class = declarations("from datetime import datetime\nat: datetime = datetime(2013, 1, 1)")
    of_module = declarations("import datetime\nat: datetime.datetime = datetime.datetime(2013, 1, 1)")
    assert parameters.parse(given, of_class) == parameters.parse(given, of_module)


def test_values_in_declared_order() -> None:
    """The order in which parameters are given makes no difference to the notebook."""
    declared = declarations("a = 1\nb = 2")
    assert list(parameters.parse({"b": "4", "a": "3"}, declared)) == ["a", "b"]


def test_secret_from_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret comes from the variable of its name."""
    monkeypatch.setenv("API_TOKEN", "from-the-variable")
    assert parameters.secrets(declarations('token = Secret("API_TOKEN")')) == {"API_TOKEN": "from-the-variable"}
    assert Secret("API_TOKEN") == "from-the-variable"
    assert repr(Secret("API_TOKEN")) == "Secret('API_TOKEN')"


def test_secret_from_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret comes from the file of its name, less the line break at the end."""
    monkeypatch.setattr(secret, "SECRETS", tmp_path)
    (tmp_path / "API_TOKEN").write_text("from-the-file\n")
    assert Secret("API_TOKEN") == "from-the-file"


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "is not set"), ("short  \n", "has 5 characters; expected at least 6"), ("not-UTF-8-\udcff", "is not UTF-8")],
)
def test_secret_must_be_usable(text: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that is not set, or can't be redacted without harm, is refused."""
    monkeypatch.setenv("API_TOKEN", text)
    with pytest.raises(UsageError, match=message):
        parameters.secrets(declarations('token: str = Secret("API_TOKEN")'))


def test_secret_never_given() -> None:
    """A secret can't be given as a parameter, and the error doesn't repeat it."""
    declared = declarations('token: str = Secret("API_TOKEN")')
    with pytest.raises(UsageError, match="can't be given with -p") as refused:
        parameters.parse({"token": "in-the-clear"}, declared)
    assert "in-the-clear" not in str(refused.value)


def test_receipt_values_are_json() -> None:
    """Parameters are in a receipt as JSON has them: dates in ISO 8601."""
    values = {"day": datetime.date(2013, 6, 30), "depths": [1, 2]}
    assert parameters.json_values(values) == {"day": "2013-06-30", "depths": [1, 2]}


@pytest.mark.parametrize(
    ("values", "ordered"),
    [
        ({"c", "a", "b"}, ["a", "b", "c"]),
        ({10, 9, 8, 2**61}, [8, 9, 10, 2**61]),
        ({"a", 1, None}, ["a", 1, None]),
        (frozenset("cab"), ["a", "b", "c"]),
        ({"deep": [({"c", "a", "b"}, 1)]}, {"deep": [[["a", "b", "c"], 1]]}),
    ],
)
def test_sets_have_one_order(values: Any, ordered: Any) -> None:
    """A set is the same in every receipt, whatever order Python holds it in."""
    assert parameters.json_values({"chosen": values}) == {"chosen": ordered}


def test_mixed_set_is_injected() -> None:
    """A set of several types reaches the notebook, in one order too."""
    assert parameters.assignments({"chosen": {"a", 1}}) == "# Parameters\nchosen = set(['a', 1])"
