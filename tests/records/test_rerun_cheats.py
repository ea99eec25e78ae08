"""Commits and notebooks that try to have another run, or an earlier result, taken for the new run."""

from pathlib import Path

import pytest
from reproducing import commit, make_repository, reproduce, run
from tiny import git

from samebook.core.errors import UsageError
from samebook.core.workspace import Workspace
from samebook.records import receipt, rerun
from samebook.records.rerun import Site

pytestmark = pytest.mark.host

RANDOM = "import random\nprint(random.random())"
# In a reproduction: the original's folder, under the id of a later run.
DECOY = """
import os, pathlib, shutil
here = pathlib.Path.cwd()
if "worktree-" in str(here):
    original = next(here.parents[3].glob("runs/*Z-sum-*"))
    decoy = "99991231T235959Z-sum-ffffff"
    shutil.copytree(original, here.parent / "runs" / decoy)
"""
SPY = """
import os, pathlib
text = pathlib.Path(os.environ["SAMEBOOK_PINNED"]).read_text() if "SAMEBOOK_PINNED" in os.environ else ""
assert "metrics.json" not in text and "canonical" not in text, "the expected results are known"
"""
# A process that stays until the run is complete, and then gives it another result.
AFTER = """
import os, subprocess, sys
if "SAMEBOOK_PINNED" in os.environ:
    script = '''
import os, pathlib, sys, time
run = pathlib.Path(sys.argv[1])
final = run.parents[1] / run.name
end = time.monotonic() + 20
while not final.is_dir() and time.monotonic() < end: time.sleep(0.001)
(final / "metrics.json").write_text("{}")
'''
    subprocess.Popen([sys.executable, "-c", script, os.environ["SAMEBOOK_RUN"]], start_new_session=True)
"""


def test_other_run_is_not_taken(tmp_path: Path) -> None:
    """A run that the notebook itself puts into runs/ is not taken for the new one, whatever its id."""
    tiny = make_repository(tmp_path / "workspace", decoy=DECOY, draw=RANDOM)
    run(tiny)
    ended = reproduce(tiny)
    assert ended.code == 3
    assert "DIFFERENT" in ended.stdout, ended.stderr


def test_expected_results_are_not_handed_over(tmp_path: Path) -> None:
    """The run that is made again is told what to do, and no hash of a result."""
    tiny = make_repository(tmp_path / "workspace", spy=SPY)
    run(tiny)
    assert reproduce(tiny).code == 0


@pytest.mark.parametrize("name", ["runs/planted", "store/planted", ".samebook/planted", ".venv/planted", "data"])
def test_commit_with_results_is_refused(tmp_path: Path, name: str) -> None:
    """A commit that holds what only make or a run may write, or a link out of it, is refused before any of it runs."""
    tiny = make_repository(tmp_path / "workspace", environment="touch ../../../made")
    path = tiny.root / name
    path.parent.mkdir(exist_ok=True)
    path.symlink_to(tmp_path)
    git(tiny, "add", "--force", name)
    commit(tiny)
    built = {"commit": {"name": "commit", "digest": {"gitCommit": git(tiny, "rev-parse", "HEAD")}}}
    plan = receipt.plan({**built, "notebook": "notebooks/sum.ipynb", "parameters": {}, "env": "dev"})
    site = Site(Workspace(tiny.root), "local", lambda _: None)
    with pytest.raises(UsageError, match=f"holds {name.split('/')[0]}"), rerun.new_run(site, plan):
        pass
    assert not (tiny.root / "made").exists()


def test_files_are_hashed_again(tmp_path: Path) -> None:
    """A new run whose files are not those of its receipt proves nothing: exit code 3."""
    tiny = make_repository(tmp_path / "workspace", after=AFTER)
    run(tiny)
    ended = reproduce(tiny)
    assert ended.code == 3
    assert "not what its receipt says" in ended.stderr
