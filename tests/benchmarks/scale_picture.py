"""The picture of the bench of scale: seconds and memory by rows and by runs, on logarithmic axes."""

from collections.abc import Mapping
from pathlib import Path

from benchmarks.trials import Measurement

COLOURS = ("#0b6e4f", "#c1440e", "#33618d", "#e8b04a", "#7a8ca3", "#444444")


def draw(panels: Mapping[str, Mapping[str, Mapping[int, Measurement]]], target: Path) -> None:
    """Draw two panels for each unit with figures; without figures it draws nothing."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    known = {unit: figures for unit, figures in panels.items() if figures}
    if not known:
        return
    figure, grid = pyplot.subplots(len(known), 2, figsize=(10, 4 * len(known)), layout="constrained", squeeze=False)
    for row, (unit, figures) in zip(grid, known.items(), strict=True):
        for axes, what in zip(row, ("seconds", "MiB"), strict=True):
            for colour, (name, values) in zip(COLOURS, figures.items(), strict=False):
                heights = [each.seconds if what == "seconds" else each.peak or 0 for each in values.values()]
                axes.loglog(list(values), heights, "o-", color=colour, markersize=4, label=name)
            axes.set(xlabel=unit, ylabel=what if what == "seconds" else "MiB of the largest process")
            axes.spines[["top", "right"]].set_visible(False)
        row[0].legend(fontsize="small")
    target.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(target, dpi=110, metadata={"Software": None})
    pyplot.close(figure)
