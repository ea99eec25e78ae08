"""Query files: where a parameter is one, and which file is taken."""

from pathlib import Path

import pytest
from tiny import Tiny

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.data import sql

BOUND = {"a": 1, "b": "two"}


@pytest.fixture
def here(tiny: Tiny) -> Path:
    """The folder of a workspace's queries."""
    folder = tiny.root / "notebooks" / "queries"
    folder.mkdir()
    return folder


def read(folder: Path, text: str, dialect: str = "postgresql", **bound: object) -> sql.Query:
    (folder / "q.sql").write_text(text)
    return sql.read(Workspace(folder.parents[1]), "q.sql", dialect, bound)


@pytest.mark.parametrize(
    ("text", "numbered"),
    [
        ("SELECT $b, $a, $b", "SELECT $1, $2, $1"),
        ("SELECT $a::date, x[$b:$a]", "SELECT $1::date, x[$2:$1]"),
        ("'$x' || $a || 'it''s $x' || '\\' || $b", "'$x' || $1 || 'it''s $x' || '\\' || $2"),
        (r"E'\'$x' || $a || e'\\' || $b", r"E'\'$x' || $1 || e'\\' || $2"),
        ('"$x" = $a AND "a""$x" = $b', '"$x" = $1 AND "a""$x" = $2'),
        ("-- $x '\nSELECT $a -- $x", "-- $x '\nSELECT $1 -- $x"),
        ("/* $x /* ' */ $x */ $a /* $x", "/* $x /* ' */ $x */ $1 /* $x"),
        ("$$ $x $$ || $t$ $x $$ $x $t$ || $a", "$$ $x $$ || $t$ $x $$ $x $t$ || $1"),
        ("price$x = $a", "price$x = $1"),
        ("date'2013-01-01' = $a", "date'2013-01-01' = $1"),
        ("SELECT $1", "SELECT $1"),
    ],
)
def test_parameters_found(text: str, numbered: str) -> None:
    """A parameter gets its number; what looks like one in a string, a comment or a name stays as it is."""
    names = sql.parameters(text)
    found = sql.Query("q.sql", text, {**BOUND, "1": 1}).numbered()
    assert found == (numbered, [{**BOUND, "1": 1}[name] for name in names])


def test_names_once_in_order() -> None:
    """Each parameter is named once, where it first comes."""
    assert sql.parameters("SELECT $end, $start, $end") == ["end", "start"]


def test_mistaken_parameters_named(here: Path) -> None:
    """A parameter that the query hasn't, or that has no value, is named with what was meant."""
    with pytest.raises(UsageError, match=r"q.sql: no parameter 'strat'; did you mean start\?"):
        read(here, "SELECT $start", strat=1)
    with pytest.raises(UsageError, match=r"q.sql: no value for \$end"):
        read(here, "SELECT $start, $end", start=1)
    with pytest.raises(UsageError, match=r"q.sql: no parameter 'x'; there are none"):
        read(here, "SELECT '$x'", x=1)
    with pytest.raises(UsageError, match=r"q.sql is empty"):
        read(here, "\n")


def test_variant_of_a_dialect(here: Path) -> None:
    """A variant is taken where its dialect is spoken, and there alone."""
    (here / "q.postgresql.sql").write_text("SELECT 'variant'")
    assert read(here, "SELECT 1").sql == "SELECT 'variant'"
    assert read(here, "SELECT 1").name == "q.postgresql.sql"
    assert read(here, "SELECT 1", dialect="duckdb").sql == "SELECT 1"


def test_missing_query_named(here: Path) -> None:
    """A query that isn't there is named with where it should be."""
    with pytest.raises(UsageError, match=r"no query 'r.sql': expected notebooks/queries/r.sql"):
        sql.read(Workspace(here.parents[1]), "r.sql", "duckdb", {})
