"""What came out of a sweep: each set with its run and its metrics, as a table, as CSV, and as a picture."""

import csv
import datetime
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from samebook.core.table import align
from samebook.execution.grids import ParameterSet
from samebook.records.summary import Run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SHOWN = 20
COLOR, BEST = "#33618d", "#c1440e"


@dataclass(frozen=True)
class Outcome:
    """What became of a set: its run and metrics, or what went wrong; `is_new` where it was not done already."""

    parameters: ParameterSet
    run: str = ""
    metrics: dict[str, float] = field(default_factory=dict)
    error: str = ""
    is_new: bool = True

    @classmethod
    def of(cls, given: ParameterSet, run: Run, *, is_new: bool = True) -> "Outcome":
        return cls(given, run.id, run.metrics, run.error, is_new)


@dataclass
class Sweep:
    """The sets that have run so far; `metric` is the one that counts, by default the first that a run has."""

    notebook: str
    metric: str = ""
    minimize: bool = False
    outcomes: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self.metric = self.metric or next(iter(outcome.metrics), "")

    @property
    def failed(self) -> list[Outcome]:
        return [each for each in self.outcomes if each.error]

    def ranked(self) -> list[Outcome]:
        """The sets that have the metric, the best first; equal ones by their set."""
        scored = [each for each in self.outcomes if self.metric in each.metrics]
        sign = 1 if self.minimize else -1
        return sorted(scored, key=lambda each: (sign * each.metrics[self.metric], key(each.parameters)))


def key(given: ParameterSet) -> str:
    """A set as one text."""
    return json.dumps(given, sort_keys=True)


def description(given: ParameterSet) -> str:
    return " ".join(f"{name}={text}" for name, text in given.items())


def progress(found: Sweep, outcome: Outcome, done: int, of: int, seconds: float) -> str:
    """A line: how far it is, how long it may take still, this set, and the best so far."""
    left = datetime.timedelta(seconds=round(seconds / done * (of - done)))
    value = outcome.metrics.get(found.metric)
    told = (
        f"failed: {outcome.error.splitlines()[0]}"
        if outcome.error
        else f"{found.metric} {value:.6g}"
        if value is not None
        else "done"
    )
    best = next(iter(found.ranked()), None)
    so_far = f"; best {best.metrics[found.metric]:.6g}: {description(best.parameters)}" if best else ""
    return f"{done:>5}/{of}  {left} left  {description(outcome.parameters)}  {told}{so_far}"


def table(found: Sweep) -> str:
    """The best sets with their metric and run, then what failed and why."""
    ranked = found.ranked()
    names = list(dict.fromkeys(name for each in found.outcomes for name in each.parameters))
    rows = [[*names, found.metric or "metric", "run"]]
    rows += [
        [*(each.parameters.get(name, "") for name in names), f"{each.metrics[found.metric]:.6g}", each.run]
        for each in ranked
    ]
    lines = align(rows[: SHOWN + 1])
    lines += [f"... and {len(ranked) - SHOWN} more"] if len(ranked) > SHOWN else []
    again = sum(not each.is_new for each in found.outcomes)
    lines += [
        f"{len(found.outcomes) - again - len(found.failed)} ran, {again} done already, {len(found.failed)} failed"
    ]
    return "\n".join((*lines, *(f"  {description(each.parameters)}: {each.error}" for each in found.failed)))


def as_csv(found: Sweep) -> str:
    """One line a set, in the order of the table, then what failed: parameters, metrics, run, error."""
    names = list(dict.fromkeys(name for each in found.outcomes for name in each.parameters))
    metrics = list(dict.fromkeys(name for each in found.outcomes for name in each.metrics))
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, *metrics, "run", "error"])
    ranked = found.ranked()
    for each in (*ranked, *(other for other in found.outcomes if other not in ranked)):
        values = [each.metrics.get(name, "") for name in metrics]
        writer.writerow([*(each.parameters.get(name, "") for name in names), *values, each.run, each.error])
    return text.getvalue()


def picture(found: Sweep) -> bytes:
    """A PNG: the metric against each parameter that varies, the best set marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    ranked = found.ranked()
    names = [
        name for name in dict.fromkeys(name for each in ranked for name in each.parameters) if _varies(ranked, name)
    ]
    figure = Figure(figsize=(max(3.4 * len(names), 4), 3.4), layout="constrained")
    for place, name in enumerate(names, 1):
        _draw(figure.add_subplot(1, len(names), place), found, ranked, name)
    content = io.BytesIO()
    FigureCanvasAgg(figure).print_png(content, metadata={"Software": None})
    return content.getvalue()


def _varies(ranked: list[Outcome], name: str) -> bool:
    return len({each.parameters.get(name) for each in ranked}) > 1


def _draw(axes: "Axes", found: Sweep, ranked: list[Outcome], name: str) -> None:
    texts = [each.parameters.get(name, "") for each in ranked]
    places: list[float] = list(map(_number, texts))
    if is_text := any(place != place for place in places):
        order = sorted(set(texts))
        places = [float(order.index(text)) for text in texts]
        axes.set_xticks(range(len(order)), order)
    scores = [each.metrics[found.metric] for each in ranked]
    axes.plot(places, scores, "o", color=COLOR, markersize=4, alpha=0.7)
    axes.plot(places[:1], scores[:1], "o", color=BEST, markersize=7)
    if not is_text and min(places) > 0 and max(places) / min(places) >= 100:
        axes.set_xscale("log")
    axes.set(xlabel=name, ylabel=found.metric)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
