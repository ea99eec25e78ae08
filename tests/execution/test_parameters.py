"""What a parameters cell may say, what a notebook may be given, and how it gets there."""

import datetime
import runpy
from pathlib import Path
from typing import Any

import pytest

from samebook.core import secret
from samebook.core.errors import UsageError
from samebook.execution import parameters

IMPORTS = """import datetime
from typing import Annotated, Any, Literal, Optional
from pydantic import Field
from datetime import date, timedelta
"""


def injected(declaration: str, text: str, folder: Path) -> Any:
    """What `x` is in the notebook when its cell says `x: DECLARATION` and `-p x=TEXT` is given."""
    source = f"{IMPORTS}x: {declaration}\n"
    cells = folder / "cells.py"
    cells.write_text(source + parameters.injected(parameters.parsed({"x": text}, parameters.declared(source))))
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
    ],
)
def test_value_arrives_typed(declaration: str, text: str, value: object, tmp_path: Path) -> None:
    """A value given as text is in the notebook what its declaration says."""
    found = injected(declaration, text, tmp_path)
    assert found == value
    assert type(found) is type(value)


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
    ],
)
def test_wrong_value_refused(declaration: str, text: str) -> None:
    """A value of the wrong type or out of range is refused, and the error shows what was found."""
    declared = parameters.declared(f"{IMPORTS}x: {declaration}")
    with pytest.raises(UsageError, match="parameter x: found ") as refused:
        parameters.parsed({"x": text}, declared)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    "value",
    [
        "open('{pwned}', 'w')",
        "__import__('os').system('touch {pwned}')",
        "typing.sys.modules['os'].system('touch {pwned}').x()",
        "().__class__.__base__.__subclasses__()",
        "().__class__",
        "date.__subclasses__",
        "typing.sys.modules",
        "date.today()",
        "(lambda: 1)()",
        "[n for n in (1, 2)]",
        "f'{{1}}'",
        "9 ** 9 ** 9",
        "'a' * 9",
        "int('3')",
        "[*'ab']",
        "x",
    ],
)
def test_default_runs_nothing(value: str, tmp_path: Path) -> None:
    """A default that is more than a plain value is refused, and nothing of it is run."""
    pwned = tmp_path / "pwned"
    with pytest.raises(UsageError):
        parameters.declared(f"x = {value.format(pwned=pwned)}")
    assert not pwned.exists()


@pytest.mark.parametrize(
    "annotation", ['"{call}"', 'list["{call}"]', '"{call}" | None', "{call}", "Annotated['{call}', 1]"]
)
def test_annotation_runs_nothing(annotation: str, tmp_path: Path) -> None:
    """An annotation is never run, not even as a text in quotes, which pydantic would evaluate."""
    pwned = tmp_path / "pwned"
    call = f"__import__('pathlib').Path('{pwned}').touch()"
    with pytest.raises(UsageError):
        parameters.declared(f"x: {annotation.format(call=call)} = 1")
    assert not pwned.exists()


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("x = 1\nfor y in ():\n    pass", "line 2"),
        ("x: int", "found `x: int`"),
        ("x, y = 1, 2", "expected imports and assignments"),
        ("x += 1", "line 1"),
        ("%matplotlib inline", "not Python"),
        ("x: itn = 3", "'itn' is not defined"),
        ("x: [int] = []", "its type is not usable"),
        ("x: Annotated[int, Field(ge='a')] = 3", "its type is not usable"),
        ("x = Secret()", 'expected `Secret("NAME")`'),
        ("x = Secret(name)", 'expected `Secret("NAME")`'),
    ],
)
def test_cell_must_be_plain(source: str, told: str) -> None:
    """A parameters cell that is more than imports and plain assignments is refused, with the place and the reason."""
    with pytest.raises(UsageError) as refused:
        parameters.declared(source)
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "declaration",
    [
        "int = None",
        "int = '3'",
        "date = '2013-01-01'",
        "Literal['a'] = 'b'",
        "Annotated[int, Field(ge=1)] = 0",
        "list[int] = ['a']",
    ],
)
def test_default_keeps_type(declaration: str) -> None:
    """A default that breaks its own declaration is refused: the notebook would get it as it stands."""
    with pytest.raises(UsageError, match=r"parameter x: its default .* breaks its own type"):
        parameters.declared(f"x: {declaration}")


def test_unannotated_has_default_type() -> None:
    """A parameter without an annotation has the type of its default."""
    declared = parameters.declared("depth = 3\nname = 'a'\nshare = 0.5\n'a note'")
    assert [parameter.annotation for parameter in declared.values()] == [int, str, float]


def test_unknown_name_hints() -> None:
    """An unknown parameter is refused with the nearest name."""
    with pytest.raises(UsageError, match="no parameter 'max_dept'; did you mean max_depth"):
        parameters.parsed({"max_dept": "3"}, parameters.declared("max_depth = 3"))


def test_datetime_of_any_import() -> None:
    """`datetime` is what the cell imports: the class or the module."""
    given = {"at": "2013-06-30T12:00:00"}
    of_class = parameters.declared("from datetime import datetime\nat: datetime = datetime(2013, 1, 1)")
    of_module = parameters.declared("import datetime\nat: datetime.datetime = datetime.datetime(2013, 1, 1)")
    assert parameters.parsed(given, of_class) == parameters.parsed(given, of_module)


def test_values_in_declared_order() -> None:
    """The order in which parameters are given makes no difference to the notebook."""
    declared = parameters.declared("a = 1\nb = 2")
    assert list(parameters.parsed({"b": "4", "a": "3"}, declared)) == ["a", "b"]


def test_secret_from_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret comes from the variable of its name."""
    monkeypatch.setenv("API_TOKEN", "from-the-variable")
    assert parameters.secrets(parameters.declared('token = Secret("API_TOKEN")')) == {"API_TOKEN": "from-the-variable"}
    assert parameters.Secret("API_TOKEN") == "from-the-variable"
    assert repr(parameters.Secret("API_TOKEN")) == "Secret('API_TOKEN')"


def test_secret_from_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A secret comes from the file of its name, less the line break at the end."""
    monkeypatch.setattr(secret, "SECRETS", tmp_path)
    (tmp_path / "API_TOKEN").write_text("from-the-file\n")
    assert parameters.Secret("API_TOKEN") == "from-the-file"


@pytest.mark.parametrize(("text", "told"), [("", "is not set"), ("short", "expected at least 6")])
def test_secret_must_be_usable(text: str, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret that is not set, or too short to be redacted without harm, is refused."""
    monkeypatch.setenv("API_TOKEN", text)
    with pytest.raises(UsageError, match=told):
        parameters.secrets(parameters.declared('token: str = Secret("API_TOKEN")'))


def test_secret_never_given() -> None:
    """A secret can't be given as a parameter, and the error doesn't repeat it."""
    declared = parameters.declared('token: str = Secret("API_TOKEN")')
    with pytest.raises(UsageError, match="can't be given with -p") as refused:
        parameters.parsed({"token": "in-the-clear"}, declared)
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
        ({"deep": [({"c", "a", "b"}, 1)]}, {"deep": [[["a", "b", "c"], 1]]}),
    ],
)
def test_sets_have_one_order(values: Any, ordered: Any) -> None:
    """A set is the same in every receipt, whatever order Python holds it in."""
    assert parameters.json_values({"chosen": values}) == {"chosen": ordered}


def test_mixed_set_is_injected() -> None:
    """A set of several types reaches the notebook, in one order too."""
    assert parameters.injected({"chosen": {"a", 1}}) == "# Parameters\nchosen = set(['a', 1])"
