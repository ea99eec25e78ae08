"""What notebooks import: log what a run found, read and write datasets by day, query the warehouse.

The same calls work with no runner around them, as in Lab: they then write to a scratch run in runs/.scratch/.
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
from samebook.core.errors import DataRejected, UsageError
from samebook.data import batches, dataset, warehouse
from samebook.monitoring import reference
from samebook.records import run_folder, undeclared

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pandera.pandas import DataFrameSchema


def log_metric(name: str, value: float) -> None:
    """Record a number that tells how good the result is; it ends up in metrics.json.

    Raises UsageError for what is not a finite number.
    """
    number = float(value)
    if not math.isfinite(number):
        raise UsageError(f"metric {name}: found {number}; expected a finite number")
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
        raise UsageError(f"artifact {source}: no such file")
    return Path(shutil.copyfile(source, output_path(name or source.name)))


def log_reference(
    features: "pd.DataFrame",
    score: "pd.Series",
    feature_days: "pd.Series | None" = None,
    score_days: "pd.Series | None" = None,
) -> Path:
    """Keep what the model's world looks like, for monitoring: the distribution of each feature and of the score.

    `features` has one row a sample the model learnt from, `score` one value a sample that it had not seen. The days
    of both, one value a sample, tell how much a day differs from another although nothing has changed.
    """
    path = output_path("reference.json")
    path.write_bytes(json_bytes(reference.reference(features, score, feature_days, score_days)))
    return path


def output_path(name: str) -> Path:
    """Where to write the output `name` ("scores.parquet", "plots/roc.png"); its folder is there."""
    outputs = context.run() / "outputs"
    path = (outputs / name).resolve()
    if not path.is_relative_to(outputs.resolve()) or path == outputs.resolve():
        raise UsageError(f"output {name!r}: expected a name inside the run's outputs")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def query(name: str, **bound: Any) -> "pd.DataFrame":
    """The rows of notebooks/queries/<name> on the warehouse, with `$name` in it bound to values."""
    here, settings = context.here(), context.in_force().warehouse
    _, before = warehouse.version(here, settings)
    rows = warehouse.query(here, settings, name, bound)
    asked, version = warehouse.version(here, settings)
    same = version if version == before else ""
    run_folder.append_event(context.run(), {"kind": "warehouse", "name": asked, "version": same})
    return rows


def validate(frame: "pd.DataFrame", schema: "DataFrameSchema") -> "pd.DataFrame":
    """`frame` as the schema returns it. Raises DataRejected with each broken check and its first rows."""
    from pandera.errors import SchemaErrors

    try:
        return schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        raise DataRejected(dataset.rejection(error, schema.name or "the data")) from None


def validate_batches(read: batches.Batches, schema: "DataFrameSchema") -> Iterator["pd.DataFrame"]:
    """Each batch of `read_batches` as the schema returns it; what must be unique is so across all of them.

    Raises DataRejected as `validate` does: for a repeated value after the last batch, for the rest at the first that
    breaks the schema. Other checks of the schema see a batch at a time.
    """
    from pandera.pandas import Column, DataFrameSchema

    unique = batches.uniques(schema)
    hashes: list[list[np.ndarray]] = [[] for _ in unique]
    for frame in read:
        valid = validate(frame, schema)
        for columns, found in zip(unique, hashes, strict=True):
            found.append(batches.hashed(valid[columns]))
        yield valid
    for columns, found in zip(unique, hashes, strict=True):
        if len(found) > 1:  # of a single batch the schema has told it
            rows = batches.repeated((validate(frame, schema) for frame in read), columns, found)
            alone = {name: Column(unique=True, nullable=True) for name in columns if len(columns) == 1}
            validate(rows, DataFrameSchema(alone, unique=None if alone else columns, name=schema.name))


def write_partition(name: str, day: datetime.date, frame: "pd.DataFrame") -> Path:
    """Write one day of a dataset into the run's outputs; published to data/ when the run is complete.

    Equal frames give equal bytes: rows and columns stay in the order in which they come.
    """
    path = output_path(str(dataset.partition(name, day)))
    dataset.write(frame, path)
    return path


@contextmanager
def open_partition(name: str, day: datetime.date) -> Iterator[batches.Writer]:
    """Write one day of a dataset batch by batch, each by `.write(frame)`: the bytes that `write_partition` of all
    rows at once gives, in whatever batches they come. Where the block fails there is nothing.
    """
    with batches.writing(output_path(str(dataset.partition(name, day)))) as partition:
        yield partition


def read_batches(
    name: str, start: datetime.date, end: datetime.date, *, days: int = 1, rows: int = 0
) -> batches.Batches:
    """As `read_dataset`, for more than fits into memory: a frame for each `days` days, or, with `rows`, frames of at
    most so many rows of a day. They can be iterated again; each day is recorded once, before the first is read.
    """
    found = [(day, _file(name, day)) for day in _days(name, start, end, partial=False)]
    return batches.of_days(found, name, days, rows)


def read_dataset(name: str, start: datetime.date, end: datetime.date, *, partial: bool = False) -> "pd.DataFrame":
    """The partitions of a dataset from `start` to `end`, both included, by day; each is recorded as an input.

    Days that are not there are made first, by a run of the notebook that makes the dataset.
    Raises UsageError where a day can't be made, DataRejected where what makes it says so. With `partial`, days that
    still aren't there are left out, as are labels that nobody knows yet.
    """
    days = _days(name, start, end, partial=partial)
    return dataset.frame([(f"{name} {day}", _partition(name, day)) for day in days])


def _days(name: str, start: datetime.date, end: datetime.date, *, partial: bool) -> list[datetime.date]:
    """The days that are there, once those that are missing have been made."""
    if end < start:
        raise UsageError(f"dataset {name}: found start {start} after end {end}")
    days = dataset.days(start, end)
    if partial and context.pinned():  # a reproduction lacks the days that the run has lacked
        days = [day for day in days if _pinned_partition(name, day) is not None]
    here = [day for day in days if _pinned_partition(name, day) is None]
    maker = context.in_force().datasets.get(name)
    if not partial or (maker and maker.made_by):
        _make(name, dataset.missing(context.here(), name, here))
    still = dataset.missing(context.here(), name, here)
    if partial:
        days = [day for day in days if day not in still]
        for day in still:
            label = str(dataset.partition(name, day).parent)
            run_folder.append_event(context.run(), {"kind": "lacked", "name": label})
    elif still:
        raise UsageError(f"dataset {name}: no partition for {still[0]}, and {len(still)} of {len(days)} days missing")
    return days


def _partition(name: str, day: datetime.date) -> bytes:
    """A day's bytes, recorded as an input and kept in the store, so that anyone can read the same again."""
    label = str(dataset.partition(name, day).parent)
    with undeclared.declared_reads():
        content = _pinned_partition(name, day)
        if content is None:
            content = (context.here().data / dataset.partition(name, day)).read_bytes()
        return context.recorded(label, content, dataset.origin(context.here(), name, day, sha256(content)))


def _file(name: str, day: datetime.date) -> Path:
    """As `_partition`, the path of the day's object in the store."""
    label = str(dataset.partition(name, day).parent)
    path = context.pinned_file(label) or context.here().data / dataset.partition(name, day)
    return context.recorded_file(label, path, dataset.origin(context.here(), name, day, sha256(path)))


def _pinned_partition(name: str, day: datetime.date) -> bytes | None:
    return context.pinned_content(str(dataset.partition(name, day).parent))


def _make(name: str, missing: list[datetime.date]) -> None:
    for start, end in dataset.ranges(missing):
        maker = context.in_force().datasets.get(name)
        if maker is None or not maker.made_by:
            raise UsageError(
                f"dataset {name}: no partition for {start}, and no notebook is said to make it",
                mend=f"run the notebook that writes {name}, or name it in the settings: datasets.{name}.made_by",
            )
        note = f"making {name} {start} to {end}: make run NOTEBOOK={maker.made_by}"
        context.note(note)
        subcommand.run_notebook(context.here(), maker.made_by, {"start": start, "end": end})
