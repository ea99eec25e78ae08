"""Drift for notebooks: the report of `samebook drift`, on frames that the notebook has read."""

import datetime
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from samebook.api import artifacts, context
from samebook.core.digest import sha256
from samebook.core.errors import UsageError, nearest
from samebook.environment.model_sections import Drift
from samebook.monitoring.measure import measure
from samebook.monitoring.observations import Window, observe, required_columns
from samebook.monitoring.reference import usable_reference
from samebook.monitoring.report import Report

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


def limits() -> Drift:
    """The settings `drift` of this environment, recorded as an input: a reproduction sees the same."""
    return Drift.model_validate(context.recorded_settings("drift"))
