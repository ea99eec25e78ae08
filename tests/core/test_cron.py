"""Cron lines: their values, and the times at which they are due."""

import datetime
import functools
import random
from datetime import UTC, timedelta

import pytest

from samebook.core import cron

START = datetime.datetime(2013, 2, 20, 12, 34, 56, tzinfo=UTC)
BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))


def due(line: str, until: datetime.datetime, after: datetime.datetime = START) -> str:
    moment = cron.due(line, after, until)
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""


@pytest.mark.parametrize(
    ("line", "first"),
    [
        ("* * * * *", "2013-02-20 12:35"),
        ("30 4 * * *", "2013-02-21 04:30"),
        ("0 5 * * 1", "2013-02-25 05:00"),
        ("0 5 * * mon-fri", "2013-02-21 05:00"),
        ("0 5 * * 7", "2013-02-24 05:00"),
        ("0 5 * * SAT-SUN", "2013-02-23 05:00"),
        ("*/20 13-14/1 * * *", "2013-02-20 13:00"),
        ("0 0 29 2 *", "2016-02-29 00:00"),
        ("0 0 31 * *", "2013-03-31 00:00"),
        ("0 0 1 JAN,jul *", "2013-07-01 00:00"),
        ("0 0 1 * 1", "2013-02-25 00:00"),
        ("0 0 22 * 1", "2013-02-22 00:00"),
        ("0 0 1-31/2 * 1", "2013-02-21 00:00"),
        ("0 0 */2 * *", "2013-02-21 00:00"),
    ],
)
def test_first_time(line: str, first: str) -> None:
    """A line is due first when it should be: names, ranges, steps, leap years, and days that are either."""
    assert due(line, START + cron.LONGEST) == first


def matches(line: str, moment: datetime.datetime) -> bool:
    """Whether a line of plain numbers, ranges and `*` means a minute, as POSIX tells it: by field, then either day."""
    values = (moment.minute, moment.hour, moment.day, moment.month, moment.isoweekday() % 7)
    fits = [part == "*" or value in numbers(part) for part, value in zip(line.split(), values, strict=True)]
    _, _, day, _, weekday = line.split()
    either = fits[2] or fits[4] if "*" not in (day, weekday) else fits[2] and fits[4]
    return fits[0] and fits[1] and fits[3] and either


@functools.cache
def numbers(part: str) -> set[int]:
    ends = [[int(end) for end in item.split("-")] for item in part.split(",")]
    return {value for item in ends for value in range(item[0], item[-1] + 1)}


def lines(seed: int, bounds: tuple[tuple[int, int], ...] = BOUNDS) -> str:
    """A random line: every field is `*`, a number, a range or a list of them."""
    chance = random.Random(seed)

    def item(low: int, high: int) -> str:
        first, last = sorted(chance.choices(range(low, high + 1), k=2))
        return chance.choice((f"{first}", f"{first}-{last}"))

    return " ".join(chance.choice(("*", item(*bound), f"{item(*bound)},{item(*bound)}")) for bound in bounds)


# Weekdays to 6: a 7 in a range means another thing to the reference above.
SEEDED = [lines(seed, (*BOUNDS[:4], (0, 6))) for seed in range(200)]


def test_agrees_with_posix() -> None:
    """For 200 random lines, the first time is the one that a check of every minute of three days gives."""
    for line in SEEDED:
        minutes = (START.replace(second=0) + timedelta(minutes=number) for number in range(1, 3 * 24 * 60))
        expected = next((moment for moment in minutes if matches(line, moment)), None)
        try:
            assert cron.due(line, START, START.replace(second=0) + timedelta(days=3, minutes=-1)) == expected, line
        except ValueError:
            assert expected is None, line


def test_plain_line_means_the_same() -> None:
    """A line as it is handed on, in numbers and lists alone, is due at the same times."""
    for line in (*SEEDED, "*/7 */5 * * SUN", "0 0 * * 5-7", "0 0 1-31 * MON"):
        try:
            plain = cron.parse(line)
        except ValueError:
            continue
        assert cron.parse(str(plain)) == plain
        assert not set(str(plain)) & set("/7SMTWF") or "7" not in str(plain).split()[4]


def test_step_ends_with_its_range() -> None:
    """A step goes no further than the end of its range, even where the range is a single value."""
    assert str(cron.parse("48-48/2 1-5/9 * * FRI-SUN/3")) == "48 1 * * 5"


def test_bounds() -> None:
    """The time `after` is excluded, the time `until` is included; both may be of any time zone."""
    at = datetime.datetime(2013, 7, 1, 4, 30, tzinfo=UTC)
    assert due("30 4 * * *", at, at - timedelta(seconds=1)) == "2013-07-01 04:30"
    assert due("30 4 * * *", at + timedelta(hours=23), at) == ""
    east = datetime.timezone(timedelta(hours=9))
    assert due("30 4 * * *", at.astimezone(east), (at - timedelta(hours=1)).astimezone(east)) == "2013-07-01 04:30"
    assert due("30 4 * * *", at - timedelta(days=3), at) == ""


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("99 99 * * *", "minute 99: expected 0 to 59"),
        ("0 24 * * *", "hour 24: expected 0 to 23"),
        ("0 0 0 * *", "day of month 0: expected 1 to 31"),
        ("0 0 * 13 *", "month 13: expected 1 to 12"),
        ("0 0 * * 8", "weekday 8: expected 0 to 7"),
        ("0 0 * * MOON", "weekday MOON: expected *, numbers"),
        ("0 0 * * MAI", "weekday MAI: expected 0 to 7"),
        ("0 0 * MON *", "month MON: expected 1 to 12"),
        ("5-1 0 * * *", "minute 5-1: expected a range that goes up"),
        ("*/0 0 * * *", "minute */0: expected a range that goes up, and a step of 1 to 59"),
        ("*/70 0 * * *", "a step of 1 to 59"),
        ("5/10 0 * * *", "minute 5/10: expected *, numbers"),
        ("0,,5 0 * * *", "minute : expected *"),
        ("0 0 * *", "expected five fields"),
        ("0 0 * * * *", "expected five fields"),
        ("0 0 * * *\n", "expected five fields"),
        ("@daily", "expected five fields"),
        ("٣ 0 * * *", "minute ٣: expected *"),
        ("0 0 30 2 *", "day of month 30: it never comes in these months"),
        ("0 0 31 4,6,9,11 *", "it never comes"),
        ("0 0 */2 * MON", "means other days to other crons"),
        ("0 0 1 * */2", "means other days to other crons"),
        ("0 0 *,3 * 1", "means other days to other crons"),
    ],
)
def test_nonsense_is_refused(line: str, message: str) -> None:
    """A line that means nothing, never comes, or means different things to different crons is refused with why."""
    with pytest.raises(ValueError, match=r".") as refused:
        cron.parse(line)
    assert message in str(refused.value)
