"""A season replayed: real days come in through the inbox, models are trained and promoted, and things go wrong.

    .venv/bin/python tests/season.py --days 120 --folder .samebook/season --picture docs/season.png

The folder gets a clone of this checkout's commit, with data of its own. History up to the day before the first is
ingested from the warehouse, which is then taken away: from there on the inbox is all that comes in. A day is one
`samebook watch --once`, a retraining one `samebook pipeline`; both are processes, as in production. `samebook`
itself is that of the checkout.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import season_report
import yaml
from tiny import CHECKOUT, SAMPLE, Result, Tiny, git

from samebook.core.workspace import Workspace
from samebook.data import sample
from samebook.models import lookup

if TYPE_CHECKING:
    import pandas as pd

FIRST = date(2013, 7, 1)
# The schema break, the new code of a carrier, and the column that comes in hours.
LACKING, OLD, NEW, HOURS = "distance", "UA", "U2", "flight_delay_28d"
# What a pipeline ends with when the policy refuses a model.
REFUSED = 6
SPOILED = {"max_depth": 1, "n_estimators": 1}
# A season of a few days learns from less.
LIGHT = {"train_days": 60, "n_estimators": 100}


@dataclass(frozen=True)
class Plan:
    """What happens when. Days count from 0, the first of the season; a retraining is what its evening does.

    `broken`: this day's flights lack a column, and the whole file comes a day later. `renamed`: from here on a
    carrier has another code. `hours`: a delay comes in hours; the day after the last of them its files come again.
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
        """A season of so many days, retrained weekly; every other day where it is shorter than three weeks.

        What is planted is so within ten weeks: a long season shows what comes after.
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
        """The day by which all that is planted has happened, and was made good."""
        return max(self.broken, self.renamed, self.hours[-1], self.spoiled) + 1

    def day(self, number: int) -> str:
        return str(FIRST + timedelta(days=number))


@dataclass(frozen=True)
class Source:
    """What really happened, by day: a frame of flights and one of outcomes, as the queries of ingest give them."""

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
        """The flights of a day as they come when nothing is wrong with the file; the carrier has its code of then."""
        rows = self.flights[plan.day(number)]
        return rows.assign(carrier=rows["carrier"].replace(OLD, NEW)) if number >= plan.renamed else rows


def arriving(plan: Plan, source: Source, number: int) -> Iterator[tuple[str, "pd.DataFrame"]]:
    """The files that come on a day, by name: its flights, the outcomes of the day before, and what is made good."""
    again = [number - 1] if number - 1 == plan.broken else []
    again += plan.hours if number - 1 == plan.hours[-1] else []
    for each in again:
        yield f"flights-{plan.day(each)}.csv", source.sent(plan, each)
    if number:
        yield f"outcomes-{plan.day(number - 1)}.csv", source.outcomes[plan.day(number - 1)]
    if number < plan.days:
        rows = source.sent(plan, number)
        rows = rows.drop(columns=LACKING) if number == plan.broken else rows
        rows = rows.assign(**{HOURS: rows[HOURS] / 60}) if number in plan.hours else rows
        yield f"flights-{plan.day(number)}.csv", rows


@dataclass
class Replay:
    """A season under way: the clone, and what was seen of each day and of each retraining when it happened."""

    plan: Plan
    source: Source
    clone: Tiny
    days: list[dict[str, Any]] = field(default_factory=list)
    retrainings: list[dict[str, Any]] = field(default_factory=list)
    # By day, the bundles that have scored it, in their order.
    scored: dict[str, list[str]] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.clone.root / "data"

    def champion(self) -> str:
        """The digest of the bundle that is promoted."""
        return lookup.read(Workspace(self.clone.root), "delay").digest

    def samebook(self, *arguments: str, expected: tuple[int, ...] = (0,)) -> Result:
        """A real process. A season goes on only after what is meant to happen."""
        command, environ = self.clone.command(*arguments), self.clone.environ(PATH=_path())
        done = subprocess.run(
            command, cwd=self.clone.root, env=environ, capture_output=True, text=True, timeout=1800, check=False
        )
        if done.returncode not in expected:
            told = f"samebook {' '.join(arguments)}: exit code {done.returncode}, expected {expected}"
            raise RuntimeError(f"{told}\n{done.stdout}\n{done.stderr}")
        return Result(done.returncode, done.stdout, done.stderr)

    def live(self, number: int) -> dict[str, Any]:
        """One day: what comes in is put into the inbox, and the watcher takes it."""
        began, champion = time.monotonic(), self.champion()
        files = dict(arriving(self.plan, self.source, number))
        for name, rows in files.items():
            _put(self.data / "inbox" / name, rows)
        self.samebook("watch", "--once", expected=(int(number == self.plan.broken),))
        taken = {name[8:18] for name in files if name.startswith("flights-")} - self.quarantined()
        for day in sorted(taken):
            self.scored.setdefault(day, []).append(champion)
        seen = {"day": self.plan.day(number), "seconds": round(time.monotonic() - began, 1), "files": sorted(files)}
        seen |= {"scored": sorted(taken), "quarantined": sorted(self.quarantined() & {self.plan.day(number)})}
        seen["seen"] = {day: self.seen(day) for day in sorted(taken)}
        self.days.append(seen)
        return seen

    def quarantined(self) -> set[str]:
        """The days whose flights were refused and have not come whole since."""
        refused = {path.name[8:18] for path in (self.data / "quarantine").glob("flights-*.csv")}
        return {day for day in refused if not list((self.data / "archive" / "flights").glob(f"flights-{day}-*.csv"))}

    def seen(self, day: str) -> dict[str, Any]:
        """What monitoring says of a day now, and how well its scores and the baseline's rank what happened."""
        findings = _rows(self.data / "monitoring", day)
        drift = findings[findings["kind"].isin(["feature", "score"]) & findings["alarm"].notna()]
        alarms = findings.loc[findings["verdict"] == "alarm"]
        verdicts = set(findings["verdict"])
        return {
            "verdict": next(each for each in ("alarm", "warn", "ok") if each in verdicts),
            "alarms": sorted(set(alarms["name"])),
            "drift": round(float((drift["value"] / drift["alarm"]).max()), 4),
            "farthest": str(drift.loc[(drift["value"] / drift["alarm"]).idxmax(), "name"]),
            **season_report.quality(self, day),
        }

    def retrain(self, number: int) -> dict[str, Any]:
        """The evening of a day: train on what is known, and promote it if the policy lets it pass."""
        began, before, is_spoiled = time.monotonic(), self.champion(), number == self.plan.spoiled
        given = {"as_of": self.plan.day(number - 1), "refresh": "", **(SPOILED if is_spoiled else {})}
        name = "retrain" if number == self.plan.reproduced else "weekly"
        pairs = [part for key, value in given.items() for part in ("-p", f"{key}={value}")]
        ended = self.samebook("pipeline", name, *pairs, expected=(0, REFUSED))
        said = "; ".join(found.strip(" -") for found in ended.stderr.splitlines() if found.startswith("  - "))
        seen = {"day": self.plan.day(number), "spoiled": is_spoiled, "pipeline": name, "code": ended.code, "said": said}
        seen |= {"promoted": self.champion() != before, "seconds": round(time.monotonic() - began, 1)}
        self.retrainings.append(seen | self.gated())
        return self.retrainings[-1]

    def gated(self) -> dict[str, float]:
        """What the newest gate has measured."""
        newest = max(self.clone.root.glob("runs/*-gate-*/metrics.json"), key=lambda path: path.parent.name)
        told = json.loads(newest.read_text())
        return {name: told[f"{name}_auc"] for name in ("candidate", "champion", "baseline") if f"{name}_auc" in told}


def prepare(plan: Plan, folder: Path) -> Replay:
    """The clone with history up to the day before the first, and its first champion; the warehouse is taken away."""
    if folder.exists() and any(folder.iterdir()):
        raise SystemExit(f"error: {folder} is not empty\n  -> rm -rf {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    warehouse = _warehouse(folder)
    clone = _clone(folder / "clone", plan)
    source = Source.read(warehouse, FIRST - timedelta(days=plan.learns_from), FIRST + timedelta(days=plan.days - 1))
    replay = Replay(plan, source, clone)
    (replay.data / "inbox").mkdir(parents=True)
    shutil.copyfile(warehouse, replay.data / "warehouse.duckdb")
    history = plan.learns_from + plan.training.get("holdout_days", 14)
    since, until = FIRST - timedelta(days=history), FIRST - timedelta(days=1)
    replay.samebook("run", "ingest", "-p", f"start={since}", "-p", f"end={until}")
    for path in replay.data.glob("warehouse.*"):
        path.unlink()
    given = [part for pair in plan.training.items() for part in ("-p", f"{pair[0]}={pair[1]}")]
    replay.samebook("run", "train", "-p", f"as_of={until}", *given)
    replay.samebook("promote", "train", "delay", "--why", "The first champion")
    return replay


def season(plan: Plan, folder: Path, minutes: float = float("inf")) -> Replay:
    """Live through a season; what was seen is written to season.json as it goes.

    After so many minutes it ends, as a shorter one, once all that is planted has happened.
    """
    end = time.monotonic() + 60 * minutes
    replay = prepare(plan, folder)
    click.echo(f"{folder / 'clone'}: {plan.days} days from {FIRST}")
    number = 0
    while number <= replay.plan.days:
        if time.monotonic() > end and number > plan.least:
            end, replay.plan = float("inf"), replace(plan, days=number)
        click.echo(season_report.line(replay.live(number)))
        if number in plan.retrained and number < replay.plan.days:
            click.echo(season_report.retrained(replay.retrain(number)))
        (folder / "season.json").write_text(json.dumps(told(replay), indent=1) + "\n")
        number += 1
    return replay


def told(replay: Replay) -> dict[str, Any]:
    """What was seen, as JSON."""
    return {"plan": asdict(replay.plan), "days": replay.days, "retrainings": replay.retrainings}


def result(replay: Replay) -> dict[str, Any]:
    """What was seen, what was noticed when, and what is wrong at the end: nothing, if all is well."""
    found = season_report.summary(replay)
    unseen = [
        f"{fault['what']}: planted {fault['planted']}, never noticed"
        for fault in found["faults"]
        if not fault["noticed"]
    ]
    return told(replay) | found | {"wrong": season_report.checked(replay) + unseen}


def _clone(root: Path, plan: Plan) -> Tiny:
    """This checkout's commit, where missing days are made by nobody, with a pipeline of lighter training beside."""
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(root)], check=True)
    clone = Tiny(root)
    git(clone, "switch", "--quiet", "--force-create", "season")
    for name, value in {"user.name": "season", "user.email": "season@example.com"}.items():
        git(clone, "config", name, value)
    settings = root / "environments" / "dev.yml"
    found = yaml.safe_load(settings.read_text())
    found["warehouse"] |= {"sample": ""}
    found["datasets"] = {name: {} for name in found["datasets"]}
    settings.write_text(yaml.safe_dump(found))
    pipelines = root / "environments" / "pipelines"
    (pipelines / "weekly.yml").write_text(yaml.safe_dump(_weekly(pipelines / "retrain.yml", plan)))
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "-m", "A season: what comes in is all there is")
    return clone


def _weekly(shipped: Path, plan: Plan) -> dict[str, Any]:
    """The pipeline `retrain` without its reproduction, which makes an environment; training can be told how."""
    found = yaml.safe_load(shipped.read_text())
    defaults = {"max_depth": 6, "n_estimators": 200, "train_days": 120, "holdout_days": 14, **plan.training}
    found["parameters"] |= defaults
    del found["steps"]["reproduce"]
    found["steps"]["train"]["parameters"] |= {name: f"${name}" for name in defaults}
    found["steps"]["promote"]["needs"].remove("reproduce")
    return found


def _warehouse(folder: Path) -> Path:
    """The sample, out of the clone's reach."""
    path = folder / "warehouse.duckdb"
    known = CHECKOUT / "data" / "warehouse.duckdb"
    shutil.copyfile(known, path) if known.is_file() else sample.load(path, SAMPLE)
    return path


def _put(path: Path, rows: "pd.DataFrame") -> None:
    """A whole file, moved in by one rename."""
    rows.to_csv(path.with_suffix(".part"), index=False)
    path.with_suffix(".part").rename(path)


def _rows(folder: Path, day: str) -> "pd.DataFrame":
    import pandas as pd

    return pd.read_parquet(folder / f"day={day}" / "part-0.parquet")


def _path() -> str:
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def main() -> None:
    """Live through a season, then check it, print it and draw it. Exit code 1 where a check fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=int, default=120, choices=range(5, 184), metavar="5..183")
    parser.add_argument("--folder", type=Path, required=True, help="where it happens; made, and empty before")
    parser.add_argument("--picture", type=Path, help="where the picture goes; season.png in the folder")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end by then, once all faults were planted")
    given = parser.parse_args()
    folder = given.folder.resolve()
    replay = season(Plan.of(given.days), folder, given.minutes)
    found = result(replay)
    (folder / "season.json").write_text(json.dumps(found, indent=1) + "\n")
    season_report.draw(found, given.picture or folder / "season.png")
    click.echo(season_report.table(found))
    sys.exit(1 if found["wrong"] else 0)


if __name__ == "__main__":
    main()
