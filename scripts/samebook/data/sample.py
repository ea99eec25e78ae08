"""The sample that stands in for a missing warehouse: the data files of a package, which the settings name.

Each CSV file in the package's folder data/ (plain or compressed) is a table. The files are only read: nothing of the
package is imported, so none of its code runs.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import Distribution, PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import TYPE_CHECKING

from samebook.core.errors import UsageError, nearest
from samebook.core.workspace import replacing

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

FILE = re.compile(r"([a-z][a-z0-9_]*)\.csv(\.\w+)?")
INSTANT = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def load_duckdb(warehouse: Path, package: str) -> None:
    """Make the DuckDB file `warehouse` with the tables of a package, whole or not at all."""
    import duckdb

    sources = tables(package)
    with replacing(warehouse) as temporary:
        temporary.unlink()  # DuckDB makes its own file, and refuses an empty one
        with duckdb.connect(str(temporary)) as connection:
            for name, rows in sources:
                connection.register("source", rows)
                connection.execute(f'CREATE TABLE "{name}" AS SELECT * FROM source')


def tables(package: str) -> Iterator[tuple[str, "pa.Table"]]:
    """The rows of each of a package's tables, by name, read one after the other."""
    return ((name, _rows(path)) for name, path in paths(package).items())


def paths(package: str) -> dict[str, Path]:
    """The file of each of a package's tables, by name. Raises UsageError for a package without, or not installed."""
    with suppress(PackageNotFoundError):
        if files := _paths(distribution(package)):
            return files
    usable = (other.name for other in distributions() if _paths(other))
    what = f"warehouse.sample: no package {package!r} with a folder data/ of CSV files is installed"
    raise UsageError(what + nearest(package, usable), mend="make settings")


def _paths(package: Distribution) -> dict[str, Path]:
    data = ((FILE.fullmatch(part.name), part) for part in package.files or () if part.parent.name == "data")
    return dict(sorted((match[1], Path(str(part.locate()))) for match, part in data if match))


def _rows(source: Path) -> "pa.Table":
    """A CSV file's rows: whole numbers as 32-bit integers, instants in UTC without a zone."""
    import pandas as pd
    import pyarrow as pa

    frame = pd.read_csv(source).convert_dtypes()
    for name in [name for name in map(str, frame) if _are_instants(frame[name])]:
        frame[name] = pd.to_datetime(frame[name], utc=True).dt.tz_localize(None)
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    # PostgreSQL makes dates of these, and not of larger ones.
    fields = [field.with_type(pa.int32()) if field.type == pa.int64() else field for field in rows.schema]
    return rows.cast(pa.schema(fields))


def _are_instants(values: "pd.Series") -> bool:
    """Whether a column is text, and all of it like 2013-01-01T10:00:00Z."""
    import pandas as pd

    present = values.dropna()
    return pd.api.types.is_string_dtype(values) and len(present) > 0 and bool(present.str.fullmatch(INSTANT).all())
