"""Several new runs of a finished one, at its commit: they are compared with it, too."""

from pathlib import Path

import pytest
from reproducing import commit, make_repository, reproduce, run

from samebook.core.digest import sha256
from samebook.records.comparison import Side
from samebook.reproduction.trial import Attempt
from samebook.verbs import stability

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


def attempt(machine: str, printed: str) -> Attempt:
    """A run on a machine that printed a text."""
    content = f'[{{"type": "code", "tags": [], "source": "", "printed": {{"stdout": "{printed}"}}}}]'.encode()
    return Attempt("run", machine, Path(), Side({"notebook.canonical.json": sha256(content)}, lambda _: content))


@pytest.mark.parametrize(("third", "is_proven"), [("", False), ("1 core", True)])
def test_one_run_each_proves_nothing(third: str, *, is_proven: bool) -> None:
    """The number of cores is proven to be the cause only where two runs with as many are alike, not by one each."""
    runs = [attempt(third, "1"), attempt("1 core", "1" if is_proven else "2"), attempt("2 cores", "3")]
    judged = stability._judge(runs, runs[1], None, ("1 core", "2 cores"))
    assert judged.difference
    assert bool(judged.difference.proven) == is_proven
