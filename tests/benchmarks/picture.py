"""A bench as a picture: a panel a case, a bar a subject."""

from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.figures import Result, Results, number, spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS, OTHERS = "#0b6e4f", "#b8bfc6"
IS_OURS = ("samebook", "make-")


def draw(results: Results, target: Path) -> None:
    """Medians in seconds, with lines from the fastest to the slowest round. Nothing known, nothing drawn."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    known = {case: {name: each for name, each in found.items() if each.is_known} for case, found in results.items()}
    known = {case: found for case, found in known.items() if found}
    if not known:
        return
    heights = [len(found) + 1 for found in known.values()]
    size = (9, 0.3 * sum(heights) + 0.4)
    figure, axes = pyplot.subplots(
        len(known), 1, figsize=size, height_ratios=heights, squeeze=False, layout="constrained"
    )
    for axis, (case, found) in zip(axes[:, 0], known.items(), strict=True):
        _panel(axis, case, found)
    axes[-1, 0].set_xlabel("seconds, median; lines from the fastest to the slowest round")
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110, metadata={"Software": None})
    pyplot.close(figure)


def _panel(axis: "Axes", case: str, found: dict[str, Result]) -> None:
    names = list(found)
    figures = [spread(result.seconds) for result in found.values()]
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
