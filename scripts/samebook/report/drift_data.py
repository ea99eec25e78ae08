"""Drift and quality by day, from the reports of monitoring runs: `outputs/drift.json`, by `monitoring.report`."""

from collections.abc import Sequence
from typing import Any

from samebook.monitoring.report import OK, VERDICTS
from samebook.records.receipt import Json

# Findings of a day that are shown, the worst first; the largest share of what warns that is told apart.
SHOWN, LARGEST = 40, 1e9


def summary(report: Json | None) -> Json | None:
    """A report's model, day, verdict, its worst findings and its metrics; None where it is not a whole report."""
    try:
        return _summary(report) if report else None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _summary(report: Json) -> Json:
    findings = [_finding(finding) for finding in report["findings"]]
    metrics = {finding["name"]: finding["value"] for finding in report["findings"] if finding["kind"] == "metric"}
    drifts = sorted((row for row in findings if row[0] != "metric"), key=lambda row: -row[-1])
    counts = {verdict: sum(row[6] == verdict for row in drifts) for verdict in VERDICTS if verdict != OK}
    VERDICTS.index(report["verdict"])
    head = {name: str(report[name]) for name in ("model", "day", "verdict")}
    return head | {"counts": counts, "metrics": metrics, "findings": drifts[:SHOWN], "hidden": len(drifts[SHOWN:])}


def _finding(finding: Json) -> list[Any]:
    """A row: kind, name, span, value, warn, alarm, verdict, detail, and the value as a share of what warns.

    Raises ValueError or TypeError for a finding that monitoring has not written.
    """
    words = [finding[name] for name in ("kind", "name", "span")]
    value, warn, alarm = (_number(finding[name]) for name in ("value", "warn", "alarm"))
    if value is None or not all(isinstance(word, str) for word in words):
        raise ValueError(f"found {finding}; expected texts and a value")
    VERDICTS.index(finding["verdict"])
    share = min(value / warn, LARGEST) if warn else max(value, 0.0)
    return [*words, value, warn, alarm, finding["verdict"], str(finding.get("detail", "")), round(share, 4)]


def _number(value: Any) -> float | None:
    """A number, or None where there is none. Raises TypeError for anything else, OverflowError for one too large."""
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise TypeError(f"found {value!r}; expected a number")
    return float(value)


def days(runs: Sequence[Json]) -> dict[str, list[Json]]:
    """The days of each model, the first one first. Where a day was monitored twice, the newest run counts, and `others`
    has the verdicts of those before it: a run from elsewhere hides no alarm.
    """
    models: dict[str, dict[str, Json]] = {}
    for run in runs:  # the newest first
        report, name = run["drift"], run["row"]["id"]
        by_day = models.setdefault(report["model"], {})
        day = by_day.setdefault(report["day"], {**report, "run": name, "others": []})
        if day["run"] != name:
            day["others"].append([name, report["verdict"]])
    return {model: [by_day[day] for day in sorted(by_day)] for model, by_day in sorted(models.items())}
