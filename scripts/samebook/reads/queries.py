"""The queries of DuckDB: the files that their quoted texts name, and those that its databases and their views read."""

import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress
from threading import get_ident
from typing import Any

from samebook.reads import arguments
from samebook.reads.recorder import Recorder

# A comment or a quoted text of SQL; words by which a query reads files whose names may not be in it; and a function
# that reads the file of another argument than one quoted text, a list of them, or a bound value.
LITERAL = re.compile(
    r"--[^\n]*|/\*.*?\*/|(\bto\s+)?'((?:[^']|'')*)'|\"([^\"]+)\"|\$(\w*)\$(.*?)\$\4\$", re.IGNORECASE | re.DOTALL
)
QUERY = re.compile(
    r"\s*(?:attach|call|copy|create|describe|explain|from|import|insert|pragma|select|with)\b", re.IGNORECASE
)
FUNCTION = r"\b(?:read_\w+|\w+_scan|parquet_\w+|query_table|sniff_csv|glob)\s*\("
READING = re.compile(rf"{FUNCTION}|(?:^|;)\s*(?:attach|import|load)\b", re.IGNORECASE)
COMPUTED = re.compile(rf"{FUNCTION}\s*+(?!(?:''|\?\d*|\$\w+|\[\s*''(?:\s*,\s*'')*\s*\])\s*[,)])", re.IGNORECASE)
# A query in a text, and a name with a dot, which may be that of a file without any quotes.
NESTED = re.compile(r"\bquery\s*\(", re.IGNORECASE)
DOTTED = re.compile(r"[^\W\d]\w*(?:\.\w+)+")
SUBQUERY = re.compile(r"\b(?:from|join)\b", re.IGNORECASE)


def query(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record the files that a query's literals and arguments name; one that reads others is unseen."""
    for text in arguments.texts([_statement(value) for value in values]):
        is_path = not QUERY.match(text) or os.path.isfile(text)
        is_read = (is_path and read_database(recorder, text)) | _read_literals(recorder, text)
        plain = LITERAL.sub(lambda match: " " if match[0].startswith(("--", "/*")) else "''", text)
        for name in () if is_path else DOTTED.findall(plain):
            arguments.read_path(recorder, name)
        if NESTED.search(plain) or COMPUTED.search(plain) or (READING.search(plain) and not is_read):
            recorder.unseen("query of DuckDB, whose files are not named in it")


def expression(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record the files that the queries in expressions name, as in a filter."""
    query(recorder, [text for text in arguments.texts(values) if SUBQUERY.search(text)])


def read_database(recorder: Recorder, path: str) -> bool:
    """Record a file, of a database of DuckDB with its log and what its views read; whether there is one."""
    path = os.path.expanduser(path)
    is_read = arguments.read_path(recorder, path)
    if is_read:
        recorder.open(f"{path}.wal", os.O_RDONLY)
    # A view may name a database, its own too: each is looked at once.
    if is_read and (views := f"{os.path.abspath(path)}/views") not in recorder.seen and _is_database(path):
        recorder.seen.add(views)
        query(recorder, _views(recorder, path))
    return is_read


def _is_database(path: str) -> bool:
    """Whether a file begins as a database of DuckDB does: https://duckdb.org/docs/stable/internals/storage."""
    with suppress(OSError), open(path, "rb") as file:
        return file.read(12).endswith(b"DUCK")
    return False


def _views(recorder: Recorder, path: str) -> list[str]:
    """The queries of a database's views; none where the database is open already, which was looked at then."""
    duckdb: Any = sys.modules["duckdb"]
    recorder.declaring.append(get_ident())
    try:
        with duckdb.connect(path, read_only=True) as connection:
            rows = connection.execute("SELECT sql FROM duckdb_views() WHERE NOT internal").fetchall()
            return [text for (text,) in rows]
    except duckdb.Error:
        return []
    finally:
        recorder.declaring.remove(get_ident())


def _read_literals(recorder: Recorder, text: str) -> bool:
    """Record the files that the quoted texts of a query name; whether there is one."""
    is_read = False
    for to, literal, name, _, dollar in LITERAL.findall(text):
        if to:
            arguments.own(recorder, [literal])
        else:
            is_read = read_database(recorder, literal.replace("''", "'") or name or dollar) or is_read
    return is_read


def _statement(value: Any) -> Any:
    """The text of a statement that DuckDB has parsed; any other value as it is."""
    text = getattr(value, "query", None)
    return text if isinstance(text, str) else value
