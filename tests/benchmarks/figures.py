"""Results, medians, ratios, spread, and the tables that show them, in Markdown."""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Self

from benchmarks.trials import FailedTrial, Measurement

# Seconds. A slow subject needs no round to warm up and is measured three times at most; a long one, once.
SLOW, ENOUGH = 20.0, 3
LONG = 60.0


@dataclass
class Result:
    """The result of a subject in a case: its rounds, or its error."""

    rounds: list[Measurement] = field(default_factory=list)
    error: str = ""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """The result of what `as_json` gave."""
        return cls([Measurement(**each) for each in record.get("rounds", ())], record.get("error", ""))

    @contextmanager
    def guard(self) -> Iterator[None]:
        """Keep the failure of a block as this subject's, because it does not end a bench."""
        try:
            yield
        except FailedTrial as error:
            self.error = str(error)
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"

    def values(self, unit: str = "seconds") -> list[float]:
        """The known `seconds`, `cpu` or `peak` of the rounds; none of a subject that failed in one."""
        values = [getattr(measurement, unit) for measurement in self.rounds if not self.error]
        return [value for value in values if value is not None]

    def is_enough(self, repeats: int) -> bool:
        """Whether it has failed, or was measured often enough."""
        longest = max((measurement.seconds for measurement in self.rounds), default=0)
        enough = min(repeats, 1 if longest > LONG else ENOUGH if longest > SLOW else repeats)
        return bool(self.error) or len(self.rounds) >= enough

    def as_json(self) -> dict[str, Any]:
        if not (seconds := self.values()):
            return {"error": self.error}
        medians = {"median": median(seconds), "cpu": middle(self.values("cpu")), "peak": middle(self.values("peak"))}
        rounds = [vars(measurement) for measurement in self.rounds]
        return {**medians, "low": min(seconds), "high": max(seconds), "rounds": rounds}


type Results = Mapping[str, Mapping[str, Result]]


def middle(values: Sequence[float]) -> float | None:
    """The median; None of no values."""
    return median(values) if values else None


def compared(
    one: Sequence[float], other: Sequence[float], how: Callable[[float, float], float] = operator.truediv
) -> float | None:
    """The ratio of two medians, or their difference; None where one was not measured."""
    return how(median(one), median(other)) if one and other else None


def number(value: float | None) -> str:
    """A number in three digits, without an exponent."""
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}" if value else "0"


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table: names flush left, numbers flush right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    ruler = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    for first, *rest in [rows[0], ruler, *rows[1:]]:
        cells = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(rest, widths[1:], strict=True))]
        yield f"| {' | '.join(cells)} |"


def case_table(results: Mapping[str, Result], against: Sequence[str]) -> Iterator[str]:
    """The table of a case; below it, the subjects that failed.

    Each subject is compared with those `against`; one that begins with a hyphen is the end of the other's name.
    """
    others = [name for name in against if any(each.endswith(name) for each in results)]
    rows = [["", "median s", "spread s", *(f"÷ {name}" for name in others), "CPU s", "peak MiB", "rounds"]]
    for name, result in results.items():
        if seconds := result.values():
            compare = [results.get(name + other if other.startswith("-") else other, Result()) for other in others]
            ratios = [compared(seconds, other.values()) for other in compare]
            shown = map(number, [*ratios, *(middle(result.values(unit)) for unit in ("cpu", "peak"))])
            spread = f"{number(min(seconds))}-{number(max(seconds))}"
            rows.append([name, number(median(seconds)), spread, *shown, str(len(seconds))])
    yield from table(rows)
    yield from (f"{name}: error: {result.error}" for name, result in results.items() if result.error)


def overview(results: Results) -> Iterator[str]:
    """The medians of the notebooks in seconds, a line for each, as on the page of performance."""
    all_columns = ("script", "papermill", "papermill-best", "samebook", "samebook-warm")
    columns = [name for name in all_columns if any(name in subjects for subjects in results.values())]
    found = {case: subjects for case, subjects in results.items() if subjects.keys() >= set(columns)}
    rows = [[case, *(number(middle(subjects[name].values())) for name in columns)] for case, subjects in found.items()]
    yield from table([["median s", *columns], *rows])
