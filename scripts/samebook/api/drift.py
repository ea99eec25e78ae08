"""Drift for notebooks: the report of `samebook drift`, on frames that the notebook has read."""

import datetime
import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from samebook.api import artifacts, context
from samebook.core.digest import sha256
from samebook.core.errors import UsageError, nearest
from samebook.environment.model_sections import Drift
from samebook.monitoring import acknowledged
from samebook.monitoring.measure import measure
from samebook.monitoring.observations import Window, observe, required_columns
from samebook.monitoring.reference import usable_reference
from samebook.monitoring.report import Report
from samebook.monitoring.said import compared
from samebook.reads import undeclared
from samebook.records import inputs

if TYPE_CHECKING:
    import pandas as pd


type Rows = pd.DataFrame | Iterable[pd.DataFrame]


def drift_of(model: str, frames: Mapping[str, "Rows"], day: datetime.date, days: int) -> Report:
    """The report of `samebook drift`, on frames, or batches of them, by the names of the datasets in the settings.

    Each frame has its rows' day ("2013-07-01") in the column `day`, and reaches back `days` days from `day`; batches
    are read once. The reference is the promoted model's, or a run's; it and the settings are recorded as inputs.
    """
    import pandas as pd

    bundle = artifacts.find_bundle(model)
    if bundle:
        reference, files = bundle.monitoring, {artifact.sha256 for artifact in bundle.artifacts.values()}
    else:
        reference = json.loads(artifacts.find_artifact(model, "reference.json").read_bytes())
        files = {sha256(artifacts.find_artifact(model, artifacts.model_name(model)))}
    reference, settings = usable_reference(reference, model), limits()
    if absent := required_columns(reference, settings).keys() - frames.keys():
        hint = nearest(min(absent), frames)
        raise UsageError(
            f"no frame {min(absent)!r}{hint}; expected those that the settings name (`drift`)",
            mend=f"samebook.drift_of(…, {{{min(absent)!r}: samebook.read_dataset(…)}}, …)",
        )
    batches = {name: [rows] if isinstance(rows, pd.DataFrame) else rows for name, rows in frames.items()}
    return measure(reference, observe(reference, Window(model, files, day, days, settings), batches))


@undeclared.declared_reads()
def news_of(report: Report, past: "pd.DataFrame") -> Report:
    """The report with where each finding stands: new, known or acknowledged.

    `past` has the rows of the dataset `monitoring` of earlier days, as `read_dataset` gives them, of a week at least;
    what was acknowledged is read from the branch. Both are recorded as inputs.
    """
    label = inputs.acknowledged(report.model)
    content = context.pinned_content(label)
    if content is None:
        content = acknowledged.content(context.current_workspace(), report.model)
    lines = context.recorded(label, content)
    return compared(report, past, acknowledged.parse(lines, report.model))


def explained(
    report: Report,
    features: "pd.DataFrame",
    label: "pd.Series",
    score: "Callable[[pd.DataFrame], Any]",
    *,
    seed: int = 0,
) -> Report:
    """The report with the change of AUC and calibration that each new drift of a feature can explain.

    `features` and `label`, 0 or 1, are rows that the model has not learnt from, and `score` gives its score, from 0 to
    1, for each row of such a frame. They are scored again with the drifted feature distributed as it is now; `seed`
    chooses the rows that move.
    """
    from samebook.monitoring import effect

    return effect.explained(report, effect.Holdout(features, label, score), seed=seed)


def limits() -> Drift:
    """The settings `drift` of this environment, recorded as an input: a reproduction sees the same."""
    return Drift.model_validate(context.recorded_settings("drift"))
