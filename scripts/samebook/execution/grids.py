"""Parameter sets of a sweep: every combination of a grid, draws from it, or the lines of a file."""

import csv
import io
import itertools
import math
import re
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samebook.core.digest import parse_json
from samebook.core.errors import UsageError
from samebook.core.text import repeated_name
from samebook.execution.json_value import JsonValue, json_object
from samebook.execution.parameters import Parameter, parse

if TYPE_CHECKING:
    from numpy.random import Generator

type ParameterSet = dict[str, str]

RANGE = re.compile(r"(-?[\d.eE+-]+):(-?[\d.eE+-]+)(:log)?")
# Significant digits of a drawn number: enough for any search, and short in a name.
DIGITS = 6


@dataclass(frozen=True)
class Axis:
    """A parameter of a grid: its values, or the range that numbers are drawn from, on a logarithmic scale or not."""

    name: str
    values: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 0.0
    is_log: bool = False

    @property
    def is_range(self) -> bool:
        return not self.values


def axes(grid: Sequence[tuple[str, str]], parameters: Mapping[str, Parameter]) -> list[Axis]:
    """The axes of `max_depth=3,5,7 learning_rate=0.01:0.3:log`. Raises UsageError for a name that occurs twice."""
    names = [name for name, _ in grid]
    if name := repeated_name(names):
        raise UsageError(f"parameter {name} is in the grid twice", mend=f'again, with GRID="{name}=3,5"')
    return [_axis(name, text, parameters) for name, text in grid]


def _axis(name: str, text: str, parameters: Mapping[str, Parameter]) -> Axis:
    match = RANGE.fullmatch(text)
    if match is None or not _is_number(name, parameters):
        return Axis(name, _values(text))
    try:
        axis = Axis(name, (), float(match[1]), float(match[2]), bool(match[3]))
    except ValueError:
        return Axis(name, (text,))
    is_whole, is_endless = _is_whole(parameters[name]), not math.isfinite(axis.high - axis.low)
    is_empty = is_whole and not is_endless and math.ceil(axis.low) > math.floor(axis.high)
    if axis.low > axis.high or is_empty or is_endless or (axis.is_log and axis.low <= 0):
        expected = "low:high" + (" above 0 for a logarithmic scale" if axis.is_log else "")
        expected += ", as finite numbers" if is_endless else ", with a whole number between them" if is_empty else ""
        raise UsageError(
            f"parameter {name}: found {text!r}; expected {expected}",
            mend=f'again, with GRID="{name}={"1:10" if is_whole else "0.01:0.3"}{":log" if axis.is_log else ""}"',
        )
    return axis


def _values(text: str) -> tuple[str, ...]:
    """The values of `3,5,7`, or of a JSON list."""
    if not isinstance(text, JsonValue) or isinstance(text.value, str):
        return tuple(part.strip() for part in text.split(","))
    return tuple(map(JsonValue, text.value if isinstance(text.value, list) else [text.value]))


def _is_number(name: str, parameters: Mapping[str, Parameter]) -> bool:
    default = parameters[name].default if name in parameters else None
    return isinstance(default, int | float) and not isinstance(default, bool)


def combinations(axes: Sequence[Axis]) -> Iterator[ParameterSet]:
    """Every combination, the last axis changing first. Raises UsageError for a range, which has no end of values."""
    if ranges := [axis.name for axis in axes if axis.is_range]:
        raise UsageError(f"parameter {ranges[0]} has a range, from which values are drawn", mend="again, with DRAWS=20")
    for values in itertools.product(*(axis.values for axis in axes)):
        yield dict(zip((axis.name for axis in axes), values, strict=True))


def draw(axes: Sequence[Axis], draws: int, seed: int, parameters: Mapping[str, Parameter]) -> Iterator[ParameterSet]:
    """As many sets as `draws`, each axis drawn by itself; the same seed draws the same."""
    import numpy as np

    generator = np.random.default_rng(seed)
    for _ in range(draws):
        yield {axis.name: _draw_value(axis, generator, parameters) for axis in axes}


def _draw_value(axis: Axis, generator: "Generator", parameters: Mapping[str, Parameter]) -> str:
    if not axis.is_range:
        return axis.values[int(generator.integers(len(axis.values)))]
    low, high = (math.log(axis.low), math.log(axis.high)) if axis.is_log else (axis.low, axis.high)
    value = low + (high - low) * generator.random()
    value = math.exp(value) if axis.is_log else value
    if _is_whole(parameters[axis.name]):
        return str(min(max(round(value), math.ceil(axis.low)), math.floor(axis.high)))
    text = f"{value:.{DIGITS}g}"
    return text if axis.low <= float(text) <= axis.high else repr(value)


def _is_whole(parameter: Parameter) -> bool:
    """Whether a parameter takes whole numbers alone; one of floats may have a whole default, as `rate: float = 1`."""
    return isinstance(parameter.default, int) and float not in _kinds(parameter.annotation)


def _kinds(kind: Any) -> Iterator[Any]:
    """A type, and those in it."""
    yield kind
    for part in typing.get_args(kind):
        yield from _kinds(part)


def read(path: Path) -> list[ParameterSet]:
    """The sets in a CSV file with a header, or in one of JSON lines; an empty cell leaves the parameter alone."""
    # Line breaks as they are, and only where CSV and JSON lines have them: a quoted cell may hold one.
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: {error}; expected UTF-8", mend=f"edit {path}") from None
    if path.suffix == ".csv":
        try:
            rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
            names = rows.fieldnames or ()
            if name := repeated_name(names):
                raise ValueError(f"the column {name!r} is there twice")
            return [_row(row, rows.line_num) for row in rows]
        except (csv.Error, ValueError) as error:
            raise UsageError(f"{path}: {error}", mend=f"edit {path}") from None
    lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    return [_line(path, number, line) for number, line in lines]


def _row(row: Mapping[str | None, str | None], number: int) -> ParameterSet:
    if None in row or None in row.values():
        raise ValueError(f"line {number} has more, or fewer, cells than the header")
    return {str(name): str(text) for name, text in row.items() if text}


def _line(path: Path, number: int, line: str) -> ParameterSet:
    try:
        values = parse_json(line)
    except ValueError as error:
        raise UsageError(f"{path}, line {number}: expected a JSON object; {error}", mend=f"edit {path}") from None
    if not isinstance(values, dict):
        raise UsageError(f"{path}, line {number}: found {line[:40]!r}; expected a JSON object", mend=f"edit {path}")
    return {name: JsonValue(value) for name, value in values.items()}


def check(sets: Sequence[ParameterSet], parameters: Mapping[str, Parameter]) -> list[ParameterSet]:
    """The sets without repetitions. Raises UsageError with every mistake in any of them."""
    distinct = list({json_object(values): values for values in sets}.values())
    mistakes, mend = dict[str, None](), None
    pairs = {json_object({name: text}): (name, text) for values in distinct for name, text in values.items()}
    for name, text in pairs.values():
        try:
            parse({name: text}, parameters)
        except UsageError as error:
            mistakes[str(error)], mend = None, mend or error.mend
    if mistakes:
        raise UsageError("\n  ".join(("the sweep can't run:", *mistakes)), mend=mend)
    if not distinct:
        raise UsageError("found no parameter set", mend='make sweep NOTEBOOK=train GRID="max_depth=3,5,7"')
    return distinct
