"""The hooks that `make hooks` installs: after a checkout or a merge they say which models' folders are stale."""

import subprocess
from pathlib import Path

import pytest
from tiny import Result, Tiny, git

from samebook.models import bundle
from samebook.verbs import hooks, models

pytestmark = pytest.mark.host


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """On main the model of level 2, whose files are in its folder; on `candidate` that of level 3. Git is on main."""
    tiny = Tiny.create(tmp_path / "workspace")
    git(tiny, "init", "--quiet", "--initial-branch", "main")
    (tiny.root / ".gitignore").write_text("/models/.files/\n")
    promote(tiny, 2)
    git(tiny, "switch", "--quiet", "--create", "candidate")
    promote(tiny, 3)
    git(tiny, "switch", "--quiet", "main")
    folder = tiny.root / "models" / ".files"
    folder.mkdir()
    (folder / "delay").symlink_to(Path(models.VERSIONS) / ("2" * 64))
    return tiny


def promote(tiny: Tiny, level: int) -> None:
    """Commit a bundle, written as bundles are; of its fields only what the hook reads."""
    (tiny.root / "models").mkdir(exist_ok=True)
    content = bundle.format_json({"name": "delay", "digest": str(level) * 64, "metrics": {"n": level}})
    (tiny.root / "models" / "delay.json").write_text(content)
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", f"level {level}")


def install(tiny: Tiny) -> Result:
    return tiny.samebook("hooks")


def switch(tiny: Tiny, branch: str) -> str:
    """The words of git and its hook at a switch of branches."""
    command = ["git", "switch", "--quiet", branch]
    return subprocess.run(command, cwd=tiny.root, capture_output=True, text=True, check=True).stderr


def test_stale_folders_are_named(tiny: Tiny) -> None:
    """A switch of branches and a merge say which models' folders are not this branch's, until `make models` ran."""
    assert install(tiny).code == 0
    git(tiny, "switch", "--quiet", "--create", "before")
    git(tiny, "rm", "--quiet", "models/delay.json")
    git(tiny, "commit", "--quiet", "-m", "none")
    stale = "samebook: under models/.files/ are not this branch's files of delay: make models\n"
    assert switch(tiny, "candidate") == stale
    assert switch(tiny, "main") == ""
    assert switch(tiny, "before") == stale
    assert switch(tiny, "main") == ""
    git(tiny, "config", "user.name", "a")
    git(tiny, "config", "user.email", "a@b.c")
    command = ["git", "merge", "--quiet", "--no-edit", "--no-ff", "candidate"]
    assert subprocess.run(command, cwd=tiny.root, capture_output=True, text=True, check=True).stderr == stale


@pytest.mark.forger
def test_hook_runs_nothing_of_the_tree(tiny: Tiny) -> None:
    """A branch that is only looked at runs no code, rebuilds nothing, and has no name of its own on the terminal."""
    assert install(tiny).code == 0
    git(tiny, "switch", "--quiet", "--create", "hostile")
    for name in ("Makefile", "GNUmakefile"):
        (tiny.root / name).write_text("x := $(shell touch ran)\nmodels:\n\ttouch ran\n")
    (tiny.root / "models" / "delay.json").write_text("{}")
    (tiny.root / "models" / "\x1b[2J.json").write_text("{}")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "-m", "hostile")
    git(tiny, "switch", "--quiet", "main")
    assert (
        switch(tiny, "hostile") == "samebook: under models/.files/ are not this branch's files of delay: make models\n"
    )
    assert not (tiny.root / "ran").exists()


def test_earlier_hook_is_replaced(tiny: Tiny) -> None:
    """A hook that an earlier `make hooks` installed, which ran make, makes place for the one of today."""
    hook = tiny.root / ".git" / "hooks" / "post-merge"
    hook.write_text(
        "#!/bin/sh\n# After a checkout of another branch, or a merge: the files of the models that are promoted now."
    )
    assert install(tiny).code == 0
    assert hook.read_text() == hooks.HOOK.read_text()


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
        assert done.code == 2
        assert f"-> add to post-checkout and post-merge there: the lines of {hooks.HOOK}" in done.stderr
        assert not list((tiny.root / shared).glob("post-*"))
    assert not (tmp_path / "missing").exists()
    (tiny.root / ".git" / "own").mkdir()
    git(tiny, "config", "core.hooksPath", ".git/own")
    assert install(tiny).code == 0
