"""References: what was in which bin, and that equal data give equal bins."""

import pandas as pd

from samebook import binning, distribution


def test_numbers_fall_into_deciles() -> None:
    """A hundred numbers make ten bins of ten; what is missing is counted apart."""
    found = binning.binned(pd.Series([*range(100), None]))
    assert found == {"edges": [9, 19, 29, 39, 49, 59, 69, 79, 89], "counts": [10] * 10, "missing": 1}


def test_every_row_is_counted() -> None:
    """However few values there are, the bins hold all rows."""
    for values in ([], [1.0], [0.0] * 50 + [1.0], [1e-12, 3e300]):
        found = binning.binned(pd.Series(values, dtype=float))
        assert sum(found["counts"]) == len(values)


def test_words_are_counted() -> None:
    """Categories stand with their counts, by name."""
    found = binning.binned(pd.Series(["b", "a", "b", None, "c"], dtype="category"))
    assert list(found["values"].items()) == [("a", 1), ("b", 2), ("c", 1)]
    assert found["missing"] == 1


def test_reference_is_plain_json() -> None:
    """A reference names each feature and the score; order of rows does not count."""
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "a"]})
    found = distribution.reference(frame, pd.Series([0.1, 0.2]))
    assert found["rows"] == 3
    assert found["score"]["rows"] == 2
    assert distribution.reference(frame[::-1], pd.Series([0.2, 0.1])) == found
