"""Tables as text."""

from samebook.core.text import align, repeated


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
    assert repeated(["a", "b", "c", "b", "a"]) == "a"
    assert repeated(["a", "b"]) == ""
