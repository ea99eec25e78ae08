"""References: what was in which bin, and that equal data give equal bins."""

import pandas as pd

from samebook.monitoring import bins, reference


def test_numbers_fall_into_deciles() -> None:
    """A hundred numbers make ten bins of ten; what is missing is counted apart."""
    found = bins.binned(pd.Series([*range(100), None]))
    assert found["edges"] == [9, 19, 29, 39, 49, 59, 69, 79, 89]
    assert (found["counts"], found["missing"], found["range"]) == ([10] * 10, 1, [-9.9, 108.9])


def test_every_row_is_counted() -> None:
    """However few values there are, the bins hold all rows."""
    for values in ([], [1.0], [0.0] * 50 + [1.0], [1e-12, 3e300]):
        found = bins.binned(pd.Series(values, dtype=float))
        assert sum(found["counts"]) == len(values)


def test_words_are_counted() -> None:
    """Categories stand with their counts, by name."""
    found = bins.binned(pd.Series(["b", "a", "b", None, "c"], dtype="category"))
    assert list(found["values"].items()) == [("a", 1), ("b", 2), ("c", 1)]
    assert found["missing"] == 1


def test_reference_is_plain_json() -> None:
    """A reference names each feature and the score; order of rows does not count."""
    frame = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": ["a", "b", "a"]})
    found = reference.reference(frame, pd.Series([0.1, 0.2]))
    assert found["rows"] == 3
    assert found["score"]["rows"] == 2
    assert reference.reference(frame[::-1], pd.Series([0.2, 0.1])) == found


def test_days_are_told() -> None:
    """With days a reference knows how many there were, how alike the rows of one are, and how far the farthest is."""
    days = pd.Series([str(n // 100) for n in range(1000)])
    frame = pd.DataFrame({"own": [n // 100 for n in range(1000)], "same": [n % 10 for n in range(1000)]})
    found = reference.reference(frame, frame["own"], days, days)
    assert found["days"] == found["score"]["days"] == 10
    assert found["features"]["own"]["intraclass"] == 1.0
    assert found["features"]["own"]["farthest"] > 0.1
    assert found["features"]["same"]["intraclass"] == 0.0
    assert found["features"]["same"]["farthest"] < 0.001


def test_beyond_the_range_is_unseen() -> None:
    """Numbers far beyond any before, or other than a constant, have a bin of their own, as have those missing."""
    assert bins.places(pd.Series([6.9, 7.0, 7.1, None]), bins.binned(pd.Series([7.0]))).tolist() == [2, 0, 2, 1]
    wide = bins.binned(pd.Series([0.0, 1.0, 2.0]))
    assert bins.places(pd.Series([-1.0, -0.1, 2.1, 3.0]), wide).tolist() == [4, 0, 2, 4]
    assert bins.places(pd.Series([1.0]), bins.binned(pd.Series([None], dtype=float))).tolist() == [2]
