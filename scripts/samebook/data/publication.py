"""A day of a dataset on its way into a table of the warehouse, and the SQL that both dialects understand.

The table `samebook_published` holds the sha256 of each published day: a day is written once, and again only when its
bytes have changed.
"""

import datetime
from dataclasses import dataclass
from string import Template
from typing import TYPE_CHECKING, NoReturn

from samebook.core.errors import UsageError
from samebook.data import values

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
ROWS = Template('SELECT * FROM "$table" WHERE day = CAST($$1 AS DATE)')
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

    @property
    def kept(self) -> str:
        """The query for the day's rows in the table."""
        return ROWS.substitute(table=self.table)

    def check_kept(self, sent: "pa.Table", kept: "pa.Table") -> None:
        """Raise UsageError where the table has made other values of those that it was sent: it may round them, or cut
        them, by what its columns say of themselves beside their type, as NUMERIC(5, 1) and TIMESTAMP(0) do.
        """
        for name in sent.column_names:
            before, after = sent[name], kept[name]
            is_plain = before.type == after.type and not values.may_change(before.type)
            is_plain = is_plain or values.is_bits(after.type)
            if not is_plain and values.counts(before) != values.counts(after):
                self._refuse(f"its column {name} keeps other values than it was sent, as one that rounds does")

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
            if (column := values.cast(found, kind)) is None:
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
