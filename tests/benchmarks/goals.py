"""The goals of the bench, and by how much they are reached or missed. A bench never fails for a missed goal."""

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from benchmarks import figures
from benchmarks.figures import Result, Results, number


@dataclass(frozen=True)
class Goal:
    """A figure of the bench, and the most that it may be; with `at_least`, the least.

    The figure is the `measure` of a subject, like `case subject`, or its ratio to another one, or what it takes beyond.
    With a load beside the bench the limit may be another.
    """

    title: str
    subject: str
    limit: float
    ratio: str = ""
    beyond: str = ""
    measure: str = "seconds"
    at_least: bool = False
    beside_load: float | None = None

    def figure(self, results: Results) -> float | None:
        """The figure; None where it was not measured."""
        case, subject = self.subject.split()
        names = (subject, self.ratio or self.beyond)
        one, other = (results.get(case, {}).get(name, Result()).values(self.measure) for name in names)
        if self.ratio or self.beyond:
            return figures.compared(one, other, operator.truediv if self.ratio else operator.sub)
        return figures.middle(one)

    def verdict(self, results: Results, load: int = 0) -> dict[str, Any]:
        """The figure, and the part of the limit by which it misses it: 0 or less is reached, None not measured."""
        figure, limit = self.figure(results), self.beside_load if load and self.beside_load else self.limit
        over = None if figure is None else (limit - figure if self.at_least else figure - limit) / limit
        unit = "x" if self.ratio else "MiB" if self.measure == "peak" else "s"
        expected = f"{'≥' if self.at_least else '≤'} {number(limit)} {unit}"
        return {"goal": self.title, "found": figure, "unit": unit, "expected": expected, "missed_by": over}


GOALS = (
    Goal("one cell, cold, to papermill at its leanest", "trivial samebook", 1, "papermill-best"),
    Goal("one cell, cold, processor", "trivial samebook", 1.2, "papermill-best", measure="cpu"),
    Goal("one cell, cold, memory", "trivial samebook", 90, measure="peak"),
    Goal("make run beyond samebook run", "trivial make-run", 0.3, beyond="samebook"),
    Goal("training, cold, to the script", "training samebook", 1.2, "script"),
    Goal("training, cold, to papermill at its leanest", "training samebook", 0.75, "papermill-best", beside_load=1),
    Goal("training, warm, to the script", "training samebook-warm", 0.55, "script"),
    Goal("300 cells, cold, to papermill without saves", "cells samebook", 1.1, "papermill-best"),
    Goal("300 cells, warm", "cells samebook-warm", 1.1, "papermill-best"),
    Goal("200 cells of 200 kB, cold, to papermill without saves", "outputs samebook", 1.1, "papermill-best"),
    Goal("200 cells of 200 kB, warm", "outputs samebook-warm", 1.1, "papermill-best"),
    Goal("sweep, throughput to papermill's loop", "sweep papermill-loop", 8, "samebook-sweep", at_least=True),
    Goal("sweep, throughput to xargs -P", "sweep papermill-xargs", 4.5, "samebook-sweep", at_least=True),
    Goal("scoring, speed to the bare predictor", "scoring bare", 0.95, "batched", at_least=True),
    Goal("scoring, memory", "scoring batched", 450, measure="peak"),
    Goal("the example's training, portable numerics to fast ones", "numerics training", 1.03, "training-fast"),
    Goal("samebook --help", "help samebook", 0.15),
    Goal("make lab, to jupyter lab alone", "lab make-lab", 1.5, "jupyter-lab"),
    Goal("first run, local", "first first-local", 35),
    Goal("first run, docker", "first first-docker", 90),
    Goal("reproduction beyond the run, local", "first reproduce-local", 3, beyond="next-local"),
    Goal("reproduction beyond the run, docker", "first reproduce-docker", 4, beyond="next-docker"),
)


def verdicts(results: Results, load: int = 0) -> list[dict[str, Any]]:
    return [goal.verdict(results, load) for goal in GOALS]


def table(verdicts: list[dict[str, Any]]) -> Iterator[str]:
    """The table of verdicts, one line a goal."""
    return figures.table([["goal", "found", "expected", ""], *map(_row, verdicts)])


def _row(verdict: dict[str, Any]) -> list[str]:
    missed, found = verdict["missed_by"], f"{number(verdict['found'])} {verdict['unit']}"
    by = "not measured" if missed is None else f"{'missed' if missed > 0 else 'reached'} by {abs(missed):.0%}"
    return [verdict["goal"], found, verdict["expected"], by]
