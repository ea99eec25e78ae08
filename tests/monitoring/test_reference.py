"""References: the rows of each bin, and equal bins of equal data."""

import pandas as pd

from samebook.monitoring import bins, reference


def test_numbers_fall_into_deciles() -> None:
    """A hundred numbers make ten bins of ten; missing values are counted apart."""
    counted = bins.bin_values(pd.Series([*range(100), None]))
    assert counted["edges"] == [9, 19, 29, 39, 49, 59, 69, 79, 89]
    assert (counted["counts"], counted["missing"], counted["range"]) == ([10] * 10, 1, [-9.9, 108.9])


def test_every_row_is_counted() -> None:
    """However few values there are, the bins hold all rows."""
    for values in ([], [1.0], [0.0] * 50 + [1.0], [1e-12, 3e300]):
        counted = bins.bin_values(pd.Series(values, dtype=float))
        assert sum(counted["counts"]) == len(values)


def test_words_are_counted() -> None:
    """Categories stand with their counts, by name."""
    counted = bins.bin_values(pd.Series(["b", "a", "b", None, "c"], dtype="category"))
    assert list(counted["values"].items()) == [("a", 1), ("b", 2), ("c", 1)]
    assert counted["missing"] == 1


def test_reference_is_plain_json() -> None:
    """A reference names each feature and the score; the order of rows does not count."""
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "a"]})
    described = reference.reference(frame, pd.Series([0.1, 0.2]))
    assert described["rows"] == 3
    assert described["score"]["rows"] == 2
    assert reference.reference(frame[::-1], pd.Series([0.2, 0.1])) == described


def test_days_are_described() -> None:
    """A reference with days has their number, how alike the rows of a day are, and how far the farthest day is."""
    days = pd.Series([str(n // 100) for n in range(1000)])
    frame = pd.DataFrame({"own": [n // 100 for n in range(1000)], "same": [n % 10 for n in range(1000)]})
    described = reference.reference(frame, frame["own"], days, days)
    assert described["days"] == described["score"]["days"] == 10
    assert described["features"]["own"]["intraclass"] == 1.0
    assert described["features"]["own"]["farthest"] > 0.1
    assert described["features"]["same"]["intraclass"] == 0.0
    assert described["features"]["same"]["farthest"] < 0.001


def test_beyond_the_range_is_unseen() -> None:
    """Numbers far beyond all others, and numbers other than a constant, are in the bin of unseen values."""
    constant = bins.bin_values(pd.Series([7.0]))
    assert bins.bin_numbers(pd.Series([6.9, 7.0, 7.1, None]), constant).tolist() == [2, 0, 2, 1]
    wide = bins.bin_values(pd.Series([0.0, 1.0, 2.0]))
    assert bins.bin_numbers(pd.Series([-1.0, -0.1, 2.1, 3.0]), wide).tolist() == [4, 0, 2, 4]
    assert bins.bin_numbers(pd.Series([1.0]), bins.bin_values(pd.Series([None], dtype=float))).tolist() == [2]
