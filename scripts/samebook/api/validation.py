"""Validation for notebooks: a frame, or batches of one, as a schema returns them."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from samebook.core.errors import DataRejected
from samebook.data import batches, dataset

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from pandera.pandas import DataFrameSchema


def validate(frame: "pd.DataFrame", schema: "DataFrameSchema") -> "pd.DataFrame":
    """The frame as the schema returns it. Raises DataRejected with each broken check and its first rows."""
    from pandera.errors import SchemaErrors

    try:
        return schema.validate(frame, lazy=True)
    except SchemaErrors as error:
        raise DataRejected(
            dataset.rejection(error, schema.name or "the data"), mend="make lab, and look at these rows"
        ) from None


def validate_batches(frames: batches.Batches, schema: "DataFrameSchema") -> Iterator["pd.DataFrame"]:
    """The batches of `read_batches` as the schema returns them; values that must be unique are so across all of them.

    Raises DataRejected as `validate` does: for a repeated value after the last batch, for any other broken check at the
    first batch that breaks it. Other checks of the schema see one batch at a time.
    """
    from pandera.pandas import Column, DataFrameSchema

    unique = batches.uniques(schema)
    hashes: list[list[np.ndarray]] = [[] for _ in unique]
    for frame in frames:
        if frames.is_missing(frame):
            yield frame
            continue
        valid = validate(frame, schema)
        for columns, parts in zip(unique, hashes, strict=True):
            parts.append(batches.hashed(valid[columns]))
        yield valid
    for columns, parts in zip(unique, hashes, strict=True):
        if len(parts) > 1:  # the schema has checked a single batch by itself
            again = (validate(frame, schema) for frame in frames if not frames.is_missing(frame))
            rows = batches.repeated_rows(again, columns, parts)
            alone = {name: Column(unique=True, nullable=True) for name in columns if len(columns) == 1}
            validate(rows, DataFrameSchema(alone, unique=None if alone else columns, name=schema.name))
