"""The hooks that `make hooks` offers: after a checkout or a merge the models' folders follow."""

import os
import shutil
import subprocess
from pathlib import Path

import promoting
import pytest
from promoting import promote
from tiny import CHECKOUT, Tiny, git

pytestmark = pytest.mark.host


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """On main the model of level 2, on `candidate` that of level 3; git is on main."""
    tiny = promoting.create(tmp_path / "workspace", 2, 3)
    promote(tiny, 2)
    git(tiny, "switch", "--quiet", "--create", "candidate")
    promote(tiny, 3)
    git(tiny, "switch", "--quiet", "main")
    (tiny.root / "scripts").mkdir()
    shutil.copy(CHECKOUT / "scripts" / "git-hook", tiny.root / "scripts" / "git-hook")
    return tiny


def install(tiny: Tiny) -> subprocess.CompletedProcess[str]:
    command = ["make", "--file", str(CHECKOUT / "Makefile"), "hooks"]
    return subprocess.run(command, cwd=tiny.root, capture_output=True, text=True, check=False)


def model(tiny: Tiny) -> str:
    return (tiny.root / "models" / ".files" / "delay" / "model.txt").read_text()


def test_folders_follow_git(tiny: Tiny) -> None:
    """A switch of branches and a merge bring the files of the model that is promoted then."""
    assert install(tiny).returncode == 0
    git(tiny, "switch", "--quiet", "candidate")
    assert model(tiny) == "3"
    git(tiny, "switch", "--quiet", "main")
    assert model(tiny) == "2"
    git(tiny, "merge", "--quiet", "--no-edit", "--no-ff", "candidate")
    assert model(tiny) == "3"


def test_folders_go_with_models(tiny: Tiny) -> None:
    """A branch where nothing is promoted has no folder of a model either."""
    git(tiny, "switch", "--quiet", "--create", "before")
    git(tiny, "rm", "--quiet", "models/delay.json")
    git(tiny, "commit", "--quiet", "-m", "none")
    assert install(tiny).returncode == 0
    git(tiny, "switch", "--quiet", "main")
    assert model(tiny) == "2"
    git(tiny, "switch", "--quiet", "before")
    assert not (tiny.root / "models" / ".files" / "delay").exists()


def test_hook_is_never_in_the_way(tiny: Tiny) -> None:
    """Where the files can't be had, git's own work is done all the same, and it is said."""
    assert install(tiny).returncode == 0
    (tiny.root / "Makefile").write_text(".PHONY: models\nmodels:\n\t@false\n")
    switched = subprocess.run(
        ["git", "switch", "candidate"], cwd=tiny.root, capture_output=True, text=True, check=False, env=os.environ
    )
    assert "the models' files are not up to date" in switched.stderr
    assert git(tiny, "branch", "--show-current") == "candidate"


def test_own_hook_is_kept(tiny: Tiny) -> None:
    """A hook that somebody has already is not overwritten."""
    hook = tiny.root / ".git" / "hooks" / "post-merge"
    hook.write_text("#!/bin/sh\n")
    done = install(tiny)
    assert "post-merge is there already" in done.stderr
    assert hook.read_text() == "#!/bin/sh\n"


def test_shared_hooks_are_left(tiny: Tiny, tmp_path: Path) -> None:
    """Where git takes its hooks from a folder that isn't this repository's alone, nothing is written there."""
    for shared in (tmp_path / "shared", tmp_path / "missing", Path("scripts")):
        (tmp_path / "shared").mkdir(exist_ok=True)
        git(tiny, "config", "core.hooksPath", str(shared))
        done = install(tiny)
        assert done.returncode == 2
        assert "-> add to post-checkout and post-merge there: make --silent models" in done.stderr
        assert not list((tiny.root / shared).glob("post-*"))
    assert not (tmp_path / "missing").exists()
    (tiny.root / ".git" / "own").mkdir()
    git(tiny, "config", "core.hooksPath", ".git/own")
    assert install(tiny).returncode == 0
