"""The queries: files of SQL, with a parameter `$name` for each bound value.

Text that looks like a parameter inside a string, a comment or a quoted name is left alone.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samebook.core.errors import UsageError, nearest
from samebook.core.workspace import Workspace

if TYPE_CHECKING:
    import duckdb
    import pandas as pd

# PostgreSQL's tokens (https://www.postgresql.org/docs/current/sql-syntax-lexical.html); DuckDB has the same.
TOKEN = re.compile(
    r"""
      (?P<comment> /\* )                               # may hold another: its end is found by counting
    | -- [^\n]*
    | [eE] ' (?: [^'\\] | \\. | '' )* '
    | ' (?: [^'] | '' )* '
    | " (?: [^"] | "" )* "
    | \$ (?P<tag> (?: [^\W\d] \w* )? ) \$ .*? \$ (?P=tag) \$
    | [^\W\d] [\w$]*                                   # a name may hold a $
    | \$ (?P<parameter> \w+ )
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True)
class Query:
    """A query by its file's name, its text, and a value for each of its parameters."""

    name: str
    sql: str
    bound: Mapping[str, Any]

    def numbered(self) -> tuple[str, list[Any]]:
        """The query with `$1`, `$2` … in place of its parameters, and their values in that order."""
        names = parameters(self.sql)
        text, end = "", 0
        for token in _parameters(self.sql):
            text += f"{self.sql[end : token.start()]}${names.index(token['parameter']) + 1}"
            end = token.end()
        return text + self.sql[end:], [self.bound[name] for name in names]


def path(workspace: Workspace, name: str, dialect: str) -> Path:
    """The file of the query notebooks/queries/<name>, or of its variant: rows.postgresql.sql beside rows.sql.

    Raises UsageError for a missing file.
    """
    path = workspace.notebooks / "queries" / name
    variant = path.with_suffix(f".{dialect}{path.suffix}")
    path = variant if variant.is_file() else path
    if not path.is_file():
        raise UsageError(
            f"no query {name!r}: expected {workspace.relative(path)}",
            mend=f"write the query into {workspace.relative(path)}",
        )
    return path


def read(workspace: Workspace, name: str, dialect: str, bound: Mapping[str, Any]) -> Query:
    """The query of this name. Raises UsageError as `path` does, and for an unknown parameter or one without a value."""
    file = path(workspace, name, dialect)
    query = Query(file.name, file.read_text(), bound)
    _check(query)
    return query


def parameters(sql: str) -> list[str]:
    """The names of the parameters of a query, each once, in the order of their first use."""
    return list(dict.fromkeys(token["parameter"] for token in _parameters(sql)))


def _check(query: Query) -> None:
    if not query.sql.strip():
        raise UsageError(f"{query.name} is empty; expected a query", mend=f"edit notebooks/queries/{query.name}")
    names = parameters(query.sql)
    for name in query.bound:
        if name not in names:
            raise UsageError(
                f"{query.name}: no parameter {name!r}{nearest(name, names)}",
                mend=f"samebook.query({query.name!r}, …) without {name}",
            )
    if missing := [name for name in names if name not in query.bound]:
        raise UsageError(
            f"{query.name}: no value for ${missing[0]}", mend=f"samebook.query({query.name!r}, …, {missing[0]}=…)"
        )


def _parameters(sql: str) -> Iterator[re.Match[str]]:
    end = 0
    while token := TOKEN.search(sql, end):
        end = _end_of_comment(sql, token.end()) if token["comment"] else token.end()
        if token["parameter"]:
            yield token


def _end_of_comment(sql: str, start: int) -> int:
    """The index after a comment whose text begins at `start`; comments may be nested."""
    depth = 1
    for mark in re.finditer(r"/\*|\*/", sql[start:]):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return start + mark.end()
    return len(sql)


def frame(rows: "duckdb.DuckDBPyConnection | duckdb.DuckDBPyRelation") -> "pd.DataFrame":
    """The rows as DuckDB converts them; a column of texts is one of texts also where there is no row."""
    texts = [name for name, kind, *_ in rows.description or () if str(kind) == "VARCHAR"]
    table = rows.df()
    return table if len(table) else table.astype(dict.fromkeys(texts, "str"))
