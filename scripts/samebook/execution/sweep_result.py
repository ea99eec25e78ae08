"""The result of a sweep: each parameter set with its run and its metrics, as a table, as CSV, and as a picture."""

import csv
import datetime
import io
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from samebook.core.text import align
from samebook.execution.grids import ParameterSet
from samebook.execution.json_value import json_object
from samebook.records.summary import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 20
LARGEST = 1e100
COLOR, BEST = "#33618d", "#c1440e"


@dataclass(frozen=True)
class Outcome:
    """The outcome of a parameter set: its run and metrics, or its error. `is_new`: this sweep has run it."""

    parameters: ParameterSet
    run: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    error: str = ""
    is_new: bool = True

    @classmethod
    def of(cls, parameters: ParameterSet, run: Run, *, is_new: bool = True) -> "Outcome":
        return cls(parameters, run.id, run.metrics, run.error, is_new)


@dataclass
class Sweep:
    """The sets that have run so far; `metric` is the one to compare them by, by default the first that a run has."""

    notebook: str
    metric: str = ""
    minimize: bool = False
    outcomes: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.metric = self.metric or next(iter(outcome.metrics), "")

    @property
    def failed(self) -> list[Outcome]:
        return [outcome for outcome in self.outcomes if outcome.error]

    def ranked(self) -> list[Outcome]:
        """The sets that have the metric, the best first; equal ones by their set."""
        scored = [outcome for outcome in self.outcomes if self.metric in outcome.metrics]
        sign = 1 if self.minimize else -1
        return sorted(scored, key=lambda outcome: (sign * outcome.metrics[self.metric], key(outcome.parameters)))


def key(parameters: ParameterSet) -> str:
    """A parameter set as one text, the same for equal sets."""
    return json_object(parameters)


def description(parameters: ParameterSet) -> str:
    """A parameter set as a person types it: `max_depth=3 eta=0.1`."""
    return " ".join(f"{name}={text}" for name, text in parameters.items())


def progress(sweep: Sweep, outcome: Outcome, done: int, total: int, seconds: float) -> str:
    """One line: sets done of the total, the time that is left, this outcome, and the best so far."""
    left = datetime.timedelta(seconds=round(seconds / done * (total - done)))
    best = next(iter(sweep.ranked()), None)
    so_far = f"; best {best.metrics[sweep.metric]:.6g}: {description(best.parameters)}" if best else ""
    return f"{done:>5}/{total}  {left} left  {description(outcome.parameters)}  {_state(sweep, outcome)}{so_far}"


def _state(sweep: Sweep, outcome: Outcome) -> str:
    if outcome.error:
        return f"failed: {outcome.error.splitlines()[0]}"
    value = outcome.metrics.get(sweep.metric)
    return "done" if value is None else f"{sweep.metric} {value:.6g}"


def table(sweep: Sweep) -> str:
    """The best sets with their metric and run, then the failed ones with their errors."""
    ranked = sweep.ranked()
    names = _names(sweep.outcomes)
    rows = [[*names, sweep.metric or "metric", "run"]]
    rows += [
        [*_cells(outcome, names), f"{outcome.metrics[sweep.metric]:.6g}", outcome.run] for outcome in ranked[:SHOWN]
    ]
    lines = align(rows)
    lines += [f"... and {len(ranked) - SHOWN} more"] if len(ranked) > SHOWN else []
    repeated = sum(not outcome.is_new for outcome in sweep.outcomes)
    ran = len(sweep.outcomes) - repeated - len(sweep.failed)
    lines += [f"{ran} ran, {repeated} done already, {len(sweep.failed)} failed"]
    failures = (f"  {description(outcome.parameters)}: {outcome.error}" for outcome in sweep.failed)
    return "\n".join((*lines, *failures))


def as_csv(sweep: Sweep) -> str:
    """A line for each set, in the order of the table, then the failed ones: parameters, metrics, run, error."""
    names = _names(sweep.outcomes)
    metrics = list(dict.fromkeys(name for outcome in sweep.outcomes for name in outcome.metrics))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, *metrics, "run", "error"])
    ranked = sweep.ranked()
    for outcome in (*ranked, *(other for other in sweep.outcomes if other not in ranked)):
        values = [outcome.metrics.get(name, "") for name in metrics]
        writer.writerow([*_cells(outcome, names), *values, outcome.run, outcome.error])
    return text.getvalue()


def _names(outcomes: Iterable[Outcome]) -> list[str]:
    """The names of the parameters, in the order in which they first appear."""
    return list(dict.fromkeys(name for outcome in outcomes for name in outcome.parameters))


def _cells(outcome: Outcome, names: Iterable[str]) -> list[str]:
    return [outcome.parameters.get(name, "") for name in names]


def picture(sweep: Sweep) -> bytes:
    """A PNG: the metric against each parameter that varies, the best set marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ranked = sweep.ranked()
    names = [name for name in _names(ranked) if _varies(ranked, name)]
    figure = Figure(figsize=(max(3.4 * len(names), 4), 3.4), layout="constrained")
    for position, name in enumerate(names, 1):
        _draw(figure.add_subplot(1, len(names), position), sweep, ranked, name)
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})
    return content.getvalue()


def _varies(outcomes: list[Outcome], name: str) -> bool:
    return len({outcome.parameters.get(name) for outcome in outcomes}) > 1


def _draw(axes: "Axes", sweep: Sweep, ranked: list[Outcome], name: str) -> None:
    texts = [outcome.parameters.get(name, "") for outcome in ranked]
    positions: list[float] = list(map(_number, texts))
    if is_text := any(position != position for position in positions):
        categories = sorted(set(texts))
        positions = [float(categories.index(text)) for text in texts]
        axes.set_xticks(range(len(categories)), categories)
    scores = [outcome.metrics[sweep.metric] for outcome in ranked]
    axes.plot(positions, scores, "o", color=COLOR, markersize=4, alpha=0.7)
    axes.plot(positions[:1], scores[:1], "o", color=BEST, markersize=7)
    if not is_text and min(positions) > 0 and max(positions) / min(positions) >= 100:
        axes.set_xscale("log")
    axes.set(xlabel=name, ylabel=sweep.metric)


def _number(text: str) -> float:
    """The number of a text; NaN where it is not one, or a larger one than a picture can have."""
    try:
        return number if abs(number := float(text)) <= LARGEST else math.nan
    except ValueError:
        return math.nan
