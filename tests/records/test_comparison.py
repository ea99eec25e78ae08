"""Verdicts on the subjects of two results."""

import pytest

from samebook.core.digest import sha256
from samebook.records.comparison import Comparison, Side, Verdict, compare, overall, table


def comparison_of(name: str, old: bytes | None, new: bytes | None, tolerance: float = 0.0) -> Comparison:
    """The verdict on one subject, given its bytes on both sides; None where a side lacks it."""
    before, after = (side({name: content} if content is not None else {}) for content in (old, new))
    (result,) = compare(before, after, tolerance)
    return result


def side(contents: dict[str, bytes]) -> Side:
    return Side({name: sha256(content) for name, content in contents.items()}, contents.get)


def test_same_bytes_are_identical() -> None:
    """The same sha256 is IDENTICAL, and nothing needs to be looked into."""
    before = Side({"a.json": "00"}, lambda _: None)
    assert compare(before, before) == [Comparison("a.json", Verdict.IDENTICAL)]


@pytest.mark.parametrize(("old", "new", "where"), [(b"{}", None, "original"), (None, b"{}", "reproduction")])
def test_one_sided_is_missing(old: bytes | None, new: bytes | None, where: str) -> None:
    """A subject that one side lacks is MISSING, and the detail names the other side."""
    assert comparison_of("a.json", old, new) == Comparison("a.json", Verdict.MISSING, f"only in the {where}")


def test_lost_bytes_are_different() -> None:
    """Other hashes without the original's bytes are DIFFERENT, and the detail says so."""
    (result,) = compare(Side({"a": "00"}, lambda _: None), side({"a": b"1"}))
    assert (result.verdict, result.detail) == (Verdict.DIFFERENT, "the original's bytes are not here to look into")


def test_numbers_within_tolerance() -> None:
    """Numbers within the tolerance are EQUIVALENT; beyond it, or with none, DIFFERENT; each with the largest gap."""
    old, new = b'{"auc": 0.81, "n": 5}', b'{"auc": 0.8100001, "n": 5}'
    result = comparison_of("metrics.json", old, new, 1e-6)
    assert result.verdict == Verdict.EQUIVALENT
    assert result.detail == "auc: 0.81 became 0.8100001; largest difference 1e-07, within 1e-06"
    assert comparison_of("metrics.json", old, new, 1e-8).verdict == Verdict.DIFFERENT
    assert comparison_of("metrics.json", old, new).verdict == Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("a.json", b'{"a": 1}', b'{"a":1}'),
        ("a.csv", b"a,b\n1,x\n", b'a,"b"\n1,"x"\n'),
        ("a.csv", b"a\n1\n", b"a\n1.0\n"),
    ],
)
def test_tolerance_is_asked_for(name: str, old: bytes, new: bytes) -> None:
    """The same values written differently are EQUIVALENT within a tolerance, DIFFERENT without one."""
    assert comparison_of(name, old, new, 1e-9).verdict == Verdict.EQUIVALENT
    assert comparison_of(name, old, new).verdict == Verdict.DIFFERENT


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("ids.csv", b"id,code\n007,\n", b"id,code\n7,NA\n"),
        ("ids.csv", b"id\nA7\n12\n", b"id\nA7\n12.0\n"),
        ("a.json", b'{"a": null}', b"{}"),
        ("a.json", b'{"a": true}', b'{"a": 1}'),
        ("a.json", b'{"a": 1, "a": 2}', b'{"a": 2}'),
        ("deep.json", b"[" * 100_000 + b"]" * 100_000, b"1"),
    ],
)
def test_other_values_are_different(name: str, old: bytes, new: bytes) -> None:
    """Codes, blanks, missing keys, truth values, doubled names and bottomless lists are DIFFERENT at any tolerance."""
    assert comparison_of(name, old, new, tolerance=9).verdict == Verdict.DIFFERENT


def test_worst_verdict_counts() -> None:
    """The verdict on all subjects is the worst of them."""
    verdicts = [Verdict.IDENTICAL, Verdict.EQUIVALENT, Verdict.DIFFERENT, Verdict.MISSING]
    for number, verdict in enumerate(verdicts, start=1):
        assert overall([Comparison(name, name) for name in verdicts[:number]]) == verdict
    assert overall([]) == Verdict.IDENTICAL


def test_table_has_line_each() -> None:
    """The table has a line a subject, with the detail below it."""
    result = [Comparison("a.json", Verdict.IDENTICAL), Comparison("metrics.json", Verdict.DIFFERENT, "n: 1 became 2")]
    assert table(result) == (
        "subject       verdict\na.json        IDENTICAL\nmetrics.json  DIFFERENT\n  n: 1 became 2"
    )  # fmt: skip
