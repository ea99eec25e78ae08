"""The receipts that are reproduced together: a run's, and those of the gates that a policy asks to be reproduced."""

from pathlib import Path

import promoting
import pytest
from forging import commit
from tiny import Tiny

from samebook.core.workspace import Workspace
from samebook.models import reproducible

pytestmark = pytest.mark.host
POLICY = "promotion: {reproduced: true, signed: true, gate: {notebook: gate, metric: auc, margin: 0.05}}\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository with a run, and two runs of the gate on it, of which the later has read it by another name."""
    tiny = promoting.create(tmp_path_factory.mktemp("reproducible") / "workspace", 3)
    for candidate in (promoting.run_of(tiny, 3), "train"):
        assert tiny.samebook("run", "gate", "-p", f"candidate={candidate}").code == 0
    return tiny


@pytest.fixture
def tiny(site: Tiny, tmp_path: Path) -> Tiny:
    return promoting.copy(site, tmp_path / "workspace")


def names(tiny: Tiny, name: str) -> list[str]:
    return [path.parent.name for path in reproducible.receipts(Workspace(tiny.root), name)]


def test_gate_where_it_is_asked_for(tiny: Tiny) -> None:
    """The gate's run counts by its receipt alone; without a committed policy that asks for both it is left out."""
    run, gate = promoting.run_of(tiny, 3), min(path.name for path in tiny.root.glob("runs/*-gate-*"))
    (tiny.root / "environments" / "prod.yml").write_text(POLICY)
    assert names(tiny, "train") == names(tiny, run) == [run]
    commit(tiny)
    assert (
        names(tiny, "train") == names(tiny, run) == names(tiny, f"{tiny.root}/runs/{run}/receipt.json") == [run, gate]
    )
    assert names(tiny, gate) == [gate]


@pytest.mark.parametrize("content", ["no policy: [", "promotion: {gate: 1}\n"])
def test_broken_policy(tiny: Tiny, content: str) -> None:
    """A policy that can't be read lets no model pass, and stops no reproduction."""
    (tiny.root / "environments" / "prod.yml").write_text(content)
    commit(tiny)
    assert names(tiny, "train") == [promoting.run_of(tiny, 3)]


def test_broken_receipt(tiny: Tiny) -> None:
    """A broken receipt of a gate's run names no comparison, and stops no reproduction."""
    (tiny.root / "environments" / "prod.yml").write_text(POLICY)
    commit(tiny)
    for gate in tiny.root.glob("runs/*-gate-*/receipt.json"):
        gate.write_text(gate.read_text()[:-9])
    assert names(tiny, "train") == [promoting.run_of(tiny, 3)]
