"""Datasets: one Parquet file a day, `data/<name>/day=YYYY-MM-DD/part-0.parquet`, as other tools read it too.

The bytes are a function of the rows: no index, no writer's metadata, one row group layout, one compression.
`samebook.batches` writes the same, a batch at a time.
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

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    from pandera.errors import SchemaErrors

PART = "part-0.parquet"
# Other tools leave out names that begin so.
ORIGIN = "_origin.json"
VERSIONS = ".versions"
SHOWN_ROWS = 3
# The rows of a row group: what is in memory while a partition is written in batches.
GROUP_ROWS = 2**17
COMPRESSION = "zstd"


def partition(name: str, day: datetime.date) -> Path:
    """The path of a day's partition, below outputs/ or data/."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UsageError(f"dataset {name!r}: expected a name of lower-case letters, digits and underscores")
    return Path(name) / f"day={day:%Y-%m-%d}" / PART


def write(frame: "pd.DataFrame", path: Path) -> None:
    """Write a frame so that equal frames give equal bytes."""
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    rows = table(frame).combine_chunks()
    parquet.write_table(rows, path, row_group_size=GROUP_ROWS, compression=COMPRESSION)


def table(frame: "pd.DataFrame") -> "pa.Table":
    """The rows of a frame as they are written: without index, attributes and pandas' own metadata."""
    import pyarrow as pa

    return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)


def days(first: datetime.date, last: datetime.date) -> list[datetime.date]:
    """Every day from first to last, both included."""
    return [first + datetime.timedelta(days=n) for n in range((last - first).days + 1)]


def missing(workspace: Workspace, name: str, days: Iterable[datetime.date]) -> list[datetime.date]:
    """The days that have no partition yet."""
    return [day for day in days if not (workspace.data / partition(name, day)).is_file()]


def ranges(days: Iterable[datetime.date]) -> Iterator[tuple[datetime.date, datetime.date]]:
    """Sorted days as ranges without a gap, both ends included."""
    for _, group in groupby(enumerate(days), lambda item: item[1].toordinal() - item[0]):
        run = [day for _, day in group]
        yield run[0], run[-1]


def frame(partitions: Iterable[tuple[str, bytes]]) -> "pd.DataFrame":
    """The rows of some partitions, in their order; each is given by its name and its bytes. Of none: no columns."""
    import pandas as pd
    import pyarrow as pa

    tables = [_table(content, name) for name, content in partitions]
    if not tables:
        return pd.DataFrame()
    return pa.concat_tables(tables, promote_options="permissive").to_pandas()


def origin(workspace: Workspace, name: str, day: datetime.date, digest: str) -> str:
    """The id of the run that made the partition with this sha256; "" where that isn't known."""
    path = (workspace.data / partition(name, day)).with_name(ORIGIN)
    found = json.loads(path.read_text()) if path.is_file() else {}
    return found["run"] if found.get("sha256") == digest else ""


def _table(content: bytes, name: str) -> "pa.Table":
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.read_table(io.BytesIO(content))
    except pa.ArrowInvalid as error:
        raise DataRejected(f"{name} is not a whole Parquet file: {error}", mend=f"rm {name}, and run again") from None


def publish(workspace: Workspace, run: Path) -> list[str]:
    """Copy a finished run's partitions to data/, one rename each; their names.

    What is there already is not written again; what is replaced is kept below data/<name>/.versions/.
    """
    sources = sorted((run / "outputs").glob(f"*/day=*/{PART}"))
    if sources:
        with held(workspace):
            for source in sources:
                _publish(source, workspace.data / source.relative_to(run / "outputs"), run.name)
    return [str(source.parent.relative_to(run / "outputs")) for source in sources]


def held(workspace: Workspace) -> AbstractContextManager[int]:
    """Hold what is published: nobody else changes it in the block."""
    return hold(workspace.data / ".publish.lock")


def _publish(source: Path, target: Path, run: str) -> None:
    digest = sha256(source)
    before = sha256(target) if target.is_file() else ""
    told = target.with_name(ORIGIN)
    known = json.loads(told.read_text()) if told.is_file() else {}
    if before == digest == known.get("sha256") and known.get("versions"):
        return
    if before and before != digest:
        copy_whole(target, version(target, before))
    if before != digest:
        copy_whole(source, target)
    # In the order in which they were published, the current one last.
    versions = [
        *(each for each in known.get("versions", ()) if each["sha256"] != digest),
        {"run": run, "sha256": digest},
    ]
    write_whole(told, json_bytes({"run": run, "sha256": digest, "versions": versions}))


def version(partition: Path, digest: str) -> Path:
    """Where an earlier version of a partition is kept: out of the sight of whoever reads the dataset's folder."""
    return partition.parents[1] / VERSIONS / partition.parent.name / f"{digest}.parquet"


def rejection(error: "SchemaErrors", name: str) -> str:
    """pandera's findings in a person's words: column, check, how many rows, and the first of them."""
    cases = error.failure_cases.astype({"column": object, "check": object})
    lines = [f"{name} breaks its schema:"]
    for (column, check), rows in cases.groupby(["column", "check"], dropna=False, sort=True):
        lines.append(f"  {_finding(column, check, rows)}")
    return "\n".join(lines)


def _finding(column: Any, check: Any, rows: "pd.DataFrame") -> str:
    if rows["index"].isna().all():
        return f"column {rows['failure_case'].iloc[0]}: {check}"
    first = rows.head(SHOWN_ROWS)
    shown = ", ".join(f"row {row}: {value!r}" for row, value in zip(first["index"], first["failure_case"], strict=True))
    return f"column {column}: {check} fails in {len(rows)} row{'s' * (len(rows) > 1)} ({shown})"
