"""A model that comes into a branch by a merge, after the gate was improved where it comes from."""

from pathlib import Path

import promoting
import pytest
from promoting import promote, run_of, stderr_of
from tiny import git

pytestmark = [pytest.mark.host, pytest.mark.forger]


@pytest.mark.parametrize("is_foxtrot", [False, True], ids=["prod", "foxtrot"])
def test_model_merged_after_its_gate_changed(tmp_path: Path, is_foxtrot: bool) -> None:
    """On a line where a model arrives with a later gate than its own it is refused, and the command that the refusal
    names makes it count there: it is compared anew.
    """
    tiny = promoting.create(tmp_path / "workspace", 3)
    git(tiny, "branch", "prod")
    promote(tiny, 3)
    tiny.notebook("gate", parameters=promoting.RIVALS, work=f"{promoting.GATE}\nbetter = True")
    git(tiny, "commit", "--quiet", "--all", "-m", "a better gate")
    assert tiny.samebook("run", "score").code == 0
    git(tiny, "switch", "--quiet", "prod")
    git(tiny, "commit", "--quiet", "--allow-empty", "-m", "of prod")
    git(tiny, "merge", "--quiet", "--no-edit", "main")
    if is_foxtrot:
        git(tiny, "switch", "--quiet", "main")
        git(tiny, "merge", "--quiet", "--ff-only", "prod")
    refusal = stderr_of(tiny.samebook("run", "score"), 6)
    assert "it ran notebooks/gate.ipynb of commit" in refusal
    assert "which this branch did not have with this model: it has to be compared again on this branch" in refusal
    assert f"-> make promote RUN={run_of(tiny, 3)} MODEL=delay ENV=dev" in refusal
    promote(tiny, 3)
    assert tiny.samebook("run", "score").code == 0
