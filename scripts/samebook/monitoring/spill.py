"""The counts of a column by day and value, on disk: what a reference needs of rows that are larger than memory.

An Arrow stream for each column, compressed. It takes 16 bytes before compression for each value that a day has, however
many rows of the day have it.
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import pyarrow as pa

    type Counted = tuple[np.ndarray, np.ndarray, np.ndarray]

# Counts are held until there are so many, 1 MB a column.
HELD = 1 << 16


class Spill:
    """The counts of one column: `add` them all, `end`, and iterate as often as needed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: list[Counted] = []
        self._writer: pa.RecordBatchStreamWriter | None = None

    def add(self, days: "np.ndarray", values: "np.ndarray", times: "np.ndarray") -> None:
        """Add the numbers of rows, `times`, that have these values on these days, which are codes from -1."""
        self._held.append((days, values, times))
        if sum(len(part[0]) for part in self._held) >= HELD:
            self._write()

    def end(self) -> None:
        """Write what is still held."""
        self._write()
        if self._writer is not None:
            self._writer.close()

    def __iter__(self) -> "Iterator[Counted]":
        """Days, values and times, a part of them after the other."""
        import pyarrow as pa

        if self._writer is None:
            return
        with pa.OSFile(str(self._path)) as file, pa.ipc.open_stream(file) as stream:
            for batch in stream:
                days, values, times = (column.to_numpy() for column in batch.columns)
                yield days, values, times

    def _write(self) -> None:
        import numpy as np
        import pyarrow as pa

        if not self._held:
            return
        columns = [np.concatenate(parts) for parts in zip(*self._held, strict=True)]
        self._held = []
        types = (pa.int32(), pa.float64(), pa.int32())
        arrays = [pa.array(column, kind) for column, kind in zip(columns, types, strict=True)]
        batch = pa.record_batch(arrays, names=["day", "value", "times"])
        if self._writer is None:
            options = pa.ipc.IpcWriteOptions(compression="lz4")
            self._writer = pa.ipc.new_stream(str(self._path), batch.schema, options=options)
        self._writer.write_batch(batch)
