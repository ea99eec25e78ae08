"""Datasets: one Parquet file a day, `data/<name>/day=YYYY-MM-DD/part-0.parquet`, as other tools read it too.

The bytes are a function of the rows: no index, no writer's metadata, one row group layout, one compression.
The module `batches` writes the same bytes, a batch at a time.
"""

import datetime
import io
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samebook.core.digest import json_bytes, sha256
from samebook.core.errors import DataRejected, UsageError
from samebook.core.file_lock import hold
from samebook.core.workspace import Workspace, copy_whole, write_whole
from samebook.records import inputs
from samebook.records.inputs import Kind, Label

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pandera.errors import SchemaErrors

PART = "part-0.parquet"
# Tools that read Parquet datasets leave out names that begin with _ or a dot.
ORIGIN = "_origin.json"
VERSIONS = ".versions"
SHOWN_ROWS = 3
# The rows of a row group, which is what memory holds while a partition is written in batches.
GROUP_ROWS = 2**17
COMPRESSION = "zstd"


def partition(name: str, day: datetime.date) -> Path:
    """The path of a day's partition, below outputs/ or data/."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(
            f"dataset {name!r}: expected a name of lower-case letters, digits and underscores",
            mend=f"{re.sub(r'[^a-z0-9_]+', '_', name.lower())!r}",
        )
    return Path(name) / f"day={day:%Y-%m-%d}" / PART


def write(frame: "pd.DataFrame", path: Path) -> None:
    """Write a frame so that equal frames give equal bytes."""
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    rows = table(frame).combine_chunks()
    parquet.write_table(rows, path, row_group_size=GROUP_ROWS, compression=COMPRESSION)


def table(frame: "pd.DataFrame") -> "pa.Table":
    """The rows of a frame as Arrow: without the index, the attributes and the metadata of pandas."""
    import pyarrow as pa

    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def days(first: datetime.date, last: datetime.date) -> list[datetime.date]:
    """Every day from first to last, both included."""
    return [first + datetime.timedelta(days=n) for n in range((last - first).days + 1)]


def span(first: datetime.date, last: datetime.date) -> list[datetime.date]:
    """The days that a person asks for, from first to last. Raises UsageError where the first is after the last."""
    if last < first:
        raise UsageError(
            f"found the first day {first} after the last, {last}", mend=f"again, with FROM={last} TO={first}"
        )
    return days(first, last)


def missing(workspace: Workspace, name: str, days: Iterable[datetime.date]) -> list[datetime.date]:
    """The days that have no partition yet."""
    return [day for day in days if not (workspace.data / partition(name, day)).is_file()]


def ranges(days: Iterable[datetime.date]) -> Iterator[tuple[datetime.date, datetime.date]]:
    """Sorted days as ranges without a gap, both ends included."""
    for _, group in groupby(enumerate(days), lambda item: item[1].toordinal() - item[0]):
        run = [day for _, day in group]
        yield run[0], run[-1]


def groups(names: Iterable[str]) -> Iterator[list[str]]:
    """The labels of inputs in groups: consecutive days of a dataset together, every other input alone."""
    datasets: dict[str, list[datetime.date]] = {}
    for name in sorted(names):
        label = Label.parse(name)
        if label.kind is Kind.DAY:
            datasets.setdefault(label.name, []).append(datetime.date.fromisoformat(label.day))
        else:
            yield [name]
    for name, dates in datasets.items():
        for start, end in ranges(dates):
            yield [inputs.day(name, date) for date in dates if start <= date <= end]


def frame(partitions: Iterable[tuple[str, bytes]]) -> "pd.DataFrame":
    """The rows of partitions, given by name and bytes, in their order; a frame without columns where there are none."""
    import pandas as pd
    import pyarrow as pa

    tables = [_table(content, name) for name, content in partitions]
    if not tables:
        return pd.DataFrame()
    return pa.concat_tables(tables, promote_options="permissive").to_pandas()


def producer(workspace: Workspace, name: str, day: datetime.date, digest: str) -> str:
    """The id of the run that made the partition with this sha256; "" where that isn't known."""
    path = (workspace.data / partition(name, day)).with_name(ORIGIN)
    origin = json.loads(path.read_text()) if path.is_file() else {}
    return origin["run"] if origin.get("sha256") == digest else ""


def _table(content: bytes, name: str) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_table(io.BytesIO(content))
    except pa.ArrowInvalid as error:
        raise damaged(name, error) from None


def damaged(name: str, error: Exception) -> DataRejected:
    """The error for a partition, `rows 2013-07-01`, whose file is not whole."""
    dataset, _, day = name.partition(" ")
    return DataRejected(f"{name} is not a whole Parquet file: {error}", mend=f"rm -r data/{dataset}/day={day}")


def publish(workspace: Workspace, run: Path) -> list[str]:
    """Copy the partitions of a finished run to data/, one rename each; returns their names.

    A partition with the same bytes is not written again; a replaced one is kept below data/<name>/.versions/.
    """
    sources = sorted((run / "outputs").glob(f"*/day=*/{PART}"))
    if sources:
        with held(workspace):
            for source in sources:
                _publish(source, workspace.data / source.relative_to(run / "outputs"), run.name)
    return [str(source.parent.relative_to(run / "outputs")) for source in sources]


def held(workspace: Workspace) -> AbstractContextManager[int]:
    """A lock on the published partitions: no other process changes them inside the block."""
    return hold(workspace.data / ".publish.lock")


def _publish(source: Path, target: Path, run: str) -> None:
    digest = sha256(source)
    before = sha256(target) if target.is_file() else ""
    note = target.with_name(ORIGIN)
    origin = json.loads(note.read_text()) if note.is_file() else {}
    if before == digest == origin.get("sha256") and origin.get("versions"):
        return
    if before and before != digest:
        copy_whole(target, version(target, before))
    if before != digest:
        copy_whole(source, target)
    # In the order in which they were published, the current one last.
    versions = [
        *(version for version in origin.get("versions", ()) if version["sha256"] != digest),
        {"run": run, "sha256": digest},
    ]
    write_whole(note, json_bytes({"run": run, "sha256": digest, "versions": versions}))


def version(partition: Path, digest: str) -> Path:
    """The path of an earlier version of a partition, in a folder that readers of the dataset leave out."""
    return partition.parents[1] / VERSIONS / partition.parent.name / f"{digest}.parquet"


def rejection(error: "SchemaErrors", name: str) -> str:
    """The findings of pandera as text: for each column and check the number of rows, and the first of them."""
    cases = error.failure_cases.astype({"column": object, "check": object})
    lines = [f"{name} breaks its schema:"]
    for (column, check), rows in cases.groupby(["column", "check"], dropna=False, sort=True):
        lines.append(f"  {_finding(column, check, rows)}")
    return "\n".join(lines)


def _finding(column: Any, check: Any, rows: "pd.DataFrame") -> str:
    if rows["index"].isna().all():
        found = ", ".join(map(str, rows["failure_case"].unique()[:SHOWN_ROWS]))
        if rows["schema_context"].iloc[0] == "Column":
            return f"column {column}: {check}; found {found}"
        # Of the whole frame pandera checks its columns, which it names here, and what the schema's author has written.
        return f"column {found}: {check}" if str(check).startswith("column_") else f"{check}; found {found}"
    first = rows.head(SHOWN_ROWS)
    shown = ", ".join(f"row {row}: {value!r}" for row, value in zip(first["index"], first["failure_case"], strict=True))
    return f"column {column}: {check} fails in {len(rows)} row{'s' * (len(rows) > 1)} ({shown})"
