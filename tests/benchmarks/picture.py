"""The picture of a bench: a panel a case, a bar a subject."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Result, Results, number, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, OTHERS = "#0b6e4f", "#b8bfc6"
IS_OURS = ("samebook", "make-")


def draw(results: Results, target: Path) -> None:
    """Draw medians in seconds, with lines from the fastest to the slowest round. Without results it draws nothing."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    known = {
        case: {name: result for name, result in subjects.items() if result.is_known}
        for case, subjects in results.items()
    }
    known = {case: subjects for case, subjects in known.items() if subjects}
    if not known:
        return
    columns = _columns(known)
    tallest = max(sum(_rows(known[case]) for case in column) for column in columns)
    figure = pyplot.figure(figsize=(6.5 * len(columns), 0.3 * tallest + 0.4), layout="constrained")
    for part, column in zip(figure.subfigures(1, len(columns), squeeze=False)[0], columns, strict=True):
        heights = [_rows(known[case]) for case in column]
        # A shorter column ends sooner, so that bars are as high in all columns.
        heights += [tallest - sum(heights)] if tallest > sum(heights) else []
        axes = part.subplots(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        for axis, case in zip(axes, column, strict=False):
            _panel(axis, case, known[case])
        for axis in axes[len(column) :]:
            axis.axis("off")
    figure.supxlabel("seconds, median; lines from the fastest to the slowest round", fontsize=9)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _rows(subjects: Mapping[str, Result]) -> int:
    """The height of a panel: its bars, and its title."""
    return len(subjects) + 2


def _columns(known: Mapping[str, Mapping[str, Result]]) -> list[list[str]]:
    """The cases in one column, or in two columns of about the same height."""
    cases, whole = list(known), sum(map(_rows, known.values()))
    if len(cases) < 4:
        return [cases]
    half = min(range(1, len(cases)), key=lambda n: abs(whole - 2 * sum(_rows(known[case]) for case in cases[:n])))
    return [cases[:half], cases[half:]]


def _panel(axis: "Axes", case: str, results: dict[str, Result]) -> None:
    names = list(results)
    figures = [spread(result.seconds) for result in results.values()]
    middles = [middle for _, middle, _ in figures]
    errors = [[middle - low for low, middle, _ in figures], [high - middle for _, middle, high in figures]]
    colours = [OURS if name.startswith(IS_OURS) else OTHERS for name in names]
    axis.barh(names, middles, xerr=errors, color=colours, ecolor="#444444", height=0.7)
    axis.invert_yaxis()
    axis.set_title(case, loc="left", fontsize=10, fontweight="bold")
    axis.set_xlim(0, 1.15 * max(high for *_, high in figures))
    for row, (_, middle, high) in enumerate(figures):
        axis.annotate(number(middle), (high, row), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
