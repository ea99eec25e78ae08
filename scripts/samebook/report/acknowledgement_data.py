"""Who has acknowledged a finding of monitoring, when and why, as the model's file in models/ has it now."""

from collections.abc import Sequence

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.models.bundle import NAME
from samebook.monitoring import acknowledged
from samebook.monitoring.acknowledged import Acknowledgement
from samebook.monitoring.finding import ACKNOWLEDGED, Finding
from samebook.records.receipt import Json


def given(workspace: Workspace, model: str) -> list[Acknowledgement]:
    """What people have acknowledged of a model, the newest first. A stranger's model may be a path: it has none."""
    if not NAME.fullmatch(model.partition("@")[0]):
        return []
    try:
        return acknowledged.parse(acknowledged.content(workspace, model), model)[::-1]
    except (UsageError, OSError):  # the next run of monitoring says what is wrong with it
        return []


def of_finding(finding: Json, day: Json, given: Sequence[Acknowledgement]) -> list[str]:
    """Who has acknowledged a day's finding, when and why: before, or since then, as its run had found it; else nothing.

    A window may be acknowledged with its day.
    """
    key = Finding(finding["kind"], finding["name"], finding["span"], 0.0, None, None).key
    keys = (key, (*key[:2], "day")) if finding["state"] == ACKNOWLEDGED else ()
    found = [each for like in keys for each in given if each.key == like and each.said.day <= day["day"]]
    found += [each for each in given if each.key == key and each.run == day["run"]]
    return [found[0].who, found[0].when, found[0].why] if found else []
