"""A season replayed: real days arrive through the inbox, models are trained and promoted, and faults are planted.

    .venv/bin/python tests/season.py --days 120 --folder .samebook/season --picture docs/season.png

The folder gets a clone of this checkout's commit, with data of its own. History up to the day before the first is
ingested from the warehouse, which is then deleted: from then on all data come through the inbox. A day is one `samebook
watch --once`, a retraining one `samebook pipeline`; both are processes, as in production. `samebook` itself is that of
the checkout.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import season_report
from season_clone import clone_checkout, copy_warehouse
from season_plan import FIRST, Plan, Source, arrivals
from tiny import Result, Tiny

from samebook.core.workspace import Workspace
from samebook.models import lookup

if TYPE_CHECKING:
    import pandas as pd

# The exit code of a pipeline whose model the policy refuses.
REFUSED = 6
SPOILED = {"max_depth": 1, "n_estimators": 1}


@dataclass
class Replay:
    """A season under way: the clone, and the records of each day and each retraining at its time."""

    plan: Plan
    source: Source
    clone: Tiny
    days: list[dict[str, Any]] = field(default_factory=list)
    retrainings: list[dict[str, Any]] = field(default_factory=list)
    # The bundles that have scored each day, in their order.
    scored: dict[str, list[str]] = field(default_factory=dict)

    @property
    def data(self) -> Path:
        return self.clone.root / "data"

    def champion(self) -> str:
        """The digest of the promoted bundle."""
        return lookup.read(Workspace(self.clone.root), "delay").digest

    def samebook(self, *arguments: str, expected: tuple[int, ...] = (0,)) -> Result:
        """Run samebook as a process. Raises RuntimeError for another exit code than expected."""
        command = self.clone.command(*arguments)
        environ = self.clone.hand_over(self.clone.environ(PATH=_path()), self.clone.root)
        done = subprocess.run(
            command, cwd=self.clone.root, env=environ, capture_output=True, text=True, timeout=1800, check=False
        )
        if done.returncode not in expected:
            message = f"samebook {' '.join(arguments)}: exit code {done.returncode}, expected {expected}"
            raise RuntimeError(f"{message}\n{done.stdout}\n{done.stderr}")
        return Result(done.returncode, done.stdout, done.stderr)

    def replay_day(self, number: int) -> dict[str, Any]:
        """Replay a day: its files are put into the inbox, and the watcher takes them."""
        began, champion = time.monotonic(), self.champion()
        files = dict(arrivals(self.plan, self.source, number))
        for name, rows in files.items():
            _put(self.data / "inbox" / name, rows)
        self.samebook("watch", "--once", expected=(int(number == self.plan.broken),))
        taken = {name[8:18] for name in files if name.startswith("flights-")} - self.quarantined()
        for day in sorted(taken):
            self.scored.setdefault(day, []).append(champion)
        record = {"day": self.plan.day(number), "seconds": round(time.monotonic() - began, 1), "files": sorted(files)}
        record |= {"scored": sorted(taken), "quarantined": sorted(self.quarantined() & {self.plan.day(number)})}
        record["seen"] = {day: self.measure(day) for day in sorted(taken)}
        self.days.append(record)
        return record

    def quarantined(self) -> set[str]:
        """The days whose flights were refused and have not arrived whole since."""
        refused = {path.name[8:18] for path in (self.data / "quarantine").glob("flights-*.csv")}
        return {day for day in refused if not list((self.data / "archive" / "flights").glob(f"flights-{day}-*.csv"))}

    def measure(self, day: str) -> dict[str, Any]:
        """What monitoring says and finds on a day at present, and the AUC of its scores and of the baseline."""
        findings = _rows(self.data / "monitoring", day)
        drift = findings[findings["kind"].isin(["feature", "score"]) & findings["alarm"].notna()]
        found, told = (findings.loc[findings[column] == "alarm"] for column in ("verdict", "told"))
        verdicts = set(findings["told"])
        return {
            "verdict": next(verdict for verdict in ("alarm", "warn", "ok") if verdict in verdicts),
            "alarms": sorted(set(told["name"])),
            "found": sorted(set(found["name"])),
            "said": int((findings["told"] != "ok").sum()),
            "drift": round(float((drift["value"] / drift["alarm"]).max()), 4),
            "farthest": str(drift.loc[(drift["value"] / drift["alarm"]).idxmax(), "name"]),
            **season_report.quality(self, day),
        }

    def retrain(self, number: int) -> dict[str, Any]:
        """Retrain in the evening of a day: train on the known days, and promote the model if the policy accepts it."""
        began, before, is_spoiled = time.monotonic(), self.champion(), number == self.plan.spoiled
        parameters = {"as_of": self.plan.day(number - 1), "refresh": "", **(SPOILED if is_spoiled else {})}
        name = "retrain" if number == self.plan.reproduced else "weekly"
        pairs = [part for key, value in parameters.items() for part in ("-p", f"{key}={value}")]
        ended = self.samebook("pipeline", name, *pairs, expected=(0, REFUSED))
        reasons = "; ".join(line.strip(" -") for line in ended.stderr.splitlines() if line.startswith("  - "))
        record = {
            "day": self.plan.day(number),
            "spoiled": is_spoiled,
            "pipeline": name,
            "code": ended.code,
            "said": reasons,
        }
        record |= {"promoted": self.champion() != before, "seconds": round(time.monotonic() - began, 1)}
        self.retrainings.append(record | self.gate_metrics())
        return self.retrainings[-1]

    def gate_metrics(self) -> dict[str, float]:
        """The AUC of candidate, champion and baseline in the newest run of the gate."""
        newest = max(self.clone.root.glob("runs/*-gate-*/metrics.json"), key=lambda path: path.parent.name)
        metrics = json.loads(newest.read_text())
        names = ("candidate", "champion", "baseline")
        return {name: metrics[f"{name}_auc"] for name in names if f"{name}_auc" in metrics}


def prepare(plan: Plan, folder: Path) -> Replay:
    """Make the clone, with history up to the day before the first and a first champion; delete its warehouse."""
    if folder.exists() and any(folder.iterdir()):
        raise SystemExit(f"error: {folder} is not empty\n  -> rm -rf {folder}")
    folder.mkdir(parents=True, exist_ok=True)
    warehouse = copy_warehouse(folder)
    clone = clone_checkout(folder / "clone", plan)
    source = Source.read(warehouse, FIRST - timedelta(days=plan.learns_from), FIRST + timedelta(days=plan.days - 1))
    replay = Replay(plan, source, clone)
    (replay.data / "inbox").mkdir(parents=True)
    shutil.copyfile(warehouse, replay.data / "warehouse.duckdb")
    history = plan.learns_from + plan.training.get("holdout_days", 14)
    since, until = FIRST - timedelta(days=history), FIRST - timedelta(days=1)
    replay.samebook("run", "ingest", "-p", f"start={since}", "-p", f"end={until}")
    for path in replay.data.glob("warehouse.*"):
        path.unlink()
    arguments = [part for pair in plan.training.items() for part in ("-p", f"{pair[0]}={pair[1]}")]
    replay.samebook("run", "train", "-p", f"as_of={until}", *arguments)
    replay.samebook("promote", "train", "delay", "--why", "The first champion")
    return replay


def season(plan: Plan, folder: Path, minutes: float = float("inf")) -> Replay:
    """Replay a season, and write its records to season.json after each day.

    After `minutes` minutes it ends early, as a shorter season, once all planted faults have happened.
    """
    end = time.monotonic() + 60 * minutes
    replay = prepare(plan, folder)
    click.echo(f"{folder / 'clone'}: {plan.days} days from {FIRST}")
    number = 0
    while number <= replay.plan.days:
        if time.monotonic() > end and number > plan.least:
            end, replay.plan = float("inf"), replace(plan, days=number)
        click.echo(season_report.day_line(replay.replay_day(number)))
        if number in plan.retrained and number < replay.plan.days:
            click.echo(season_report.retraining_line(replay.retrain(number)))
        (folder / "season.json").write_text(json.dumps(as_json(replay), indent=1) + "\n")
        number += 1
    return replay


def as_json(replay: Replay) -> dict[str, Any]:
    """The records of a season, as JSON."""
    return {"plan": asdict(replay.plan), "days": replay.days, "retrainings": replay.retrainings}


def result(replay: Replay) -> dict[str, Any]:
    """The records of a season, the day on which each fault was noticed, and all failed checks."""
    summary = season_report.summary(replay)
    unseen = [
        f"{fault['what']}: planted {fault['planted']}, never noticed"
        for fault in summary["faults"]
        if not fault["noticed"]
    ]
    return as_json(replay) | summary | {"wrong": season_report.failed_checks(replay) + unseen}


def _put(path: Path, rows: "pd.DataFrame") -> None:
    """Write a whole file, moved into place by one rename."""
    rows.to_csv(path.with_suffix(".part"), index=False)
    path.with_suffix(".part").rename(path)


def _rows(folder: Path, day: str) -> "pd.DataFrame":
    import pandas as pd

    return pd.read_parquet(folder / f"day={day}" / "part-0.parquet")


def _path() -> str:
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"


def main() -> None:
    """Replay a season, then check it, print it and draw it. Exit code 1 where a check fails."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--days", type=int, default=120, choices=range(5, 184), metavar="5..183")
    parser.add_argument("--folder", type=Path, required=True, help="folder of the season; missing or empty before")
    parser.add_argument("--picture", type=Path, help="file of the picture; by default season.png in the folder")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="end by then, once all faults were planted")
    options = parser.parse_args()
    folder = options.folder.resolve()
    replay = season(Plan.of(options.days), folder, options.minutes)
    report = result(replay)
    (folder / "season.json").write_text(json.dumps(report, indent=1) + "\n")
    season_report.draw(report, options.picture or folder / "season.png")
    click.echo(season_report.table(report))
    sys.exit(1 if report["wrong"] else 0)


if __name__ == "__main__":
    main()
