"""The alarms of the season, scored again in one process: what monitoring says on each of 120 days, and what it misses.

    .venv/bin/python tests/alarms.py --folder .samebook/alarms --picture docs/alarms.png

The days, faults and retrainings are those of tests/season.py, whose watcher and pipelines are left out: a candidate
that is not spoiled is promoted where its AUC is at most 0.005 below the champion's. The folder keeps the models, which
take the most time; references, reports and what is said are always those of the present code. The curve has all limits
of findings multiplied by a factor: days that alarm without a fault, and planted faults that nobody hears of that day.
"""

import argparse
import json
import multiprocessing
import os
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click
import pandas as pd
from alarms_season import DAYS, HELD, LEARNT, WEEK, Season, find_champions, observations, quality
from season_clone import copy_warehouse
from season_plan import FIRST, HOURS, OLD, Plan, Source
from tiny import CHECKOUT

from samebook.monitoring.finding import ALARM, OK
from samebook.monitoring.measure import measure
from samebook.monitoring.report import Report
from samebook.monitoring.said import compared

FACTORS = (0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
PLANTED = {"carrier", HOURS}
# What the processes of the pool inherit.
SEASON: list[Season] = []
KNOWN: list[tuple[dict[int, Report], list[tuple[int, str, Report]]]] = []


def scaled(report: Report, factor: float) -> Report:
    """A report whose limits are multiplied by a factor."""

    def limit(value: float | None) -> float | None:
        return None if value is None else value * factor

    return replace(
        report,
        findings=tuple(replace(each, warn=limit(each.warn), alarm=limit(each.alarm)) for each in report.findings),
    )


def told(reports: Mapping[int, Report], factor: float = 1.0) -> dict[int, Report]:
    """The reports of the season, each after those before it."""
    rows, said = [pd.DataFrame()], {}
    for number, report in reports.items():
        said[number] = compared(scaled(report, factor), pd.concat(rows[-WEEK - 1 :], ignore_index=True))
        rows.append(said[number].frame())
    return said


def names(report: Report, level: str) -> set[str]:
    """The findings that are said with a verdict."""
    return {finding.name for finding, standing in report.pairs() if standing.told == level}


def faults(season: Season, number: int) -> Iterator[tuple[str, pd.DataFrame]]:
    """Faults to plant on a day, by the column: each carrier of 2 % of the flights with a new code; columns in another
    unit, missing for half of the flights, or exchanged.
    """
    rows = season.flights(number, number).assign(day=season.plan.day(number))
    shares = rows["carrier"].value_counts(normalize=True)
    for carrier in shares[shares >= 0.02].index:
        yield "carrier", rows.assign(carrier=rows["carrier"].replace(carrier, "ZZ"))
    for column in (HOURS, "distance", "clock_minutes", "seats", "route_late_28d", "temp", "pressure"):
        yield column, rows.assign(**{column: rows[column] / 60})
        yield column, rows.assign(**{column: rows[column].where(rows.index % 2 == 0)})
    yield "origin", rows.assign(origin="JFK")
    yield "hour_departures", rows.assign(hour_departures=rows["day_departures"])


def champions() -> list[int]:
    """The evenings whose models are promoted."""
    return find_champions(SEASON[0])


def report_of(number: int) -> tuple[int, Report]:
    """The report of a day, before it is compared with earlier ones."""
    season = SEASON[0]
    report = measure(season.reference(season.of(number)), observations(season, number))
    return number, report.plus(*quality(season, number))


def planted(number: int) -> list[tuple[int, str, Report]]:
    """The report of each fault that is planted on a day."""
    season = SEASON[0]
    return [
        (number, name, measure(season.reference(season.of(number)), observations(season, number, rows)))
        for name, rows in faults(season, number)
    ]


def point(factor: float) -> dict[str, float]:
    """With a factor on the limits: the days with an alarm that nobody planted, and the shares of missed faults."""
    reports, wrong = KNOWN[0]
    said = told(reports, factor)
    rows = {number: report.frame() for number, report in said.items()}
    heard: dict[str, list[bool]] = {"alarm": [], "any": []}
    for number, name, report in wrong:
        past = pd.concat([pd.DataFrame(), *(rows[day] for day in range(number - WEEK, number) if day in rows)])
        result = compared(scaled(report, factor), past)
        own = {finding.name: standing.told for finding, standing in result.pairs() if standing.told != OK}
        levels = {level for found, level in own.items() if found in (name, f"{name} missing or unseen")}
        heard["alarm"].append(ALARM in levels)
        heard["any"].append(bool(levels))
    return {
        "factor": factor,
        "false": sum(bool(names(report, ALARM) - PLANTED) for report in said.values()),
        "said": sum(standing.told != OK for report in said.values() for _, standing in report.pairs()) / len(said),
        "faults": len(wrong),
        **{f"missed_{level}": 1 - sum(each) / len(each) for level, each in heard.items()},
    }


def draw(points: list[dict[str, float]], path: Path) -> None:
    """False alarms against missed faults, one point a factor."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    table = pd.DataFrame(points)
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = plt.subplots(figsize=(7, 4.5), layout="constrained")
        for column, color, label in (
            ("any", "#33618d", "not said at all"),
            ("alarm", "#c1440e", "no alarm"),
        ):
            axes.plot(table["false"], 100 * table[f"missed_{column}"], "o-", color=color, label=label)
        for point in points:
            at = (point["false"], 100 * point["missed_alarm"])
            axes.annotate(f"x {point['factor']:g}", at, xytext=(5, 5), textcoords="offset points")
        axes.axvline(6, color="#7a8ca3", linestyle=":", label="6 days: what we want at most")
        axes.set(
            xlabel=f"days of {DAYS} with an alarm that nobody planted", ylabel="planted faults (%)", ylim=(-2, None)
        )
        axes.set_title("False and missed alarms, with all limits multiplied by a factor")
        axes.legend(frameon=False)
        figure.savefig(path, dpi=110, metadata={"Software": None})
        plt.close(figure)


def main() -> None:
    """Score the season, print what was said, and draw the curve."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="folder of the models; kept for the next time")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="processes at the same time")
    parser.add_argument("--picture", type=Path, help="file of the curve; without it there is none")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(CHECKOUT / "notebooks"))
    first = FIRST - timedelta(days=LEARNT + HELD + 7)
    source = Source.read(copy_warehouse(options.folder), first, FIRST + timedelta(days=DAYS - 1))
    season = Season(Plan.of(DAYS), source, options.folder)
    SEASON.append(season)
    # Not in this process: what it forks could use no thread of xgboost any more, and would wait without end.
    with forked(1) as pool:
        season.champions.extend(pool.submit(champions).result())
    numbers = [number for number in range(DAYS) if number != season.plan.broken]
    with forked(options.jobs) as pool:
        reports = dict(pool.map(report_of, numbers, chunksize=-(-len(numbers) // options.jobs)))
    said = told(reports)
    for report in said.values():
        if report.told != OK:
            click.echo(report.line())
    alarms = {number: sorted(names(report, ALARM)) for number, report in said.items() if report.told == ALARM}
    levels = [standing.told for report in said.values() for _, standing in report.pairs() if standing.told != OK]
    before = sum(
        bool({each.name for each in report.findings if each.verdict == ALARM} - PLANTED) for report in said.values()
    )
    summary = {
        "alarms": {season.plan.day(number): found for number, found in alarms.items()},
        "unplanned_alarm_days": sum(bool(set(found) - PLANTED) for found in alarms.values()),
        "days_with_an_alarm_if_nothing_were_remembered": before,
        "said_a_day": round(len(levels) / len(said), 3),
        "said_on_the_first_day": sum(standing.told != OK for _, standing in said[0].pairs()),
        "planted": {
            OLD: season.plan.day(season.plan.renamed),
            HOURS: season.plan.day(season.plan.hours[0]),
        },
    }
    click.echo(json.dumps(summary, indent=1))
    if options.picture:
        with forked(options.jobs) as pool:
            wrong = [each for part in pool.map(planted, range(5, DAYS, 20)) for each in part]
        KNOWN.append((reports, wrong))
        with forked(options.jobs) as pool:
            points = list(pool.map(point, FACTORS))
        click.echo(pd.DataFrame(points).round(3).to_string(index=False))
        draw(points, options.picture)


def forked(jobs: int) -> ProcessPoolExecutor:
    """Processes that inherit what this one knows."""
    return ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("fork"))


if __name__ == "__main__":
    main()
