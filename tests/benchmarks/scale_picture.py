"""The picture of the bench of scale: processor seconds and memory by rows and by runs, on logarithmic axes."""

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path

from benchmarks.trials import Measurement

COLOURS = ("#0b6e4f", "#c1440e", "#33618d", "#e8b04a", "#7a8ca3", "#444444")
# After the last colour they come again, with another mark.
MARKS = [(colour, mark) for mark in ("o-", "s--", "^:") for colour in COLOURS]


def draw(panels: Mapping[str, Mapping[str, Mapping[int, Measurement]]], target: Path) -> None:
    """Draw two panels for each unit with figures; without figures it draws nothing."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    known = {unit: figures for unit, figures in panels.items() if figures}
    if not known:
        return
    figure, grid = pyplot.subplots(len(known), 2, figsize=(12, 4 * len(known)), layout="constrained", squeeze=False)
    for row, (unit, figures) in zip(grid, known.items(), strict=True):
        for axes, what in zip(row, ("seconds of the processor", "MiB of the largest process"), strict=True):
            for (colour, mark), (name, values) in zip(cycle(MARKS), figures.items(), strict=False):
                heights = [(each.cpu if what.startswith("s") else each.peak) or 0 for each in values.values()]
                axes.loglog(list(values), heights, mark, color=colour, markersize=4, label=name)
            axes.set(xlabel=unit, ylabel=what)
            axes.spines[["top", "right"]].set_visible(False)
        row[-1].legend(fontsize="small", loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
