"""List the runs: the status, duration and metrics of each."""

from samebook.core.text import align
from samebook.core.workspace import Workspace
from samebook.records.summary import Run, summarize

METRICS_SHOWN = 4


def runs(workspace: Workspace, last: int | None = None) -> list[Run]:
    """The runs in runs/, finished or failed, newest first: all, or the `last` ones, whose receipts alone are read."""
    folders = (path for path in workspace.runs.glob("[0-9]*Z-*") if path.is_dir())
    return [summarize(path) for path in sorted(folders, reverse=True)[:last]]


def table(runs: list[Run]) -> str:
    """The runs as text, a line each, with their first METRICS_SHOWN metrics, or the error of a failed run."""
    rows = [("run", "status", "engine", "seconds", "metrics")]
    for run in runs:
        metrics = "  ".join(f"{name} {value:.4g}" for name, value in list(run.metrics.items())[:METRICS_SHOWN])
        seconds = "" if run.seconds is None else f"{run.seconds:.0f}"
        rows.append((run.id, run.status, run.engine, seconds, metrics or run.error))
    return "\n".join(align(rows, right={3}))
