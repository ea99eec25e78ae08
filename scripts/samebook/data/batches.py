"""Datasets in batches: data larger than memory is read, checked and written piece by piece.

Memory holds a batch, a row group, and 8 bytes a row for each column whose values must not repeat.
"""

import datetime
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Self

from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.core.workspace import replacing
from samebook.data import dataset

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from pandera.pandas import DataFrameSchema
    from pyarrow import parquet


@dataclass(frozen=True)
class Batches:
    """The rows of the files of some days, in order, as frames; they can be iterated several times.

    A frame holds `days` days, or, with `rows`, at most that many rows of one day. Its index continues that of the frame
    before. `parts` are the names and paths of the files, which must not change meanwhile; of a missing day there is no
    path, and where a frame has no other days, it has neither rows nor columns.
    """

    parts: tuple[tuple[str, Path | None], ...]
    days: int = 1
    rows: int = 0
    columns: tuple[str, ...] | None = None

    def __iter__(self) -> Iterator["pd.DataFrame"]:
        return _read_ahead(self._frames())

    def select(self, columns: Iterable[str]) -> Self:
        """These rows with these columns only; the others are not decoded."""
        return replace(self, columns=tuple(columns))

    def shard(self, index: int, count: int) -> Self:
        """Every `count`-th of these batches from that with this `index` on: the part of one of several ranks.

        With `rows`, the batches of a day stay together.
        """
        groups = list(batched(self.parts, self.days))
        if not 0 <= index < count <= len(groups):
            raise UsageError(
                f"shard {index} of {count}: expected a number from 0, and at most {len(groups)} shards of as many"
                " batches",
                mend=f"batches.shard({min(max(index, 0), len(groups) - 1)}, {len(groups)})",
            )
        return replace(self, parts=tuple(part for group in groups[index::count] for part in group))

    def shuffle(self, seed: int) -> Self:
        """These rows with their days in another order, so that a shard is a sample of all days.

        The order follows from the days and the seed alone: the batches of two datasets stay beside each other.
        """

        def place(part: tuple[str, Path | None]) -> str:
            return sha256(f"{seed} {part[0].rpartition(' ')[2]}".encode())

        return replace(self, parts=tuple(sorted(self.parts, key=place)))

    def is_missing(self, frame: "pd.DataFrame") -> bool:
        """Whether a frame is that of missing days."""
        return not len(frame.columns) and any(path is None for _, path in self.parts)

    def _frames(self) -> Iterator["pd.DataFrame"]:
        count = 0
        for table in self._by_rows() if self.rows else self._by_days():
            frame = table.to_pandas()
            frame.index += count
            count += len(frame)
            yield frame

    def _by_days(self) -> Iterator["pa.Table"]:
        import pyarrow as pa

        for parts in batched(self.parts, self.days):
            tables = [table for name, path in parts if path for table in self._read(name, path)]
            yield pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})

    def _by_rows(self) -> Iterator["pa.Table"]:
        import pyarrow as pa

        for name, path in self.parts:
            yield from self._read(name, path) if path else [pa.table({})]

    def _read(self, name: str, path: Path) -> Iterator["pa.Table"]:
        """A file as tables: one, or one for each `rows` rows; at least one, so that its columns are known."""
        import pyarrow as pa
        from pyarrow import parquet

        try:
            # pre_buffer=False: the buffer would hold the whole compressed file until the end.
            with parquet.ParquetFile(path, pre_buffer=False) as file:
                if not self.rows or not file.metadata.num_rows:
                    yield file.read(self.columns)
                    return
                for batch in file.iter_batches(self.rows, columns=self.columns):
                    yield pa.Table.from_batches([batch])
        except pa.ArrowInvalid as error:
            raise dataset.damaged(name, error) from None


def _read_ahead(frames: Iterator["pd.DataFrame"]) -> Iterator["pd.DataFrame"]:
    """The frames in their order, each read while the caller works on the one before."""
    with ThreadPoolExecutor(1) as reader:
        next_frame = reader.submit(next, frames, None)
        while (frame := next_frame.result()) is not None:
            next_frame = reader.submit(next, frames, None)
            yield frame


class Writer:
    """A file of a dataset that is being written: equal rows give equal bytes, however they are split into batches."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: parquet.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []

    def write(self, frame: "pd.DataFrame") -> None:
        """Add rows; the first frame sets the columns. Raises UsageError for a later frame with other columns."""
        from pyarrow import parquet

        table = dataset.table(frame)
        if self._file is None:
            self._file = parquet.ParquetWriter(self._path, table.schema, compression=dataset.COMPRESSION)
        if table.schema != self._file.schema:
            raise UsageError(
                f"batches differ: found {_columns(table.schema)}; expected {_columns(self._file.schema)}",
                mend="frame = frame.astype(…), to the types of the first batch",
            )
        self._waiting.append(table)
        while sum(table.num_rows for table in self._waiting) > dataset.GROUP_ROWS:
            self._write_group()

    def end(self) -> None:
        """Write the remaining rows. Raises UsageError where no frame was written, as the columns are not known."""
        if self._file is None:
            raise UsageError(
                "no batch was written; expected one at least, if without rows", mend="partition.write(frame.iloc[:0])"
            )
        self._write_group()
        self._file.close()

    def drop(self) -> None:
        """Close the file without the remaining rows."""
        if self._file is not None:
            self._file.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        assert self._file is not None
        # Pages begin where chunks do, so chunks are combined before they are written.
        rows = pa.concat_tables(self._waiting)
        self._file.write_table(rows.slice(0, dataset.GROUP_ROWS).combine_chunks(), dataset.GROUP_ROWS)
        self._waiting = [rows.slice(dataset.GROUP_ROWS)] if rows.num_rows > dataset.GROUP_ROWS else []


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Write a file of a dataset batch by batch; it appears, whole, when the block ends without an error."""
    with replacing(path) as temporary:
        writer = Writer(temporary)
        try:
            yield writer
            writer.end()
        finally:
            writer.drop()


def repeated_rows(frames: Iterable["pd.DataFrame"], columns: list[str], hashes: list["np.ndarray"]) -> "pd.DataFrame":
    """The rows of `frames` whose values in `columns` occur more than once, with these columns.

    `hashes` has 64 bits for each row. Two values can share a hash, so rows whose hash repeats are compared.
    """
    import numpy as np
    import pandas as pd

    every = np.concatenate(hashes)
    every.sort()
    repeated_hashes = np.unique(every[1:][every[1:] == every[:-1]])
    if not len(repeated_hashes):
        return pd.DataFrame(columns=columns)
    rows = pd.concat([frame.loc[np.isin(hashed(frame[columns]), repeated_hashes), columns] for frame in frames])
    return rows[rows.duplicated(keep=False)]


def hashed(frame: "pd.DataFrame") -> "np.ndarray":
    """The hash of each row: 64 bits, the same for equal rows in every process."""
    import pandas as pd

    plain = pd.DataFrame({name: _plain(frame[name]) for name in frame})
    return pd.util.hash_pandas_object(plain, index=False, categorize=False).to_numpy()


def _plain(values: "pd.Series") -> "pd.Series":
    """The values in one type, so that equal values have equal bits.

    A whole number is read as a float where a batch has a missing one, and -0 is 0.
    """
    from pandas.api.types import is_datetime64_dtype, is_numeric_dtype

    if is_numeric_dtype(values):
        return values.astype(float) + 0.0
    if is_datetime64_dtype(values):
        return values.astype("datetime64[ns]")
    return values.astype(object).where(values.notna(), "")


def uniques(schema: "DataFrameSchema") -> list[list[str]]:
    """The groups of columns whose values a schema requires to be unique."""
    alone = [[str(name)] for name, column in schema.columns.items() if column.unique]
    return [*alone, *([list(schema.unique)] if schema.unique else [])]


def of_days(parts: Iterable[tuple[datetime.date, Path | None]], name: str, days: int, rows: int) -> Batches:
    """Batches of a dataset's days. Raises UsageError for fewer than one day, or for negative rows."""
    if days < 1 or rows < 0:
        raise UsageError(
            f"dataset {name}: found batches of {days} days, {rows} rows; expected at least one",
            mend=f"samebook.read_batches({name!r}, …, days=1)",
        )
    return Batches(tuple((f"{name} {day}", path) for day, path in parts), days, rows)


def _columns(schema: "pa.Schema") -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
