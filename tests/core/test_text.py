"""Tables as text."""

import time

import pytest

from samebook.core.text import align, repeated_name, visible


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    """Each column starts at the same place in every line, and no line ends in blanks."""
    assert align([("a", "long cell", ""), ("wider", "b", "c")]) == ["a      long cell", "wider  b          c"]


def test_numbers_stand_to_the_right() -> None:
    """Columns whose numbers are in `right` are aligned to the right."""
    assert align([("n", "size"), ("1", "2")], right={1}) == ["n  size", "1     2"]


def test_no_rows() -> None:
    """A table without rows has no lines."""
    assert align([]) == []


def test_repeated_name_found() -> None:
    """The first name that occurs more than once is found; where none does, there is nothing to name."""
    assert repeated_name(["a", "b", "c", "b", "a"]) == "a"
    assert repeated_name(["a", "b"]) == ""


def test_many_names_take_no_time() -> None:
    """A receipt of a hundred thousand results is checked in the time that it takes to read them."""
    start = time.process_time()
    assert repeated_name([str(number) for number in range(100_000)]) == ""
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07x", "\\x1b[2J\\x1b]0;title\\x07x"),
        ("a\rb\x9b1m", "a\\rb\\x9b1m"),
        ("\u202egpj.exe\udc80\u2028", "\\u202egpj.exe\\udc80\\u2028"),
        ("größe 1\u00a0000 数据 😀\n\tb", "größe 1\u00a0000 数据 😀\n\tb"),
    ],
)
def test_nothing_acts_on_the_terminal(text: str, shown: str) -> None:
    """Controls, half characters and what turns writing around are shown escaped; letters of all scripts stay."""
    assert visible(text) == shown


def test_cell_is_one_line() -> None:
    """A name with a line break in it adds no line to a table."""
    assert align([("a\nIDENTICAL", "b\x1b[2J")]) == ["a\\nIDENTICAL  b\\x1b[2J"]
