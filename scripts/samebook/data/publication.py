"""A day of a dataset on its way into a table of the warehouse, and the SQL that both dialects understand.

The table `samebook_published` holds the sha256 of each published day: a day is written once, and again only when its
bytes have changed.
"""

import datetime
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, Any, NoReturn

from samebook.core.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

CREATE = """
CREATE TABLE IF NOT EXISTS samebook_published (
    into_table TEXT, day DATE, sha256 TEXT, run TEXT, PRIMARY KEY (into_table, day)
)
"""
KNOWN = "SELECT sha256 FROM samebook_published WHERE into_table = $1 AND day = CAST($2 AS DATE)"
FORGET = "DELETE FROM samebook_published WHERE into_table = $1 AND day = CAST($2 AS DATE)"
REMEMBER = "INSERT INTO samebook_published VALUES ($1, CAST($2 AS DATE), $3, $4)"
# A name can't be bound; settings let through only plain names.
INSERT = Template('INSERT INTO "$table" BY NAME SELECT * FROM arrived')
COLUMNS = Template('SELECT * FROM "$table" LIMIT 0')
# A table that was dropped, or emptied by hand, has fewer rows than were published.
COUNT = Template('SELECT count(*) AS n FROM "$table" WHERE day = CAST($$1 AS DATE)')
CLEAR = Template('DELETE FROM "$table" WHERE day = CAST($$1 AS DATE)')


@dataclass(frozen=True)
class Publication:
    """The rows of a day for a table; `digest` is the sha256 of their partition, `run` the run that wrote it."""

    table: str
    dataset: str
    day: datetime.date
    digest: str
    run: str
    rows: "pa.Table"

    @property
    def key(self) -> list[object]:
        return [self.table, str(self.day)]

    @property
    def clear(self) -> str:
        """The statement that removes the rows of the day."""
        return CLEAR.substitute(table=self.table)

    @property
    def count(self) -> str:
        """The query for the number of the day's rows in the table."""
        return COUNT.substitute(table=self.table)

    def fitted(self, table: "pa.Schema") -> "pa.Table":
        """The dated rows, with the types of the table's columns: a warehouse may round a value, or read its bits as
        another type, in silence.

        Raises UsageError where the table has other columns than the rows, or can't hold a value as it is.
        """
        import pyarrow as pa

        rows = self.dated()
        present, expected = sorted(table.names), sorted(rows.column_names)
        if present != expected:
            self._refuse(f"it has {', '.join(present)}; expected {', '.join(expected)}")
        for index, name in enumerate(rows.column_names):
            kind, found = table.field(name).type, rows.column(index)
            if (column := _cast(found, kind)) is None:
                reason = f"its column {name} has the type {kind}, which can't hold each value of {found.type}"
                is_text = pa.types.is_temporal(kind) and (found.type in (pa.string(), pa.large_string()))
                self._refuse(reason, f'make lab, and write rows["{name}"] = pd.to_datetime(rows["{name}"])' * is_text)
            rows = rows.set_column(index, name, column)
        return rows

    def _refuse(self, reason: str, mend: str = "") -> NoReturn:
        raise UsageError(
            f"table {self.table} does not take {self.dataset}: {reason}",
            mend=mend or f"edit environments/<env>.yml: datasets.{self.dataset}.into, another table",
        )

    def dated(self) -> "pa.Table":
        """The rows, with the column `day` before the others."""
        import pyarrow as pa

        days = pa.array([self.day] * len(self.rows), type=pa.date32())
        return self.rows.add_column(0, "day", days)


def _cast(column: "pa.ChunkedArray", kind: "pa.DataType") -> "pa.ChunkedArray | None":
    """The column as this type, unchanged where Arrow does not have the type, as of PostgreSQL's NUMERIC, or no way to
    it, as to a span; None where a value would become another.
    """
    import pyarrow as pa

    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_interval(kind) or column.type == kind:
        return column
    if pa.types.is_dictionary(kind):  # names of a column that takes no others
        kind = kind.value_type
    try:
        cast = column.cast(kind)
        return cast if _is_same(cast, column) else None
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return None


def _is_same(cast: "pa.ChunkedArray", column: "pa.ChunkedArray") -> bool:
    """Whether a column can be made again from what a cast has made of it."""
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute
    if pa.types.is_null(column.type):
        return True
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    try:
        before = cast.cast(column.type)
    except pa.ArrowNotImplementedError:  # lists that are all empty have no type to go back to
        return cast.to_pylist() == column.to_pylist()
    if pa.types.is_nested(column.type):  # as text, in which NaN is itself
        return repr(before.to_pylist()) == repr(column.to_pylist())
    differs = pc.and_kleene(pc.not_equal(before, column), pc.invert(pc.is_null(column, nan_is_null=True)))
    return not pc.any(differs).as_py()
