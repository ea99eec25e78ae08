"""Crates of a stranger's run: what its receipt calls things takes no other thing's place."""

from pathlib import Path
from typing import Any

import pytest
import reported
from tiny import Tiny

from samebook.core.workspace import Workspace
from samebook.export import collection
from samebook.export.crate import crate
from samebook.records.receipt import Json

pytestmark = pytest.mark.fast

RUN = "20260101T000000Z-train-000001"


def entities(tiny: Tiny, builder: Any) -> dict[str, Json]:
    """The entities of the crate of a run by a builder, by their ids."""
    folder = reported.run(tiny, RUN, {"auc": 1}, outputs={"model.json": 1})
    reported.rewritten(folder, lambda it: it["predicate"]["runDetails"].update(builder=builder))
    workspace = Workspace(tiny.root)
    metadata = crate(workspace, collection.collect(workspace, RUN)).metadata
    return {item["@id"]: item for item in metadata["@graph"]}


@pytest.mark.parametrize(
    "name", ["./", "ro-crate-metadata.json", f"runs/{RUN}/receipt.json", "javascript:alert(1)", "", 5, ["./"], None]
)
def test_builder_is_no_other_entity(tmp_path: Path, name: Any) -> None:
    """A builder whose name is the id of another entity is one of its own, and each file stays a file."""
    found = entities(Tiny.create(tmp_path / "workspace"), {"id": name, "version": 3})
    assert found["./"]["@type"] == "Dataset"
    assert found[f"runs/{RUN}/receipt.json"]["@type"] == "File"
    agent = found[f"#{RUN}"]["agent"]["@id"]
    assert agent.startswith(("#builder-", "urn:samebook:builder:unknown"))
    assert found[agent]["@type"] == "Organization"


def test_builder_that_is_none(tmp_path: Path) -> None:
    """A receipt whose builder is a number has an unknown one."""
    found = entities(Tiny.create(tmp_path / "workspace"), 5)
    assert found[f"#{RUN}"]["agent"] == {"@id": "urn:samebook:builder:unknown"}
