"""Sweeps as their tables have them: `runs/.sweeps/<name>/sweep.csv`, the parameters, metrics and run of each set."""

import csv
import io
from pathlib import Path

from samebook.core.workspace import Workspace
from samebook.records.receipt import Json

FOLDER, TABLE = ".sweeps", "sweep.csv"
# Sets of one sweep that are shown.
MOST = 5000


def sweeps(workspace: Workspace) -> list[Json]:
    """The sweeps, the newest first: the columns of each table, and its rows. One that can't be read says so."""
    paths = sorted((workspace.runs / FOLDER).glob(f"*/{TABLE}"), reverse=True)
    return [_sweep(path) for path in paths if not path.is_symlink()]


def _sweep(path: Path) -> Json:
    name = path.parent.name.encode(errors="replace").decode()
    try:
        header, *rows = csv.reader(io.StringIO(path.read_text()))
        run = header.index("run")
        rows = [row for row in rows if len(row) == len(header)]
    except (OSError, ValueError, csv.Error) as error:
        return {"name": name, "error": f"its table can't be read: {error}", "header": [], "run": 0, "rows": []}
    return {"name": name, "error": "", "header": header, "run": run, "rows": rows[:MOST]}
