"""The queries of DuckDB: the files that their texts and names tell, and those that its databases read by themselves."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from threading import get_ident
from typing import Any

from samebook.reads import arguments
from samebook.reads.recorder import Recorder

# The escapes in a text of the form e'...', and a name, of parts in quotes or without, that may be that of a file.
ESCAPED = re.compile(r"e'", re.IGNORECASE)
NAME = re.compile(r'(?:"(?:[^"]|"")*"|[^\W\d]\w*)(?:\s*\.\s*(?:"(?:[^"]|"")*"|\w+))*')
PART = re.compile(r'"((?:[^"]|"")*)"|(\w+)')
# A function that reads the file of another argument than one text, a list of them, or a bound value; statements that
# read a file, and those of them that compute its name; a query in a text.
FUNCTION = r'\b(?:read_\w+|\w+_scan|parquet_\w+|query_table|sniff_csv|glob)"?\s*\('
READING = re.compile(rf"{FUNCTION}|(?:^|;)\s*(?:attach|import|load)\b", re.IGNORECASE)
COMPUTED = re.compile(
    rf"{FUNCTION}\s*+(?!(?:''|\?\d*|\$\w+|\[\s*''(?:\s*,\s*'')*\s*\])\s*[,)])"
    r"|(?:^|;)\s*(?:attach|import|load)\b\s*(?:or\s+replace|if\s+not\s+exists|database|\s)*+(?!'')"
    r"|(?:^|;)\s*copy\s[^();]+(?:\([^()]*\)\s*)?from\s*\(",
    re.IGNORECASE,
)
NESTED = re.compile(r'\b(?:query|json_execute_serialized_sql)"?\s*\(', re.IGNORECASE)
# A folder that a setting names: DuckDB writes there, or has its extensions there; its home stands for ~ in names.
FOLDER = re.compile(r"\b(\w+)_directory\b['\"\s]*(?:=|\bto\b)\s*\Z", re.IGNORECASE)
HOME = "home"
COPY, TO = re.compile(r"\bcopy\b", re.IGNORECASE), re.compile(r"\bto\s*\Z", re.IGNORECASE)
SUBQUERY = re.compile(r"\b(?:describe|from|join|pivot|show|summarize|table|unpivot)\b", re.IGNORECASE)
# A database by an extension of DuckDB's, as in `sqlite:rows.db`.
EXTENSION = re.compile(r"([a-z]\w+):(?!//)", re.IGNORECASE)
MEMORY = ":memory:"
UNNAMED = "query of DuckDB, whose files are not named in it"
# The queries that a database keeps: of views, of macros, and of triggers, which older ones do not have.
KEPT = (
    "SELECT sql FROM duckdb_views() WHERE NOT internal",
    "SELECT macro_definition FROM duckdb_functions() WHERE macro_definition IS NOT NULL AND NOT internal",
    "SELECT sql FROM duckdb_triggers()",
)


def query(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record the files that queries name, and those that values bound to them do; a query that computes the name of
    a file is unseen.
    """
    queries = [getattr(value, "query", value) for value in values]  # of a statement that DuckDB has parsed
    is_bound = files(recorder, [value for value in queries if not isinstance(value, str)])
    for text in queries:
        if isinstance(text, str):
            _read_query(recorder, text, is_read=is_bound)


def files(recorder: Recorder, values: Sequence[Any]) -> bool:
    """Record the files that these arguments name, those of databases with what they read by themselves; whether there
    is one.
    """
    is_read = [_read_file(recorder, text) for text in arguments.texts(values)]
    return any(is_read)


def connect(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record the database of a connection: what is not there is made by it, or is read by an extension."""
    for settings in values:
        for name, value in settings.items() if isinstance(settings, Mapping) else ():
            text = str(value).replace("'", "''")
            _read_query(recorder, f"SET {name} = '{text}'", is_read=False)
    paths = [value for value in values if not isinstance(value, Mapping)]
    files(recorder, paths)
    for text in arguments.texts(paths[:1]):
        path = os.path.expanduser(text.removeprefix("duckdb:"))
        if os.path.exists(path) or path == MEMORY:
            continue
        if (extension := EXTENSION.match(path)) and not os.path.exists(path[extension.end() :]):
            recorder.unseen(f"database {extension[1]}")
        elif True not in values:  # read only
            recorder.open(path, os.O_RDWR | os.O_CREAT)


def expression(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record the files that the queries in expressions name, as in a filter."""
    query(recorder, [text for text in arguments.texts(values) if SUBQUERY.search(text)])


def function(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record the files that are arguments of a table function, the first of these values."""
    files(recorder, values[1:])
    if NESTED.match(f"{values[0]}("):
        recorder.unseen(UNNAMED)


def _read_query(recorder: Recorder, sql: str, *, is_read: bool) -> None:
    codes, is_copy, is_computed = list[str](), False, False
    for code, text in _lexed(sql):
        codes.append(code)
        is_copy = bool(COPY.search(code.rpartition(";")[2])) or (is_copy and ";" not in code)
        if text is not None and is_copy and TO.search(code):
            arguments.own(recorder, [text])
        elif folder := FOLDER.search(code):
            is_computed = is_computed or folder[1].casefold() == HOME
        elif text is not None:
            is_read = _read_file(recorder, text) or text == MEMORY or is_read
    plain = "'' ".join(codes)
    for name in set(NAME.findall(plain)):
        parts = [quoted.replace('""', '"') or word for quoted, word in PART.findall(name)]
        if len(parts) > 1 or name.startswith('"'):
            is_read = _read_file(recorder, ".".join(parts)) or is_read
    is_computed = is_computed or bool(NESTED.search(plain) or COMPUTED.search(plain))
    if is_computed or (READING.search(plain) and not is_read):
        recorder.unseen(UNNAMED)


def _lexed(sql: str) -> Iterator[tuple[str, str | None]]:
    """The texts of a query, each after the code before it, and at last the code after them; without comments.

    DuckDB itself tells them apart; texts with nothing but blanks between them are one.
    """
    duckdb: Any = sys.modules["duckdb"]
    comment, literal = duckdb.token_type.comment, duckdb.token_type.string_const
    content, tokens = sql.encode(errors="surrogateescape"), duckdb.tokenize(sql)
    before, text, code, done = "", None, "", 0
    for (start, kind), (end, _) in zip(tokens, [*tokens[1:], (len(content), None)], strict=False):
        if kind not in (comment, literal):
            continue
        code += content[done:start].decode(errors="surrogateescape")
        done = end
        if kind == comment:
            code += " "
            continue
        piece = _unquoted(content[start:end].decode(errors="surrogateescape").strip())
        if text is not None and not code.strip():
            text += piece
            continue
        if text is not None:
            yield before, text
        before, text, code = code, piece, ""
    if text is not None:
        yield before, text
    yield code + content[done:].decode(errors="surrogateescape"), None


def _unquoted(text: str) -> str:
    """A text of SQL without its quotes: 'it''s', e'it\\'s', $$it's$$ or $x$it's$x$."""
    if text.startswith("$"):
        quote = text[: text.find("$", 1) + 1]
        return text.removeprefix(quote).removesuffix(quote)
    inner = text.partition("'")[2].removesuffix("'").replace("''", "'")
    if ESCAPED.match(text):
        with suppress(UnicodeError):
            return inner.encode("latin-1", "backslashreplace").decode("unicode_escape")
    return inner


def _read_file(recorder: Recorder, path: str) -> bool:
    """Record a file, of a database of DuckDB with its log and what it reads by itself; whether there is one."""
    folders = path.split(",")  # file_search_path = 'one,another'
    if len(folders) > 1 and all(map(os.path.isdir, folders)):
        for folder in folders:
            arguments.read_path(recorder, folder)
        return True
    if not arguments.read_path(recorder, path):
        extension = EXTENSION.match(path)
        return bool(extension) and _read_file(recorder, path[extension.end() :])
    path = os.path.expanduser(path)
    arguments.read_path(recorder, f"{path}.wal")
    # A view may name a database, its own too: each is looked at once.
    if (views := f"{os.path.abspath(path)}/views") not in recorder.seen and _is_database(path):
        recorder.seen.add(views)
        expression(recorder, _kept(recorder, path))
    return True


def _is_database(path: str) -> bool:
    """Whether a file begins as a database of DuckDB does: https://duckdb.org/docs/stable/internals/storage."""
    with suppress(OSError, ValueError):
        if os.path.isfile(path):
            with open(path, "rb") as file:
                return file.read(12).endswith(b"DUCK")
    return False


def _kept(recorder: Recorder, path: str) -> list[str]:
    """The queries that a database keeps; none where it is open already, which was looked at then."""
    duckdb: Any = sys.modules["duckdb"]
    queries = list[str]()
    recorder.declaring.append(get_ident())
    try:
        with duckdb.connect(path, read_only=True) as connection:
            for kept in KEPT:
                with suppress(duckdb.CatalogException):
                    queries += [text for (text,) in connection.execute(kept).fetchall()]
        return queries
    except duckdb.Error as error:
        is_open = type(error).__name__ in ("ConnectionException", "ResourceInUseException")
    finally:
        recorder.declaring.remove(get_ident())
    if not is_open:  # encrypted, or of another version
        recorder.unseen(f"views of a database of DuckDB, {recorder.places.name(os.path.abspath(path))}")
    return []


def _extension(recorder: Recorder, values: Sequence[Any]) -> None:
    """Record an extension, which is compiled code."""
    recorder.unseen(f"extension of DuckDB {values[0]}")


CONNECTION: Mapping[str, Callable[[Recorder, Sequence[Any]], object]] = {
    "connect": connect,
    **dict.fromkeys(("execute", "executemany", "from_query", "query", "query_df", "sql"), query),
    **dict.fromkeys(("from_csv_auto", "from_parquet", "read_csv", "read_json", "read_parquet"), files),
    **dict.fromkeys(("table", "view"), files),  # a file has its path as the name of one
    "load_extension": _extension,
    "table_function": function,
}
EXPRESSIONS = (
    *("aggregate", "any_value", "apply", "arg_max", "arg_min", "avg", "count", "filter", "first", "group_by", "join"),
    *("last", "list", "max", "mean", "min", "order", "pivot", "project", "quantile", "query", "select", "sort"),
    *("string_agg", "sum", "unpivot", "update", "value_counts", "with_columns"),
)
WRITERS = ("to_csv", "to_parquet", "write_csv", "write_parquet")
# What is noted of each function of the library, by its name.
HOOKS = {
    **CONNECTION,
    **{f"DuckDBPyConnection.{name}": note for name, note in CONNECTION.items()},
    **dict.fromkeys((f"DuckDBPyRelation.{name}" for name in EXPRESSIONS), expression),
    **dict.fromkeys(("SQLExpression", "sql_expr", "aggregate", "filter", "order", "project"), expression),
    **dict.fromkeys((f"DuckDBPyRelation.{name}" for name in WRITERS), arguments.own),
}
