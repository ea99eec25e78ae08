"""The functions for notebooks: log metrics and outputs, read and write datasets by day, query the warehouse.

The same calls work without a runner, as in Lab: they then write to a scratch run in runs/.scratch/.
"""

import datetime
import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samebook.api import context
from samebook.core import subcommand
from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import UsageError
from samebook.data import batches, dataset, sql, warehouse
from samebook.monitoring import reference
from samebook.reads import undeclared
from samebook.records import run_folder

if TYPE_CHECKING:
    import pandas as pd


def log_metric(name: str, value: float) -> None:
    """Record a number that tells how good the result is; it ends up in metrics.json.

    Raises UsageError for a value that is not a finite number.
    """
    try:
        number = float(value)
    except OverflowError:  # of a whole number
        number = math.inf
    if not math.isfinite(number):
        raise UsageError(
            f"metric {name}: found {number}; expected a finite number",
            mend=f"if math.isfinite(value): samebook.log_metric({name!r}, value)",
        )
    run_folder.append_event(context.run(), {"kind": "metric", "name": name, "value": number})


def log_metrics(metrics: Mapping[str, float]) -> None:
    """Record several metrics."""
    for name, value in metrics.items():
        log_metric(name, value)


def log_param(name: str, value: Any) -> None:
    """Record a fact about how the result was made that is not one of the notebook's parameters."""
    plain = value if isinstance(value, str | int | float | bool | None) else str(value)
    run_folder.append_event(context.run(), {"kind": "param", "name": name, "value": plain})


def log_artifact(path: str | Path, name: str | None = None) -> Path:
    """Copy a file into the run's outputs, as `name` or under its own name; returns the copy."""
    source = Path(path)
    if not source.is_file():
        mend = f"write it to samebook.output_path({source.name!r}), in place"
        raise UsageError(f"artifact {source}: no such file", mend=mend)
    return Path(shutil.copyfile(source, output_path(name or source.name)))


def log_reference(
    features: "pd.DataFrame | reference.Frames",
    score: "pd.Series",
    feature_days: "pd.Series | str | None" = None,
    score_days: "pd.Series | None" = None,
) -> Path:
    """Keep the reference for monitoring: the distribution of each feature and of the score, as reference.json.

    `features` has one row for each sample that the model learnt from, `score` one value for each sample that it had not
    seen. The days of both, one value a sample, tell how far days differ from each other while nothing has changed.

    Features larger than memory come in batches, from `read_batches`, any other iterable of frames, or a function that
    returns one; they are read once. `feature_days` names their column with the day. The reference has the same bytes as
    that of all rows at once.
    """
    path, scratch = output_path("reference.json"), scratch_path("reference").parent
    path.write_bytes(json_bytes(reference.reference(features, score, feature_days, score_days, scratch)))
    return path


def output_path(name: str) -> Path:
    """The path to write the output `name` to ("scores.parquet", "plots/roc.png"); its folder exists."""
    return _inside("outputs", name, "output", "outputs")


def scratch_path(name: str) -> Path:
    """The path of a file that only this run needs, on the disk of its outputs; removed when the run ends."""
    return _inside(run_folder.WORK, name, "scratch", "scratch folder")


def _inside(place: str, name: str, kind: str, whole: str) -> Path:
    folder = context.run() / place
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()) or path == folder.resolve():
        raise UsageError(
            f"{kind} {name!r}: expected a name inside the run's {whole}",
            mend=f"samebook.{kind}_path({Path(name).name or 'result.csv'!r})",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@undeclared.declared_reads()
def query(name: str, **bound: Any) -> "pd.DataFrame":
    """The rows of the query notebooks/queries/<name>; each `$key` in it is bound to the value of that keyword."""
    workspace, settings = context.current_workspace(), context.current_settings().warehouse
    undeclared.record_query(
        context.run(), sql.path(workspace, name, warehouse.of(workspace, settings).dialect), workspace
    )
    _, before = warehouse.version(workspace, settings)
    rows = warehouse.query(workspace, settings, name, bound)
    url, after = warehouse.version(workspace, settings)
    version = after if after == before else ""
    run_folder.append_event(context.run(), {"kind": "warehouse", "name": url, "version": version})
    return rows


def write_partition(name: str, day: datetime.date, frame: "pd.DataFrame") -> Path:
    """Write one day of a dataset into the run's outputs; it is published to data/ when the run is complete.

    Equal frames give equal bytes: rows and columns stay in the order in which they come.
    """
    path = output_path(str(dataset.partition(name, day)))
    dataset.write(frame, path)
    return path


@contextmanager
def open_partition(name: str, day: datetime.date) -> Iterator[batches.Writer]:
    """Write one day of a dataset batch by batch, with `.write(frame)`; nothing is left where the block fails.

    The bytes are those of `write_partition` with all rows at once, however they are split into batches.
    """
    with batches.writing(output_path(str(dataset.partition(name, day)))) as partition:
        yield partition


def read_batches(
    name: str, start: datetime.date, end: datetime.date, *, days: int = 1, rows: int = 0, partial: bool = False
) -> batches.Batches:
    """The partitions of a dataset, as `read_dataset` gives them, in frames that fit into memory.

    A frame holds `days` days, or, with `rows`, at most that many rows of one day; with `partial` it may have neither
    rows nor columns. The batches can be iterated again; each day is recorded once, before the first one is read.
    """
    there = set(_days(name, start, end, partial=partial))
    files = [(day, _file(name, day) if day in there else None) for day in dataset.days(start, end)]
    return batches.of_days(files, name, days, rows)


def read_dataset(name: str, start: datetime.date, end: datetime.date, *, partial: bool = False) -> "pd.DataFrame":
    """The partitions of a dataset from `start` to `end`, both included, by day; each is recorded as an input.

    Missing days are made first, by a run of the notebook that makes the dataset. Raises UsageError for a day that can't
    be made, DataRejected where its notebook rejects the data. With `partial`, days that are still missing are left out,
    such as labels that are not known yet.
    """
    days = _days(name, start, end, partial=partial)
    return dataset.frame([(f"{name} {day}", _partition(name, day)) for day in days])


@undeclared.declared_reads()
def _days(name: str, start: datetime.date, end: datetime.date, *, partial: bool) -> list[datetime.date]:
    """The days that can be read, once the missing ones have been made."""
    if end < start:
        raise UsageError(
            f"dataset {name}: found start {start} after end {end}", mend=f"start, end = {end!r}, {start!r}"
        )
    days = dataset.days(start, end)
    if partial and context.pins_days(name):  # a reproduction lacks the days that the run has lacked
        days = [day for day in days if _pinned_partition(name, day) is not None]
    of_workspace = [day for day in days if _pinned_partition(name, day) is None]
    maker = context.current_settings().datasets.get(name)
    if not partial or (maker and maker.made_by):
        _make(name, dataset.missing(context.current_workspace(), name, of_workspace))
    missing = dataset.missing(context.current_workspace(), name, of_workspace)
    if partial:
        days = [day for day in days if day not in missing]
        for day in missing:
            label = str(dataset.partition(name, day).parent)
            run_folder.append_event(context.run(), {"kind": "lacked", "name": label})
    elif missing:
        raise UsageError(
            f"dataset {name}: no partition for {missing[0]}, and {len(missing)} of {len(days)} days missing",
            mend=f"make run NOTEBOOK={maker.made_by if maker else name} PARAMS='start={missing[0]} end={missing[-1]}'",
        )
    return days


@undeclared.declared_reads()
def _partition(name: str, day: datetime.date) -> bytes:
    """The bytes of a day, recorded as an input and kept in the store, so that anyone can read the same again."""
    label = str(dataset.partition(name, day).parent)
    content = _pinned_partition(name, day)
    if content is None:
        content = (context.current_workspace().data / dataset.partition(name, day)).read_bytes()
    return context.recorded(label, content, dataset.producer(context.current_workspace(), name, day, sha256(content)))


@undeclared.declared_reads()
def _file(name: str, day: datetime.date) -> Path:
    """The path of a day in the store, recorded as an input: for partitions larger than memory."""
    label = str(dataset.partition(name, day).parent)
    path = context.pinned_file(label) or context.current_workspace().data / dataset.partition(name, day)
    return context.recorded_file(label, path, dataset.producer(context.current_workspace(), name, day, sha256(path)))


def _pinned_partition(name: str, day: datetime.date) -> bytes | None:
    return context.pinned_content(str(dataset.partition(name, day).parent))


def _make(name: str, missing: list[datetime.date]) -> None:
    for start, end in dataset.ranges(missing):
        maker = context.current_settings().datasets.get(name)
        if maker is None or not maker.made_by:
            raise UsageError(
                f"dataset {name}: no partition for {start}, and no notebook is said to make it",
                mend=f"write `datasets: {{{name}: {{made_by: NOTEBOOK}}}}` in environments/<env>.yml",
            )
        note = f"making {name} {start} to {end}: make run NOTEBOOK={maker.made_by}"
        context.note(note)
        subcommand.run_notebook(context.current_workspace(), maker.made_by, {"start": start, "end": end})
