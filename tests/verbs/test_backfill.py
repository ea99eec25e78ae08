"""Backfills: each day runs once, side by side with others, whatever fails or is killed."""

import os
import signal

import pytest
from promoting import stderr_of
from tiny import PATIENCE, Tiny, wait_until

DAY = "from datetime import date\nday: date = date(2013, 1, 1)"
WORK = """
import pandas as pd
import samebook
if day.day == 3:
    raise samebook.DataRejected("the third is wrong")
samebook.write_partition("rows", day, pd.DataFrame({"n": [day.day]}))
"""
SPAN = ("--from", "2013-01-01", "--to", "2013-01-04")


@pytest.fixture
def tiny(tiny: Tiny) -> Tiny:
    """A pipeline of one step, which refuses the third of the month."""
    tiny.notebook("make", parameters=DAY, work=WORK)
    (tiny.root / "environments" / "pipelines").mkdir()
    (tiny.root / "environments" / "pipelines" / "daily.yml").write_text(
        "parameters: {day: today}\nsteps: {make: {parameters: {day: $day}}}"
    )
    return tiny


def published(tiny: Tiny) -> list[str]:
    return sorted(path.parent.name[4:] for path in (tiny.root / "data").glob("rows/day=*/part-0.parquet"))


def test_each_day_once(tiny: Tiny) -> None:
    """A failed day stops no other and is named; a second backfill runs the mended days, and no finished ones."""
    ended = tiny.samebook("backfill", "daily", *SPAN)
    assert ended.code == 1
    assert "3 ran, 0 done already, 1 failed" in ended.stdout
    assert "2013-01-03: step make failed with exit code 4" in ended.stdout
    assert "4/4" in ended.stderr
    assert published(tiny) == ["2013-01-01", "2013-01-02", "2013-01-04"]
    assert not tiny.kernels()
    tiny.notebook("make", parameters=DAY, work=WORK.replace("== 3", "== 30"))
    assert "4 ran" in tiny.samebook("backfill", "daily", *SPAN).stdout
    assert "0 ran, 4 done already, 0 failed" in tiny.samebook("backfill", "daily", *SPAN).stdout


@pytest.mark.usefixtures("alone")
def test_many_days_are_warm(tiny: Tiny) -> None:
    """Days that start once a notebook's imports are in memory take them from there."""
    assert tiny.samebook("backfill", "daily", "--from", "2013-02-04", "--to", "2013-02-20").code == 0
    warm = ['"warm": "started"' in (run / "receipt.json").read_text() for run in tiny.runs]
    assert len(warm) == 17
    assert sum(warm) > 8
    assert not tiny.kernels()


def test_goes_on_after_a_stop(tiny: Tiny) -> None:
    """A stopped backfill leaves nothing running; started again, it runs the days that are left."""
    tiny.notebook("make", parameters=DAY, work=WORK.replace("== 3", "== 30"))
    process = tiny.start("backfill", "daily", *SPAN, "--jobs", "1")
    wait_until(lambda: published(tiny))
    os.kill(process.pid, signal.SIGTERM)
    process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    assert not tiny.kernels()
    assert len(published(tiny)) < 4
    assert tiny.samebook("backfill", "daily", *SPAN).code == 0
    assert len(list(tiny.root.glob("runs/*-make-*/receipt.json"))) == 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("daily", "--from", "2013-02-01", "--to", "2013-01-01"),
            "found the first day 2013-02-01 after the last, 2013-01-01",
        ),
        (("daily", "--from", "Monday", "--to", "2013-01-01"), "'Monday' does not match the format '%Y-%m-%d'"),
        (("dayly", *SPAN), "no pipeline 'dayly'; did you mean daily?"),
        (("daily", *SPAN, "-p", "x=1"), "no parameter 'x'"),
    ],
)
def test_wrong_call_told(arguments: tuple[str, ...], message: str, tiny: Tiny) -> None:
    """Days in the wrong order, an impossible day, an unknown pipeline or parameter are refused before any day runs."""
    assert message in stderr_of(tiny.samebook("backfill", *arguments), 2)
    assert tiny.runs == []
