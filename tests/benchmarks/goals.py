"""The goals of the bench, and by how much they are reached or missed. A bench never fails for a missed goal."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks import figures
from benchmarks.cost import TRAINING
from benchmarks.figures import Figure, Results, number

type Facts = Mapping[str, Sequence[Mapping[str, Any]]]
type Find = Callable[[Results, Facts], Figure | None]


@dataclass(frozen=True)
class Goal:
    """A figure of the bench, and the most that it may be; with `at_least`, the least."""

    title: str
    find: Find
    limit: float
    at_least: bool = False
    unit: str = "x"

    def missed_by(self, value: float) -> float:
        """The part of the limit by which a value misses it; 0 or less: reached."""
        return (self.limit - value if self.at_least else value - self.limit) / self.limit


def ratio(case: str, one: str, other: str) -> Find:
    """The ratio of the medians of two subjects of a case."""
    return lambda results, _: figures.ratio(_of(results, case, one), _of(results, case, other))


def seconds(case: str, subject: str) -> Find:
    """The median of a subject."""

    def find(results: Results, _: Facts) -> Figure | None:
        result = _of(results, case, subject)
        if not (result and result.is_known):
            return None
        low, middle, high = figures.spread(result.seconds)
        return Figure(middle, low, high)

    return find


def added(case: str, one: str, other: str) -> Find:
    """The seconds that one subject takes beyond another, round by round."""

    def find(results: Results, _: Facts) -> Figure | None:
        first, second = _of(results, case, one), _of(results, case, other)
        if not (first and second and first.is_known and second.is_known):
            return None
        low, middle, high = figures.spread([a - b for a, b in zip(first.seconds, second.seconds, strict=False)])
        return Figure(middle, low, high)

    return find


def scored(variant: str, column: str, other: str = "") -> Find:
    """A column of a scoring variant; with `other`, the ratio of that variant's value to this one's."""

    def find(_: Results, facts: Facts) -> Figure | None:
        values = {row.get("variant"): row.get(column) for row in facts.get("scoring", ())}
        one, above = values.get(variant), values.get(other) if other else None
        if not isinstance(one, int | float) or (other and not isinstance(above, int | float)):
            return None
        value = one if above is None else above / one
        return Figure(value, value, value)

    return find


def cost(computation: str) -> Find:
    """The ratio of a computation's medians, with portable numerics and with fast ones."""

    def find(_: Results, facts: Facts) -> Figure | None:
        ratios = {row["computation"]: row["portable ÷ fast"] for row in facts.get("numerics", ())}
        return Figure(*[ratios[computation]] * 3) if computation in ratios else None

    return find


# Variants of scoring.py: the way of the notebook predict, and the bare predictor on rows in memory.
SCORED, BARE = "batched", "bare"
GOALS = (
    Goal("training, cold, to the script", ratio("training", "samebook", "script"), 1.35),
    Goal("training, cold, to papermill at its leanest", ratio("training", "samebook", "papermill-best"), 0.65),
    Goal("training, warm, to the script", ratio("training", "samebook-warm", "script"), 0.55),
    Goal("300 cells, to papermill without saves", ratio("cells", "samebook", "papermill-best"), 1.1),
    Goal("200 cells of 200 kB, to papermill without saves", ratio("outputs", "samebook", "papermill-best"), 1.1),
    Goal(
        "sweep, throughput to papermill's loop", ratio("sweep", "papermill-loop", "samebook-sweep"), 10, at_least=True
    ),
    Goal("sweep, throughput to xargs -P", ratio("sweep", "papermill-xargs", "samebook-sweep"), 5, at_least=True),
    Goal("scoring, speed to the bare predictor", scored(SCORED, "seconds", BARE), 0.95, at_least=True),
    Goal("scoring, memory", scored(SCORED, "peak_mib"), 450, unit="MiB"),
    Goal("the example's training, portable numerics to fast ones", cost(TRAINING), 1.03),
    Goal("samebook --help", seconds("help", "samebook"), 0.15, unit="s"),
    Goal("make run beyond samebook run", added("trivial", "make-run", "samebook"), 0.3, unit="s"),
    Goal("make lab, to jupyter lab alone", ratio("lab", "make-lab", "jupyter-lab"), 1.5),
)


def verdicts(results: Results, facts: Facts) -> Iterator[dict[str, Any]]:
    """The figure and the limit of each goal, and whether it was reached; None where it was not measured."""
    for goal in GOALS:
        figure = goal.find(results, facts)
        values = {"value": figure.value, "low": figure.low, "high": figure.high} if figure else {"value": None}
        missed = goal.missed_by(figure.value) if figure else None
        reached = None if missed is None else missed <= 0
        limit = {"limit": goal.limit, "at_least": goal.at_least, "unit": goal.unit}
        yield {"goal": goal.title, **values, **limit, "reached": reached, "missed_by": missed}


def table(verdicts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The table of verdicts, one line a goal."""
    yield from figures.table([["goal", "found", "expected", ""], *(_line(verdict) for verdict in verdicts)])


def _line(verdict: Mapping[str, Any]) -> list[str]:
    unit = verdict["unit"]
    expected = f"{'≥' if verdict['at_least'] else '≤'} {number(verdict['limit'])} {unit}"
    if verdict["value"] is None:
        return [verdict["goal"], "-", expected, "not measured"]
    figure = Figure(verdict["value"], verdict["low"], verdict["high"]).shown
    by = f"{abs(verdict['missed_by']):.0%}"
    return [
        verdict["goal"],
        f"{figure} {unit}",
        expected,
        f"reached by {by}" if verdict["reached"] else f"missed by {by}",
    ]


def _of(results: Results, case: str, subject: str) -> figures.Result | None:
    return results.get(case, {}).get(subject)
