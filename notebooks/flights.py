"""The schemas of the datasets, and the features, scores and checks that several notebooks share.

Datasets hold one row a flight, partitioned by the day of its scheduled departure, New York time. `id` begins with
that day: 2013-06-30-UA-1545-EWR-IAH-0515.
"""

import io
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from pandera.pandas import Check, Column, DataFrameSchema

import samebook
from samebook.core.errors import nearest

if TYPE_CHECKING:
    import xgboost

CATEGORICAL = ("carrier", "origin", "dest", "manufacturer")
SCHEDULE = ("weekday", "departure_minute", "clock_minutes", "distance", "hour_departures", "day_departures")
PLANE = ("plane_leg", "plane_age", "seats")
WEATHER = {  # the range of a reading: °F, °F, %, °, mph, mph, inch, hPa, miles; then the worst of six hours
    "temp": (-40, 130), "dewp": (-60, 100), "humid": (0, 100), "wind_dir": (0, 360), "wind_speed": (0, 200),
    "wind_gust": (0, 200), "precip": (0, 15), "pressure": (850, 1100), "visib": (0, 10),
    "precip_6h": (0, 15), "visib_6h": (0, 10),
}  # fmt: skip
HISTORY = (  # shares of flights late over the last day or 28 days
    "origin_late_1d", "dest_late_1d", "carrier_late_1d", "carrier_late_28d", "hour_late_28d",
    "route_late_28d", "plane_late_28d", "flight_late_28d",
)  # fmt: skip
NUMERIC = (*SCHEDULE, *PLANE, *WEATHER, *HISTORY, "flight_delay_28d")
FEATURES = (*CATEGORICAL, *NUMERIC)
LATE_MINUTES = 15

_ID = Column(str, Check.str_matches(r"^\d{4}-\d\d-\d\d-\w\w-\d{1,4}-[A-Z]{3}-[A-Z0-9]{3}-\d{4}\Z"), unique=True)


def _between(low: float, high: float, dtype: type = float, nullable: bool = False) -> Column:
    return Column(dtype, Check.in_range(low, high), nullable=nullable, coerce=True)


def _late_as_delayed(frame: pd.DataFrame) -> pd.Series:
    return frame["arr_delay"].isna() | (frame["late"] == (frame["arr_delay"] >= LATE_MINUTES)).fillna(False)


FLIGHTS = DataFrameSchema(
    {
        "id": _ID,
        "departure": Column("datetime64[us]", coerce=True),
        "carrier": Column(str, Check.str_matches(r"^[A-Z0-9]{2}\Z")),
        "flight": _between(1, 9999, int),
        "tailnum": Column(str, nullable=True),
        "origin": Column(str, Check.isin(["EWR", "JFK", "LGA"])),
        "dest": Column(str, Check.str_matches(r"^[A-Z0-9]{3}\Z")),
        "weekday": _between(1, 7, int),
        "departure_minute": _between(0, 1439, int),
        "clock_minutes": _between(0, 1439, int),
        "distance": _between(1, 6000, int),
        "hour_departures": _between(1, 200, int),
        "day_departures": _between(1, 2000, int),
        "plane_leg": _between(1, 30, nullable=True),
        "plane_age": _between(0, 100, nullable=True),
        "seats": _between(1, 900, nullable=True),
        "manufacturer": Column(str, nullable=True),
        **{name: _between(low, high, nullable=True) for name, (low, high) in WEATHER.items()},
        **{name: _between(0, 1, nullable=True) for name in HISTORY},
        "flight_delay_28d": _between(-200, 3000, nullable=True),
    },
    name="flights",
    strict=True,
    ordered=True,
)

OUTCOMES = DataFrameSchema(
    {
        "id": _ID,
        "dep_delay": _between(-200, 3000, nullable=True),
        "arr_delay": _between(-200, 3000, nullable=True),
        "cancelled": Column(bool),
        "late": Column("boolean", nullable=True, coerce=True),
    },
    checks=Check(_late_as_delayed, name="late_is_arr_delay_of_15_or_more"),
    name="outcomes",
    strict=True,
    ordered=True,
)

# `variant` is the model that decided: `probability` is its score, `model` its sha256, `bundle` the digest of its bundle
# and `run` the run that trained it, both "" for a model that is not promoted. Without an experiment ("") only the
# champion scores. In an experiment the `other` variant scores the same flights for comparison, and decides nothing.
PREDICTIONS = DataFrameSchema(
    {
        "id": _ID,
        "probability": _between(0, 1),
        "model": Column(str, Check.str_matches(r"^[0-9a-f]{64}\Z")),
        "variant": Column(str, Check.isin(["champion", "challenger"])),
        "bundle": Column(str, Check.str_matches(r"^([0-9a-f]{64})?\Z")),
        "experiment": Column(str),
        "run": Column(str),
        "other_probability": _between(0, 1, nullable=True),
        "other_bundle": Column(str, Check.str_matches(r"^([0-9a-f]{64})?\Z")),
    },
    name="predictions",
    strict=True,
    ordered=True,
)


def days(start: date, end: date) -> list[date]:
    """Every day from start to end, both included."""
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


def periods(start: date, end: date, days: int) -> list[tuple[date, date]]:
    """The days from start to end in periods of at most `days` days: the first and the last day of each."""
    firsts = [start + timedelta(days=n) for n in range(0, (end - start).days + 1, days)]
    return [(first, min(first + timedelta(days=days - 1), end)) for first in firsts]


def of_day(frame: pd.DataFrame, day: date) -> pd.DataFrame:
    """The rows of a dataset whose flights depart on `day`, in their order, counted from 0."""
    return frame[frame["id"].str.startswith(f"{day:%Y-%m-%d}-")].reset_index(drop=True)


def dated(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a dataset with the column `day` ("2013-07-01"); a frame without columns stays as it is."""
    return frame.assign(day=frame["id"].str[:10]) if "id" in frame else frame


def entities(flights: pd.DataFrame, column: str) -> pd.Series:
    """The unit of assignment of each flight in an experiment. Raises UsageError where `flights` has no such column."""
    if column not in flights:
        hint = nearest(column, map(str, flights))
        raise samebook.UsageError(f"ab_test.entity: flights has no column {column!r}{hint}")
    return flights[column]


def features(flights: pd.DataFrame, categories: Mapping[str, Iterable[str]] | None = None) -> pd.DataFrame:
    """The model's inputs: one row a flight, the columns FEATURES, numbers as float32.

    `categories` are those that a model was trained with. Any other value becomes missing, because xgboost refuses
    unseen ones. Without `categories` each value that occurs is a category.
    """
    categories = categories or observed_categories(flights)
    matrix = flights[list(NUMERIC)].astype("float32")
    columns = {name: _categorical(flights[name], list(categories[name])) for name in CATEGORICAL}
    return pd.DataFrame(columns, index=flights.index).join(matrix)


def observed_categories(flights: pd.DataFrame) -> dict[str, list[str]]:
    """The values of each categorical feature that occur, sorted."""
    return {name: sorted(flights[name].dropna().unique()) for name in CATEGORICAL}


def _categorical(values: pd.Series, categories: list[str]) -> pd.Categorical:
    return pd.Categorical(values.where(values.isin(categories)), categories=categories)


def model_categories(model: "xgboost.Booster") -> dict[str, list[str]]:
    """The values of each categorical feature that the model was trained with."""
    categories = model.get_categories(export_to_arrow=True).to_arrow()
    return {name: values.to_pylist() for name, values in categories if values is not None}


def score(model: "xgboost.Booster", flights: pd.DataFrame) -> np.ndarray:
    """The probability, as float64, that each flight arrives late. Unseen categories count as missing."""
    return model.inplace_predict(features(flights, model_categories(model))).astype("float64")


def read_file(path: Path, schema: DataFrameSchema) -> pd.DataFrame:
    """The rows of a CSV (UTF-8, numbers to the last digit) or Parquet file, as text where the schema says text.

    Raises DataRejected for any other content.
    """
    texts = {name: str for name, column in schema.columns.items() if str(column.dtype).startswith("str")}
    content = path.read_bytes()
    if path.suffix == ".csv" and not content.endswith(b"\n"):
        raise samebook.DataRejected(f"{path.name} was cut off: its last line has no end")
    try:
        if path.suffix == ".parquet":
            return pd.read_parquet(io.BytesIO(content))
        rows = io.BytesIO(content)
        return pd.read_csv(rows, dtype=texts, float_precision="round_trip", keep_default_na=False, na_values=[""])
    except (ValueError, OSError) as error:  # of the content: the file itself has been read already
        raise samebook.DataRejected(f"{path.name} is not a whole {path.suffix[1:]} file in UTF-8: {error}") from None


def check_whole(rows: pd.DataFrame, day: date) -> None:
    """Raise DataRejected for a day of `flights` whose number differs from `day_departures`, or with another day's."""
    counts = rows.groupby("origin")["id"].transform("size")
    if origins := sorted(set(rows.loc[counts != rows["day_departures"], "origin"])):
        raise samebook.DataRejected(f"not all flights from {', '.join(origins)}: day_departures has other numbers")
    if (rows["departure"].dt.date != day).any():
        raise samebook.DataRejected(f"departures on other days than {day}")


def check_integers(rows: pd.DataFrame, schema: DataFrameSchema) -> None:
    """Raise DataRejected for a fraction where the schema has whole numbers; its coercion would cut the fraction off."""
    whole = [name for name, column in schema.columns.items() if str(column.dtype) == "int64" and name in rows]
    numbers = rows[whole].select_dtypes("float")
    if columns := [str(name) for name in numbers if (numbers[name] % 1 != 0).any()]:
        raise samebook.DataRejected(f"columns {', '.join(columns)}: fractions; expected whole numbers")
