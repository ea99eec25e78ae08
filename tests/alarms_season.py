"""The season in one process: its data as they stand on each day, its champions, and what monitoring knows of a day."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import xgboost
from season_plan import FIRST, HOURS, Plan, Source

from samebook.environment.model_sections import Drift
from samebook.monitoring.bootstrap import paired_bootstrap, score_intervals, scores
from samebook.monitoring.counts import Counts
from samebook.monitoring.finding import Finding
from samebook.monitoring.observations import Observations
from samebook.monitoring.reference import Reference, reference

SETTINGS = Drift(model="delay", features="flights", scores="predictions", score="probability", labels="outcomes")
DAYS, LEARNT, HELD, WINDOW, WEEK, MARGIN = 120, 120, 14, 28, 7, 0.005


@dataclass(eq=False)
class Season:
    """The season's data as they stand on each day, its champions, and the scores of the day's champion."""

    plan: Plan
    source: Source
    folder: Path
    champions: list[int] = field(default_factory=list)

    def flights(self, number: int, now: int) -> pd.DataFrame:
        """The flights of a day as they stand on the day `now`."""
        rows = self.source.sent(self.plan, number)
        is_wrong = number in self.plan.hours and now <= self.plan.hours[-1]
        return rows.assign(**{HOURS: rows[HOURS] / 60}) if is_wrong else rows

    def labelled(self, number: int, now: int) -> pd.DataFrame:
        ended = self.source.outcomes[self.plan.day(number)][["id", "late"]]
        known = self.flights(number, now).merge(ended, on="id", validate="one_to_one").dropna(subset="late")
        return known.assign(late=known["late"].astype(int), day=self.plan.day(number))

    def span(self, first: int, last: int, now: int) -> Iterator[pd.DataFrame]:
        return (self.labelled(number, now) for number in range(first, last + 1))

    def of(self, number: int) -> int:
        """The evening in which the champion of a day was trained."""
        return max(evening for evening in self.champions if evening < max(number, 1))

    @cache  # noqa: B019
    def model(self, evening: int) -> xgboost.Booster:
        return xgboost.Booster(model_file=self.folder / f"{evening}.ubj")

    @cache  # noqa: B019
    def holdout(self, evening: int) -> pd.DataFrame:
        return pd.read_parquet(self.folder / f"{evening}.parquet")

    @cache  # noqa: B019
    def reference(self, evening: int) -> Reference:
        import flights

        learnt = self.span(evening - HELD - LEARNT, evening - HELD - 1, evening)
        held = self.holdout(evening)
        columns = [*flights.FEATURES, "day"]
        return reference((day[columns] for day in learnt), held["probability"], "day", held["id"].str[:10])

    @cache  # noqa: B019
    def counted(self, evening: int, number: int, is_corrected: bool) -> Counts:
        rows = self.flights(number, DAYS if is_corrected else number)
        return count(rows.assign(day=self.plan.day(number)), self.reference(evening))

    @cache  # noqa: B019
    def predicted(self, number: int, is_corrected: bool) -> pd.DataFrame:
        import flights

        rows = self.flights(number, DAYS if is_corrected else number)
        said = flights.score(self.model(self.of(number)), rows)
        return rows[["id"]].assign(probability=said, day=self.plan.day(number))


def count(rows: pd.DataFrame, of: Reference) -> Counts:
    counts = Counts()
    counts.add(rows, of["features"])
    return counts


def train(season: Season, evening: int) -> None:
    """Train in the evening of a day as the notebook train does, from the days before it; keep model and holdout."""
    import flights
    import training

    learnt = pd.concat(season.span(evening - HELD - LEARNT, evening - HELD - 1, evening), ignore_index=True)
    held = pd.concat(season.span(evening - HELD, evening - 1, evening), ignore_index=True)
    is_spoiled = evening == season.plan.spoiled
    settings = {
        "objective": "binary:logistic", "tree_method": "hist", "max_depth": 1 if is_spoiled else 6,
        "learning_rate": 0.05, "min_child_weight": 20, "subsample": 0.8, "colsample_bytree": 0.6, "seed": 2013,
    }  # fmt: skip
    matrix = training.matrix(lambda: [learnt], flights.observed_categories(learnt))
    model = xgboost.train(settings, matrix, num_boost_round=1 if is_spoiled else 200)
    late = learnt["late"].groupby([learnt["carrier"], learnt["departure"].dt.hour]).agg(["sum", "size"])
    overall = late["sum"].sum() / late["size"].sum()
    groups = pd.MultiIndex.from_arrays([held["carrier"], held["departure"].dt.hour])
    shares = ((late["sum"] + overall) / (late["size"] + 1)).reindex(groups).fillna(overall).to_numpy()
    told = held[["id", "late"]].assign(probability=flights.score(model, held), baseline=shares)
    told.to_parquet(season.folder / f"{evening}.parquet")
    model.save_model(season.folder / f"{evening}.ubj")


def find_champions(season: Season) -> list[int]:
    """Train every week, and promote what is not worse than the champion on the same flights; the evenings of these."""
    import flights

    for evening in (0, *season.plan.retrained):
        if not (season.folder / f"{evening}.ubj").is_file():
            train(season, evening)
        told = season.holdout(evening)
        before = -1.0
        if season.champions:
            held = pd.concat(season.span(evening - HELD, evening - 1, evening), ignore_index=True)
            said = pd.Series(flights.score(season.model(season.champions[-1]), held))
            before = scores(held["late"], said)["auc"]
        if scores(told["late"], told["probability"])["auc"] >= before - MARGIN and evening != season.plan.spoiled:
            season.champions.append(evening)
    return season.champions


def observations(season: Season, number: int, changed: pd.DataFrame | None = None) -> Observations:
    """What is known on a day: its flights, which a fault may have `changed`, and the four weeks before it."""
    evening = season.of(number)
    features, scored, own, labels = Counts(), Counts(), Counts(), Counts()
    for day in range(number - WINDOW + 1, number + 1):
        is_corrected = not (day in season.plan.hours and number <= season.plan.hours[-1])
        is_today = day == number and changed is not None
        counts = count(changed, season.reference(evening)) if is_today else season.counted(evening, day, is_corrected)
        features.rows.update(counts.rows)
        for name, by_day in counts.bins.items():
            features.bins.setdefault(name, {}).update(by_day)
        if day < number:
            labels.rows[season.plan.day(day)] = 1
        if day >= 0:
            said = season.predicted(day, is_corrected)
            scored.add(said, {})
            own.add(said, {SETTINGS.score: season.reference(evening)["score"]}) if season.of(day) == evening else None
    counted = {"features": features, "scores": scored, "labels": labels}
    return Observations("delay", counted, own, FIRST + timedelta(days=number), WINDOW, SETTINGS)


def quality(season: Season, number: int) -> list[Finding]:
    """The findings of the notebook monitor on the quality of the champion's scores, once two days are known."""
    evening, held = season.of(number), season.holdout(season.of(number))
    days = [day for day in range(max(number - WINDOW + 1, 0), number) if season.of(day) == evening]
    if len(days) < 2:
        return []
    parts = [season.predicted(day, True).merge(season.labelled(day, DAYS)[["id", "late"]], on="id") for day in days]
    known = pd.concat(parts, ignore_index=True)
    common: dict[str, Any] = {"groups": known["day"], "draws": 200, "seed": 2013}
    found = score_intervals(known["late"], known["probability"], **common)
    group = known["id"].str[11:13] + known["id"].str[-4:-2]
    told = held["baseline"].groupby(held["id"].str[11:13] + held["id"].str[-4:-2]).first()
    theirs = group.map(told).astype(float).fillna(held["baseline"].mean())
    gains = paired_bootstrap(known["late"], known["probability"], theirs, **common)
    promised, alarms = scores(held["late"], held["probability"]), len(days) >= WEEK
    lost = {"auc": promised["auc"] - found["auc"]["high"]}
    lost["calibration_error"] = found["calibration_error"]["low"] - promised["calibration_error"]
    limit, behind = (0.05, 0.0) if alarms else (None, None)
    span = f"{WINDOW} days"
    return [Finding("quality", f"{name} lost", span, value, 0.0, limit) for name, value in lost.items()] + [
        Finding("quality", f"{name} behind baseline", span, 0.0 - gains[name]["high"], 0.0, behind)
        for name in ("auc", "log_loss")
    ]
