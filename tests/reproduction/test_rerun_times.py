"""Several new runs of a finished one, at its commit: they are compared with it, too."""

from pathlib import Path

import pytest
from reproducing import commit, make_repository, reproduce, run

pytestmark = pytest.mark.host

# Another result in a new checkout than in the first one.
ELSEWHERE = "import pathlib\nprint('worktree-' in str(pathlib.Path.cwd()))"


def test_run_is_repeated_at_its_commit(tmp_path: Path) -> None:
    """A finished run is run again as its receipt says, with its parameters, whatever the notebook is by now."""
    tiny = make_repository(tmp_path / "workspace", parameters="n: int = 1", work="print(n)")
    folder = run(tiny, "-p", "n=7")
    tiny.notebook("sum", parameters="n: int = 1", work="import random\nprint(random.random())")
    commit(tiny)
    ended = reproduce(tiny, folder.name, "--times", "2")
    assert ended.code == 0, ended.stderr
    trials = sorted((tiny.root / "runs" / ".scratch").glob("[0-9]*"))
    assert (len(trials), tiny.runs) == (3, [folder])
    assert '"7\\n"' in (trials[-1] / "notebook.canonical.json").read_text()


def test_repeated_run_is_compared(tmp_path: Path) -> None:
    """New runs that are like each other, and not like the run itself, are DIFFERENT: exit code 3."""
    tiny = make_repository(tmp_path / "workspace", work=ELSEWHERE)
    folder = run(tiny)
    ended = reproduce(tiny, folder.name, "--times", "2")
    assert ended.code == 3
    assert "cell 1 `work` differs first\n  the run   False\n  run 1   True" in ended.stdout, ended.stdout + ended.stderr
