"""Drift and quality by day, from the reports of monitoring runs: `outputs/drift.json`, by `monitoring.report`.

A report of an earlier samebook does not say what is new: what is said of its day and findings is then "".
"""

from collections.abc import Iterable, Sequence
from typing import Any

from samebook.core.workspace import Workspace
from samebook.monitoring.finding import ACKNOWLEDGED, KNOWN, NEW, OK, VERDICTS
from samebook.records.receipt import Json
from samebook.report import acknowledgement_data

# Findings of a day that are shown: what is said and the worst first; the largest share of what warns.
SHOWN, LARGEST = 40, 1e9
STATES = (NEW, KNOWN, ACKNOWLEDGED, OK)
# The columns of a finding's row.
WORDS, NUMBERS = ("kind", "name", "span", "detail", "since"), ("value", "warn", "alarm")
COLUMNS = (*WORDS, *NUMBERS, "share", "verdict", "told", "state")


def summary(report: Json | None) -> Json | None:
    """A report's model, day, verdict, what is said of it, its worst findings and its metrics; None where it is not a
    whole report.
    """
    try:
        return _summary(report) if report else None
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return None


def _summary(report: Json) -> Json:
    findings = [_finding(finding) for finding in report["findings"]]
    metrics = {finding["name"]: finding["value"] for finding in report["findings"] if finding["kind"] == "metric"}
    drifts = sorted(
        (row for row in findings if row["kind"] != "metric"),
        key=lambda row: (*(-VERDICTS.index(row[name] or OK) for name in ("told", "verdict")), -row["share"]),
    )
    said = [row["told"] or row["verdict"] for row in drifts]
    states = [row["state"] for row in drifts]
    counts = {verdict: said.count(verdict) for verdict in VERDICTS if verdict != OK}
    counts |= {state: states.count(state) for state in (KNOWN, ACKNOWLEDGED)}
    head = {name: str(report[name]) for name in ("model", "day")}
    head |= {"verdict": _one_of(VERDICTS, report["verdict"]), "told": _said(VERDICTS, report.get("told"))}
    head |= {"line": str(report.get("line", ""))}
    rows = [[row[name] for name in COLUMNS] for row in drifts[:SHOWN]]
    return head | {"counts": counts, "metrics": metrics, "findings": rows, "hidden": len(drifts[SHOWN:])}


def _finding(finding: Json) -> Json:
    """A finding's words and numbers, and its value as a share of what warns.

    Raises ValueError or TypeError for a finding that monitoring has not written.
    """
    finding = {"detail": "", "since": "", **finding}
    words = {name: finding[name] for name in WORDS}
    numbers = {name: _number(finding[name]) for name in NUMBERS}
    value, warn = numbers["value"], numbers["warn"]
    if value is None or not all(isinstance(word, str) for word in words.values()):
        raise ValueError(f"found {finding}; expected texts and a value")
    share = min(value / warn, LARGEST) if warn else max(value, 0.0)
    said = {"told": _said(VERDICTS, finding.get("told")), "state": _said(STATES, finding.get("state"))}
    return words | numbers | {"share": round(share, 4), "verdict": _one_of(VERDICTS, finding["verdict"])} | said


def _one_of(words: Sequence[str], word: Any) -> str:
    """A word that is one of some. Raises ValueError for any other."""
    return words[words.index(word)]


def _said(words: Sequence[str], word: Any) -> str:
    return "" if word is None else _one_of(words, word)


def _number(value: Any) -> float | None:
    """A number, or None where there is none. Raises TypeError for anything else, OverflowError for one too large."""
    if value is None:
        return None
    if not isinstance(value, int | float):
        raise TypeError(f"found {value!r}; expected a number")
    return float(value)


def days(workspace: Workspace, runs: Iterable[Json]) -> dict[str, list[Json]]:
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
    return {model: _of_model(workspace, model, by_day) for model, by_day in sorted(models.items())}


def _of_model(workspace: Workspace, model: str, by_day: dict[str, Json]) -> list[Json]:
    """A model's days in their order, each finding with who has acknowledged it."""
    given = acknowledgement_data.given(workspace, model)
    days = []
    for _, day in sorted(by_day.items()):
        found = [dict(zip(COLUMNS, row, strict=True)) for row in day["findings"]]
        names = [acknowledgement_data.of_finding(finding, day, given) for finding in found]
        days.append({**day, "findings": [[*row, name] for row, name in zip(day["findings"], names, strict=True)]})
    return days
