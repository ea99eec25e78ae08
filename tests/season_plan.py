"""The plan of a season and its source: the real days, what arrives on each, and the faults that are planted."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tiny import CHECKOUT

if TYPE_CHECKING:
    import pandas as pd

FIRST = date(2013, 7, 1)
# The column of the schema break, the old and new code of a carrier, and the column that arrives in hours.
LACKING, OLD, NEW, HOURS = "distance", "UA", "U2", "flight_delay_28d"
# The training of a season of a few days.
LIGHT = {"train_days": 60, "n_estimators": 100}


@dataclass(frozen=True)
class Plan:
    """The events of a season. Days count from 0, its first; a retraining is in the evening of its day.

    `broken`: the flights of this day lack a column, and the whole file arrives a day later. `renamed`: from this day
    on a carrier has another code. `hours`: a delay is in hours; the day after the last of them the files arrive again.
    """

    days: int
    broken: int
    renamed: int
    hours: tuple[int, ...]
    retrained: tuple[int, ...]
    spoiled: int
    reproduced: int
    training: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, days: int) -> "Plan":
        """A season of `days` days, retrained weekly; every other day where it is shorter than three weeks.

        All faults are planted within ten weeks: a long season shows the time after them.
        """
        is_short, within = days < 21, min(days, 70)
        every = 2 if is_short else 7
        retrained = tuple(range(every - 1, days - 1, every))
        begin = within * 2 // 3
        return cls(
            days=days,
            broken=within // 6,
            renamed=within * 3 // 8,
            hours=(begin,) if is_short else tuple(range(begin, begin + 3)),
            retrained=retrained,
            spoiled=min(retrained[1:], key=lambda day: abs(day - within // 2)),
            reproduced=-1 if is_short else retrained[0],
            training=LIGHT if is_short else {},
        )

    @property
    def learns_from(self) -> int:
        return self.training.get("train_days", 120)

    @property
    def least(self) -> int:
        """The day by which all planted faults have happened and were made good."""
        return max(self.broken, self.renamed, self.hours[-1], self.spoiled) + 1

    def day(self, number: int) -> str:
        return str(FIRST + timedelta(days=number))


@dataclass(frozen=True)
class Source:
    """The real flights and outcomes: a frame of each by day, in the form of the queries of ingest."""

    flights: Mapping[str, "pd.DataFrame"]
    outcomes: Mapping[str, "pd.DataFrame"]

    @classmethod
    def read(cls, warehouse: Path, first: date, last: date) -> "Source":
        import duckdb

        def by_day(name: str) -> dict[str, "pd.DataFrame"]:
            query = (CHECKOUT / "notebooks" / "queries" / f"{name}.sql").read_text()
            rows = connection.execute(query, {"start": first, "end": last}).df()
            return {str(day): part.reset_index(drop=True) for day, part in rows.groupby(rows["id"].str[:10])}

        with duckdb.connect(str(warehouse), read_only=True) as connection:
            return cls(by_day("flights"), by_day("outcomes"))

    def sent(self, plan: Plan, number: int) -> "pd.DataFrame":
        """The flights of a day in a file without fault, under the carrier's code of that day."""
        rows = self.flights[plan.day(number)]
        return rows.assign(carrier=rows["carrier"].replace(OLD, NEW)) if number >= plan.renamed else rows


def arrivals(plan: Plan, source: Source, number: int) -> Iterator[tuple[str, "pd.DataFrame"]]:
    """The files that arrive on a day, by name: its flights, the outcomes of the day before, and corrected files."""
    again = [number - 1] if number - 1 == plan.broken else []
    again += plan.hours if number - 1 == plan.hours[-1] else []
    for earlier in again:
        yield f"flights-{plan.day(earlier)}.csv", source.sent(plan, earlier)
    if number:
        yield f"outcomes-{plan.day(number - 1)}.csv", source.outcomes[plan.day(number - 1)]
    if number < plan.days:
        rows = source.sent(plan, number)
        rows = rows.drop(columns=LACKING) if number == plan.broken else rows
        rows = rows.assign(**{HOURS: rows[HOURS] / 60}) if number in plan.hours else rows
        yield f"flights-{plan.day(number)}.csv", rows
