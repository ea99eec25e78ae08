"""The publication of finished runs' partitions: into data/, and into the warehouse where the settings name a table.

It can be repeated: a second call leaves published partitions alone, and so completes one that was killed.
"""

import datetime
import io
import json
from pathlib import Path

from samebook.core.digest import sha256
from samebook.core.workspace import Workspace
from samebook.data import dataset, warehouse
from samebook.data.warehouse import Publication
from samebook.environment.settings import Settings
from samebook.reads.pins import Pins


def publish(workspace: Workspace, settings: Settings, run: Path) -> None:
    """Publish a finished run's partitions, each whole or not at all; readers see the old one or the new one.

    Runs that a trial's kernel starts, to make its inputs, fill data/, and leave the warehouse alone.
    """
    is_trial = Pins.current().is_trial
    for partition in dataset.publish(workspace, run):
        name, _, day = partition.partition("/day=")
        options = settings.datasets.get(name)
        if options and options.into and not is_trial:
            _into_warehouse(workspace, settings, options.into, name, datetime.date.fromisoformat(day))


def _into_warehouse(workspace: Workspace, settings: Settings, table: str, name: str, day: datetime.date) -> None:
    """Put the partition that data/ holds into a table; data/ is locked meanwhile, so that both hold the same rows."""
    from pyarrow import parquet

    path = workspace.data / dataset.partition(name, day)
    with dataset.held(workspace):
        content = path.read_bytes()
        origin = json.loads(path.with_name(dataset.ORIGIN).read_text())
        rows = parquet.read_table(io.BytesIO(content))
        publication = Publication(table, name, day, sha256(content), origin["run"], rows)
        warehouse.publish(workspace, settings.warehouse, publication)
