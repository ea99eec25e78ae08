"""Cron lines, in UTC: what they mean, and when they are due.

Where both day of month and weekday are restricted, cron takes the days that are either. Whether `*/2` is a restriction
differs: for Kubernetes it is, for Vixie's cron and for cronie it is not. Beside another restricted day it is refused.
"""

import calendar
import datetime
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

FREE = ("*", "*/1")
ITEM = re.compile(r"(?:\*|(?P<start>\d{1,2}|[A-Z]{3})(?:-(?P<end>\d{1,2}|[A-Z]{3}))?)(?:/(?P<step>\d{1,2}))?", re.ASCII)
# From one 29 February to the next it is eight years at most.
LONGEST = datetime.timedelta(days=8 * 366)


@dataclass(frozen=True)
class Field:
    """A field of a line: its smallest and its largest value, and what values are called from `named` on."""

    name: str
    first: int
    last: int
    names: tuple[str, ...] = ()

    @property
    def every(self) -> tuple[int, ...]:
        return tuple(range(self.first, self.last + 1))

    def number(self, text: str) -> int:
        found = self.names.index(text) + self.first if text in self.names else int(text) if text.isdecimal() else -1
        if not self.first <= found <= self.last:
            raise ValueError(f"{self.name} {text}: expected {self.first} to {self.last}")
        return found


MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MINUTE, HOUR, DAY = Field("minute", 0, 59), Field("hour", 0, 23), Field("day of month", 1, 31)
MONTH, WEEKDAY = Field("month", 1, 12, MONTHS), Field("weekday", 0, 7, WEEKDAYS)
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)
SUNDAY, WEEK = 0, 7


@dataclass(frozen=True)
class Cron:
    """When a job is due. Sunday is 0; `days` or `weekdays` is empty where it is free."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]

    def is_due_on(self, day: datetime.date) -> bool:
        """Whether it is due at some time of a day."""
        is_free = not self.days and not self.weekdays
        is_right = day.day in self.days or day.isoweekday() % WEEK in self.weekdays
        return day.month in self.months and (is_free or is_right)

    def __str__(self) -> str:
        """The same in numbers and lists alone, which every cron understands: no 7, no names, no steps."""
        found = (self.minutes, self.hours, self.days, self.months, self.weekdays)
        every = (MINUTE.every, HOUR.every, (), MONTH.every, ())
        pairs = zip(found, every, strict=True)
        return " ".join("*" if values == full else listed(values) for values, full in pairs)


def parse(line: str) -> Cron:
    """What a line of five fields means. Raises ValueError: which field is wrong, and what was expected."""
    parts = line.upper().split()
    if len(parts) != len(FIELDS) or not line.isprintable():
        raise ValueError("expected five fields, minute hour day month weekday, like 30 4 * * MON-FRI")
    minutes, hours, days, months, weekdays = (_values(part, field) for part, field in zip(parts, FIELDS, strict=True))
    _check_days(parts[2], parts[4])
    found = Cron(
        minutes,
        hours,
        () if parts[2] in FREE else days,
        months,
        () if parts[4] in FREE else tuple(sorted({each % WEEK for each in weekdays})),
    )
    longest = max(calendar.monthrange(2000, month)[1] for month in months)
    if not found.weekdays and found.days and found.days[0] > longest:
        raise ValueError(f"day of month {found.days[0]}: it never comes in these months")
    return found


def _check_days(day: str, weekday: str) -> None:
    if day not in FREE and weekday not in FREE and "*" in day + weekday:
        raise ValueError(
            "`*` with a step or in a list, beside another restricted day, means other days to other crons; "
            "expected numbers, like 1-31/2"
        )


def _values(part: str, field: Field) -> tuple[int, ...]:
    return tuple(sorted({value for item in part.split(",") for value in _item(item, field)}))


def _item(item: str, field: Field) -> range:
    """The values of `*`, `4`, `4-8`, `4-8/2` or `*/2`."""
    found = ITEM.fullmatch(item)
    if not found or (found["step"] and found["start"] and not found["end"]):
        raise ValueError(f"{field.name} {item}: expected *, numbers, ranges 1-5, steps */2 or 1-5/2, or lists of these")
    step = int(found["step"] or 1)
    start = field.number(found["start"]) if found["start"] else field.first
    end = field.number(found["end"]) if found["end"] else start if found["start"] else field.last
    end = WEEK if (found["end"], start > SUNDAY) == (WEEKDAYS[SUNDAY], True) else end  # FRI-SUN
    if end < start or not 1 <= step <= field.last:
        raise ValueError(f"{field.name} {item}: expected a range that goes up, and a step of 1 to {field.last}")
    return range(start, end + 1, step)


def listed(values: Iterable[int], to: str = "-", name: Callable[[int], str] = str) -> str:
    """Sorted numbers as a list, three and more in a row as a range: 1,3-5."""
    groups: list[list[str]] = []
    before = None
    for value in values:
        groups += [[]] if before is None or value != before + 1 else []
        groups[-1].append(name(value))
        before = value
    return ",".join(f"{group[0]}{to}{group[-1]}" if len(group) > 2 else ",".join(group) for group in groups)


def due(cron: str, after: datetime.datetime, until: datetime.datetime) -> datetime.datetime | None:
    """The first time after `after`, up to and with `until`, at which a line is due, in UTC; None where it is not.

    Both have a time zone. Raises ValueError for a line that is none.
    """
    found = parse(cron)
    start, end = (moment.astimezone(datetime.UTC) for moment in (after, until))
    for day in _days(start.date(), end.date()):
        if found.is_due_on(day):
            moments = (datetime.datetime.combine(day, time, datetime.UTC) for time in _times(found))
            if moment := next((each for each in moments if start < each <= end), None):
                return moment
    return None


def following(cron: str, after: datetime.datetime) -> datetime.datetime | None:
    """The next time at which a line is due, in UTC."""
    return due(cron, after, after + LONGEST)


def _days(start: datetime.date, end: datetime.date) -> Iterator[datetime.date]:
    yield from (start + datetime.timedelta(days=number) for number in range((end - start).days + 1))


def _times(found: Cron) -> Iterator[datetime.time]:
    yield from (datetime.time(hour, minute) for hour in found.hours for minute in found.minutes)
