"""Parameter sets: from a grid, by draws, from files; all mistakes are reported at once."""

from pathlib import Path

import pytest

from samebook.cli.options import PairsType
from samebook.core.errors import UsageError
from samebook.execution import grids
from samebook.execution.json_value import JsonValue
from samebook.execution.parameters_cell import declarations

PARAMETERS = declarations(
    "from typing import Annotated, Literal\nfrom pydantic import Field\n"
    "depth: Annotated[int, Field(ge=1, le=9)] = 6\nrate: float = 0.1\nkind: str = 'a'"
)


def axes(text: str) -> list[grids.Axis]:
    return grids.axes(PairsType().convert(text, None, None), PARAMETERS)


def test_grid_is_every_combination() -> None:
    """A grid has every combination, in order, the last name changing first."""
    sets = list(grids.combinations(axes("depth=3,5 kind=a, b")))
    assert sets == [{"depth": depth, "kind": kind} for depth in ("3", "5") for kind in ("a", "b")]


def test_grid_of_json_lists() -> None:
    """A grid may be a JSON object of lists, whose values keep their types."""
    sets = list(grids.combinations(axes('{"depth": [3], "kind": ["a,b", "null"]}')))
    assert sets == [{"depth": "3", "kind": "a,b"}, {"depth": "3", "kind": "null"}]
    assert len(grids.check([{"kind": JsonValue(None)}, {"kind": JsonValue("null")}], declarations("kind = None"))) == 2


def test_draws_are_seeded() -> None:
    """The same seed draws the same sets, within their ranges; another draws others."""
    ranges = axes("depth=2:4 rate=0.001:1:log kind=a,b")
    first, again, other = (list(grids.draw(ranges, 50, seed, PARAMETERS)) for seed in (1, 1, 2))
    assert first == again != other
    assert {values["depth"] for values in first} == {"2", "3", "4"}
    assert all(0.001 <= float(values["rate"]) <= 1 for values in first)
    assert sum(float(values["rate"]) < 0.032 for values in first) > 10
    assert {values["kind"] for values in first} == {"a", "b"}


def test_draws_stay_in_range() -> None:
    """A float with a whole default draws floats, and no number is rounded out of its range."""
    parameters = declarations("rate: float = 1\nfine: float = 0.1\ndepth: int = 3")
    ranges = grids.axes([("rate", "0.1:0.9"), ("fine", "0.1234567:0.1234568")], parameters)
    for values in grids.draw(ranges, 20, 1, parameters):
        assert 0.1 <= float(values["rate"]) <= 0.9
        assert 0.1234567 <= float(values["fine"]) <= 0.1234568
    with pytest.raises(UsageError, match="expected low:high, with a whole number between them") as error:
        grids.axes([("depth", "0.2:0.8")], parameters)
    assert error.value.mend == 'again, with GRID="depth=1:10"'


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "depth,kind\n3,a\n5,\n", [{"depth": "3", "kind": "a"}, {"depth": "5"}]),
        ("a.csv", '\ufeffkind\n"a,b"\n', [{"kind": "a,b"}]),
        ("a.csv", 'kind,depth\n"two\r\nlines",3\n', [{"kind": "two\r\nlines", "depth": "3"}]),
        ("a.jsonl", '{"kind": "two\u2028lines"}\n', [{"kind": "two\u2028lines"}]),
        ("a.jsonl", '{"depth": 3}\n\n{"kind": "x y", "rate": 0.5}\n', [{"depth": "3"}, {"kind": "x y", "rate": "0.5"}]),
    ],
)
def test_sets_from_a_file(name: str, text: str, expected: list[grids.ParameterSet], tmp_path: Path) -> None:
    """A line is a set, in CSV as in JSON lines; an empty cell leaves its parameter alone."""
    (tmp_path / name).write_bytes(text.encode())
    assert grids.read(tmp_path / name) == expected


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "depth,kind\n3\n", "line 2 has more, or fewer, cells"),
        ("a.csv", "depth\n3,4\n", "line 2 has more, or fewer, cells"),
        ("a.jsonl", '{"depth": 3}\n[1]\n', "line 2: found '[1]'; expected a JSON object"),
        ("a.csv", "opt,n,n\na,1,2\n", "the column 'n' is there twice"),
        ("a.jsonl", '{"n": 1, "n": 2}\n', "line 1: expected a JSON object; 'n' is there twice"),
        ("a.jsonl", '{"n": NaN}\n', "line 1: expected a JSON object; found NaN"),
        ("a.jsonl", "depth=3\n", "line 1: expected a JSON object"),
    ],
)
def test_broken_file_is_refused(name: str, text: str, message: str, tmp_path: Path) -> None:
    """A file that is neither is refused, with the line."""
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError) as refused:
        grids.read(tmp_path / name)
    assert message in str(refused.value)


def test_all_mistakes_are_reported() -> None:
    """Wrong names and values are reported all at once, and none twice."""
    sets = list(grids.combinations(axes("dept=1,2 depth=3,99,x rate=fast")))
    with pytest.raises(UsageError) as refused:
        grids.check(sets, PARAMETERS)
    message = str(refused.value)
    for wrong in (
        "no parameter 'dept'; did you mean depth?",
        "depth: found '99'",
        "depth: found 'x'",
        "rate: found 'fast'",
    ):
        assert message.count(wrong) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("depth=1:3", "parameter depth has a range"),
        ("depth=3:1", "found '3:1'; expected low:high"),
        ("rate=0:1:log", "expected low:high above 0"),
        ("depth=1:1e999", "expected low:high, as finite numbers"),
        ("rate=1:1e999:log", "expected low:high above 0 for a logarithmic scale, as finite numbers"),
        ("rate=-1e308:1e308", "expected low:high, as finite numbers"),
        ("depth=1 depth=2", "parameter depth is in the grid twice"),
    ],
)
def test_range_must_make_sense(text: str, message: str) -> None:
    """A range without draws, upside down, without an end, or without a logarithm is refused."""
    with pytest.raises(UsageError) as refused:
        list(grids.combinations(axes(text)))
    assert message in str(refused.value)


def test_equal_sets_count_once() -> None:
    """A set that occurs twice runs once."""
    assert grids.check([{"depth": "3"}, {"depth": "3"}], PARAMETERS) == [{"depth": "3"}]
