"""Cron lines, in UTC: their values, and the times at which they are due. cronsim reads lines and counts the times.

Where both day of month and weekday are restricted, a job is due on the days that match either. Crons differ on whether
`*/2` restricts a day: Kubernetes says yes, Vixie's cron and cronie say no. Beside another restricted day it is refused.
Forms that cronsim reads and other crons do not are refused too: `L`, `MON#2`, `5/10`, a field for seconds.
"""

import datetime
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from cronsim import CronSim, CronSimError

FREE = ("*", "*/1")
ITEM = re.compile(r"(?:\*|(?P<start>\d{1,2}|[A-Z]{3})(?:-(?P<end>\d{1,2}|[A-Z]{3}))?)(?:/(?P<step>\d{1,2}))?", re.ASCII)
# cronsim reads SUN as 0 only, so that FRI-SUN would go down.
TO_SUNDAY = re.compile(r"^(?!SUN|00?-)(\w+)-SUN")
# The longest wait: from one 29 February to the next it is eight years at most.
LONGEST = datetime.timedelta(days=8 * 366)
# cronsim wants a time to count from, even where only a line's values are read.
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Field:
    """A field of a cron line: its name, its attribute in cronsim, its smallest and its largest value."""

    name: str
    attribute: str
    first: int
    last: int

    @property
    def all_values(self) -> tuple[int, ...]:
        return tuple(range(self.first, self.last + 1))

    def values(self, text: str) -> tuple[int, ...]:
        """The sorted values that a text means in this field; none where cronsim refuses it."""
        line = " ".join(text if field == self else "*" for field in FIELDS)
        try:
            return tuple(sorted(getattr(CronSim(line, EPOCH), self.attribute)))
        except CronSimError:
            return ()


MINUTE, HOUR = Field("minute", "minutes", 0, 59), Field("hour", "hours", 0, 23)
DAY, MONTH = Field("day of month", "days", 1, 31), Field("month", "months", 1, 12)
WEEKDAY = Field("weekday", "weekdays", 0, 7)
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)
WEEK = 7


@dataclass(frozen=True)
class Cron:
    """The values of a cron line. Sunday is 0; `days` or `weekdays` is empty where the line does not restrict it."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    def __str__(self) -> str:
        """The line in numbers and lists alone, which every cron reads: no 7, no names, no steps."""
        fields = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        full_ranges = (MINUTE.all_values, HOUR.all_values, (), MONTH.all_values, ())
        pairs = zip(fields, full_ranges, strict=True)
        return " ".join("*" if values == full else ranges(values) for values, full in pairs)


def parse(line: str) -> Cron:
    """The values of a cron line of five fields. Raises ValueError with the wrong field and what was expected."""
    parts = line.upper().split()
    if len(parts) != len(FIELDS) or not line.isprintable():
        raise ValueError("expected five fields, minute hour day month weekday, like 30 4 * * MON-FRI")
    minutes, hours, days, months, weekdays = (_values(part, field) for part, field in zip(parts, FIELDS, strict=True))
    _check_days(parts[2], parts[4])
    cron = Cron(
        minutes,
        hours,
        () if parts[2] in FREE else days,
        months,
        () if parts[4] in FREE else tuple(sorted({weekday % WEEK for weekday in weekdays})),
    )
    try:
        CronSim(str(cron), EPOCH)
    except CronSimError:
        raise ValueError(f"day of month {days[0]}: it never comes in these months") from None
    return cron


def _check_days(day: str, weekday: str) -> None:
    if day not in FREE and weekday not in FREE and "*" in day + weekday:
        raise ValueError(
            "`*` with a step or in a list, beside another restricted day, means other days to other crons; "
            "expected numbers, like 1-31/2"
        )


def _values(part: str, field: Field) -> tuple[int, ...]:
    return tuple(sorted({value for item in part.split(",") for value in _item(item, field)}))


def _item(item: str, field: Field) -> tuple[int, ...]:
    """The values of `*`, `4`, `4-8`, `4-8/2` or `*/2`."""
    shape = ITEM.fullmatch(item)
    if not shape or (shape["step"] and shape["start"] and not shape["end"]):
        raise ValueError(f"{field.name} {item}: expected *, numbers, ranges 1-5, steps */2 or 1-5/2, or lists of these")
    for end in filter(None, shape.group("start", "end")):
        if not field.values(end):
            raise ValueError(f"{field.name} {end}: expected {field.first} to {field.last}")
    # The step is counted here: cronsim reads 48-48/2 as 48/2.
    values, step = field.values(TO_SUNDAY.sub(r"\1-7", item.partition("/")[0])), int(shape["step"] or 1)
    if not values or not 1 <= step <= field.last:
        raise ValueError(f"{field.name} {item}: expected a range that goes up, and a step of 1 to {field.last}")
    return values[::step]


def ranges(values: Iterable[int], to: str = "-", name: Callable[[int], str] = str) -> str:
    """Sorted numbers as a list, with three and more in a row as a range: 1,3-5."""
    groups: list[list[str]] = []
    previous = None
    for value in values:
        groups += [[]] if previous is None or value != previous + 1 else []
        groups[-1].append(name(value))
        previous = value
    return ",".join(f"{group[0]}{to}{group[-1]}" if len(group) > 2 else ",".join(group) for group in groups)


def due(cron: str, after: datetime.datetime, until: datetime.datetime) -> datetime.datetime | None:
    """The first time, in UTC, at which a line is due: later than `after`, at the latest at `until`; None without one.

    Both times have a time zone. Raises ValueError for a line that cannot be read.
    """
    moment = next(CronSim(str(parse(cron)), after.astimezone(datetime.UTC)), None)
    return moment if moment and moment <= until else None


def next_due(cron: str, after: datetime.datetime) -> datetime.datetime | None:
    """The next time after `after` at which a line is due, in UTC."""
    return due(cron, after, after + LONGEST)
