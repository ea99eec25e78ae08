"""Medians, ratios, spread, and the tables that show them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.trials import Measurement

# Seconds. A slow subject needs no round to warm up and is measured three times at most; a long one, once.
SLOW, ENOUGH = 20.0, 3
LONG = 60.0


@dataclass
class Result:
    """The result of a subject in a case: its rounds, or the reason that it is absent, or its error."""

    rounds: list[Measurement] = field(default_factory=list)
    absent: str = ""
    error: str = ""

    @property
    def seconds(self) -> list[float]:
        return [measurement.seconds for measurement in self.rounds]

    @property
    def is_known(self) -> bool:
        return bool(self.rounds) and not self.error

    def is_enough(self, repeats: int) -> bool:
        longest = max(self.seconds) if self.rounds else 0
        enough = 1 if longest > LONG else ENOUGH if longest > SLOW else repeats
        return len(self.rounds) >= min(repeats, enough)

    def as_json(self) -> dict[str, Any]:
        if not self.is_known:
            return {"error": self.error} if self.error else {"absent": self.absent}
        low, middle, high = spread(self.seconds)
        return {
            "median": middle,
            "low": low,
            "high": high,
            "rounds": [measurement.as_json() for measurement in self.rounds],
        }


type Results = Mapping[str, Mapping[str, Result]]


@dataclass(frozen=True)
class Figure:
    """A number, with the lowest and the highest of single rounds."""

    value: float
    low: float
    high: float

    @property
    def shown(self) -> str:
        return f"{number(self.value)} ({number(self.low)} to {number(self.high)})"


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """The lowest value, the median, the highest value."""
    return min(values), median(values), max(values)


def rotated[T](items: Sequence[T], turn: int) -> list[T]:
    """The items, starting with another one each turn, so that none is always the first."""
    start = turn % len(items) if items else 0
    return [*items[start:], *items[:start]]


def ratio(one: Result | None, other: Result | None) -> Figure | None:
    """The ratio of the medians; its spread is that of the rounds, each against its neighbour of the same round."""
    if not (one and other and one.is_known and other.is_known):
        return None
    pairs = [a / b for a, b in zip(one.seconds, other.seconds, strict=False)]
    return Figure(median(one.seconds) / median(other.seconds), min(pairs), max(pairs))


def number(value: float | None) -> str:
    """A number in three digits, without an exponent."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if value else "0"


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table: names flush left, numbers flush right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for first, *rest in rows:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        yield "  ".join(cells).rstrip()


def race_table(results: Mapping[str, Result], against: Sequence[str]) -> Iterator[str]:
    """The table of a case; below it, the subjects that are absent and those that failed."""
    shown = [name for name in against if name in results and results[name].is_known]
    rows = [["", "median s", "spread s", *(f"÷ {name}" for name in shown), "CPU s", "peak MiB", "rounds"]]
    for name, result in results.items():
        if result.is_known:
            rows.append([name, *_cells(result, [results[each] for each in shown])])
    if len(rows) > 1:
        yield from table(rows)
    for name, result in results.items():
        if result.error:
            yield f"{name}: error: {result.error}"
        elif result.absent:
            yield f"{name}: not there: {result.absent}"


def _cells(result: Result, others: Sequence[Result]) -> list[str]:
    low, middle, high = spread(result.seconds)
    ratios = [number(found.value if (found := ratio(result, other)) else None) for other in others]
    peaks = [each.peak for each in result.rounds if each.peak is not None]
    cpus = [each.cpu for each in result.rounds if each.cpu is not None]
    cpu, peak = median(cpus) if cpus else None, max(peaks) if peaks else None
    return [
        number(middle),
        f"{number(low)}-{number(high)}",
        *ratios,
        number(cpu),
        number(peak),
        str(len(result.rounds)),
    ]


def facts_table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Rows of any columns; the first column names the row."""
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if columns:
        cells = [[_shown(row.get(name)) for name in columns] for row in rows]
        yield from table([columns, *cells])


def _shown(value: Any) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return number(value) if is_number else "-" if value is None else str(value)
