"""Datasets in batches: what is larger than memory is read, checked and written a piece at a time.

In memory are a batch, a row group, and, for a column whose values must not repeat, 8 bytes a row.
"""

import datetime
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import batched
from pathlib import Path
from typing import TYPE_CHECKING, Self

from samebook.core.errors import DataRejected, UsageError
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
    """The rows of some days' files, in order, as frames; to be iterated as often as needed.

    A frame is of `days` days, or, with `rows`, of at most so many rows of one day. Its index counts on from the frame
    before. Each file is given by its name and its path, and must not change.
    """

    parts: tuple[tuple[str, Path], ...]
    days: int = 1
    rows: int = 0
    columns: tuple[str, ...] | None = None

    def __iter__(self) -> Iterator["pd.DataFrame"]:
        return _ahead(self._frames())

    def select(self, columns: Iterable[str]) -> Self:
        """The same rows with these columns only; the others aren't even decoded."""
        return replace(self, columns=tuple(columns))

    def _frames(self) -> Iterator["pd.DataFrame"]:
        seen = 0
        for table in self._pieces() if self.rows else self._together():
            frame = table.to_pandas()
            frame.index += seen
            seen += len(frame)
            yield frame

    def _together(self) -> Iterator["pa.Table"]:
        import pyarrow as pa

        for parts in batched(self.parts, self.days, strict=False):
            tables = [table for part in parts for table in self._read(*part)]
            yield pa.concat_tables(tables, promote_options="permissive")

    def _pieces(self) -> Iterator["pa.Table"]:
        for part in self.parts:
            yield from self._read(*part)

    def _read(self, name: str, path: Path) -> Iterator["pa.Table"]:
        """A file as tables: one, or one for each `rows` rows; at least one, so that its columns are known."""
        import pyarrow as pa
        from pyarrow import parquet

        try:
            # Without a buffer ahead: it would hold all that is compressed, to the end.
            with parquet.ParquetFile(path, pre_buffer=False) as file:
                if not self.rows or not file.metadata.num_rows:
                    yield file.read(self.columns)
                    return
                for batch in file.iter_batches(self.rows, columns=self.columns):
                    yield pa.Table.from_batches([batch])
        except pa.ArrowInvalid as error:
            raise DataRejected(f"{name} is not a whole Parquet file: {error}") from None


def _ahead(frames: Iterator["pd.DataFrame"]) -> Iterator["pd.DataFrame"]:
    """The same, each read while the one before is worked on."""
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, frames, None)
        while (frame := coming.result()) is not None:
            coming = reader.submit(next, frames, None)
            yield frame


class Writer:
    """One file of a dataset in the making: equal rows give equal bytes, in whatever batches they come."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: parquet.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []

    def write(self, frame: "pd.DataFrame") -> None:
        """Add rows; the first ones say what the columns are. Raises UsageError where later ones have others."""
        from pyarrow import parquet

        table = dataset.table(frame)
        if self._file is None:
            self._file = parquet.ParquetWriter(self._path, table.schema, compression=dataset.COMPRESSION)
        if table.schema != self._file.schema:
            raise UsageError(f"batches differ: found {_told(table.schema)}; expected {_told(self._file.schema)}")
        self._waiting.append(table)
        while sum(each.num_rows for each in self._waiting) > dataset.GROUP_ROWS:
            self._write_group()

    def end(self) -> None:
        """Write what waits. Raises UsageError where nothing was written: nobody knows the columns."""
        if self._file is None:
            raise UsageError("no batch was written; expected one at least, if without rows")
        self._write_group()
        self._file.close()

    def drop(self) -> None:
        """Close the file; what waits is lost."""
        if self._file is not None:
            self._file.close()

    def _write_group(self) -> None:
        import pyarrow as pa

        assert self._file is not None
        # Chunks show in the bytes, as pages begin with them.
        rows = pa.concat_tables(self._waiting)
        self._file.write_table(rows.slice(0, dataset.GROUP_ROWS).combine_chunks(), dataset.GROUP_ROWS)
        self._waiting = [rows.slice(dataset.GROUP_ROWS)] if rows.num_rows > dataset.GROUP_ROWS else []


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """Write a file of a dataset batch by batch; it is there, whole, when the block ends well."""
    with replacing(path) as temporary:
        writer = Writer(temporary)
        try:
            yield writer
            writer.end()
        finally:
            writer.drop()


def repeated(frames: Iterable["pd.DataFrame"], columns: list[str], hashes: list["np.ndarray"]) -> "pd.DataFrame":
    """The rows whose values in `columns` occur more than once, those columns; by the `hashes` of all rows.

    Two values can have the same hash: rows whose hash repeats are looked for in `frames`, and compared.
    """
    import numpy as np
    import pandas as pd

    every = np.concatenate(hashes)
    every.sort()
    twice = np.unique(every[1:][every[1:] == every[:-1]])
    if not len(twice):
        return pd.DataFrame(columns=columns)
    found = pd.concat([frame.loc[np.isin(hashed(frame[columns]), twice), columns] for frame in frames])
    return found[found.duplicated(keep=False)]


def hashed(frame: "pd.DataFrame") -> "np.ndarray":
    """64 bits for each row, the same for equal rows, in each process."""
    import pandas as pd

    plain = pd.DataFrame({name: _plain(frame[name]) for name in frame})
    return pd.util.hash_pandas_object(plain, index=False, categorize=False).to_numpy()


def _plain(values: "pd.Series") -> "pd.Series":
    """Equal values as equal bits: a whole number is read as a float where a batch has a missing one, and -0 is 0."""
    from pandas.api.types import is_datetime64_dtype, is_numeric_dtype

    if is_numeric_dtype(values):
        return values.astype(float) + 0.0
    if is_datetime64_dtype(values):
        return values.astype("datetime64[ns]")
    return values.astype(object).where(values.notna(), "")


def uniques(schema: "DataFrameSchema") -> list[list[str]]:
    """The columns, alone or together, whose values a schema wants to be unique."""
    alone = [[str(name)] for name, column in schema.columns.items() if column.unique]
    return [*alone, *([list(schema.unique)] if schema.unique else [])]


def of_days(parts: Iterable[tuple[datetime.date, Path]], name: str, days: int, rows: int) -> Batches:
    """Batches of a dataset's days. Raises UsageError for a size that is none."""
    if days < 1 or rows < 0:
        raise UsageError(f"dataset {name}: found batches of {days} days, {rows} rows; expected at least one")
    return Batches(tuple((f"{name} {day}", path) for day, path in parts), days, rows)


def _told(schema: "pa.Schema") -> str:
    return ", ".join(f"{field.name} {field.type}" for field in schema)
