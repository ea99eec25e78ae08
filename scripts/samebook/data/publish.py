"""Publishes what finished runs made: partitions into data/, and, where the settings say so, into the warehouse.

All of it can be done again: what is there already is left alone, so whoever was killed in between is made up for.
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


def publish(workspace: Workspace, in_force: Settings, run: Path) -> None:
    """Publish a finished run's partitions, each whole or not at all; readers see the old one or the new one."""
    for partition in dataset.publish(workspace, run):
        name, _, day = partition.partition("/day=")
        known = in_force.datasets.get(name)
        if known and known.into:
            _into_warehouse(workspace, in_force, known.into, name, datetime.date.fromisoformat(day))


def _into_warehouse(workspace: Workspace, in_force: Settings, table: str, name: str, day: datetime.date) -> None:
    """What is published in data/, whichever run made it; nobody changes that meanwhile, so both say the same."""
    from pyarrow import parquet

    path = workspace.data / dataset.partition(name, day)
    with dataset.held(workspace):
        content = path.read_bytes()
        told = json.loads(path.with_name(dataset.ORIGIN).read_text())
        rows = parquet.read_table(io.BytesIO(content))
        made = Publication(table, name, day, sha256(content), told["run"], rows)
        warehouse.publish(workspace, in_force.warehouse, made)
