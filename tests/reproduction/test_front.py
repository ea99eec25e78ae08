"""Make in a rerun's checkout on the local engine."""

import os
from contextlib import suppress
from pathlib import Path

import pytest
from reproducing import commit, make_repository
from tiny import git

from samebook.core.errors import EnvironmentMismatch
from samebook.core.workspace import Workspace
from samebook.records import receipt
from samebook.reproduction import rerun
from samebook.reproduction.front import Front
from samebook.reproduction.rerun import Site
from samebook.wheelhouse import seal, shared

MAKEFILE = ".samebook/uv/bin/uv: environments/build.txt\n\t@echo downloads >&2\nenvironment: .samebook/uv/bin/uv\n"


def test_full_disk_holds_nothing_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing can be printed any more, as on a full disk, make goes on and ends."""
    (tmp_path / "Makefile").write_text("environment:\n\t@head -c 300000 /dev/zero\n")
    with suppress(OSError), Path("/dev/full").open("w") as full:
        monkeypatch.setattr("sys.stderr", full)
        Front(tmp_path, tmp_path, "local").environment(os.environ)
        (tmp_path / "ended").touch()
    assert (tmp_path / "ended").is_file()


@pytest.mark.parametrize("lock", ["uv==1\n", "uv==2\n"])
def test_uv_is_handed_over(lock: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A commit that locks the caller's uv gets it, executable and up to date; one that locks another downloads it."""
    caller, checkout = tmp_path / "caller", tmp_path / "checkout"
    uv = Path(".samebook") / "uv" / "bin" / "uv"
    for folder, content in ((caller, "uv==1\n"), (checkout, lock)):
        (folder / "environments").mkdir(parents=True)
        (folder / "environments" / "build.txt").write_text(content)
    (caller / uv).parent.mkdir(parents=True)
    (caller / uv).write_bytes(b"#!")
    (caller / uv).chmod(0o755)
    (checkout / "Makefile").write_text(MAKEFILE)
    Front(caller, checkout, "local").environment(os.environ)
    is_same = lock == "uv==1\n"
    assert ("downloads" in capfd.readouterr().err) != is_same
    assert os.access(checkout / uv, os.X_OK) == is_same


@pytest.mark.parametrize("is_own", [True, False])
def test_foreign_files_build_apart(tmp_path: Path, capfd: pytest.CaptureFixture[str], *, is_own: bool) -> None:
    """An image is built in caches of its own where files of a commit that nobody here has taken in are in its tree."""
    tiny = make_repository(tmp_path / "workspace")
    (tiny.root / "Makefile").write_text("environment:\n\t@echo namespace=$(CACHE_NAMESPACE). >&2\n")
    first = git(tiny, "rev-parse", "HEAD")
    git(tiny, "switch", "--quiet", "--create", "foreign")
    commit(tiny)
    other = git(tiny, "rev-parse", "HEAD")
    if not is_own:
        git(tiny, "switch", "--quiet", "--detach", first)
        (tiny.root / "Makefile").write_text("environment:\n\t@echo namespace=$(CACHE_NAMESPACE). >&2\n")
    Front(tiny.root, tiny.root, "docker", (other,)).environment(os.environ)
    assert f"namespace={'' if is_own else first}." in capfd.readouterr().err


SHARED = """\
environment:
\t@mkdir .venv && [ -n "$$SAMEBOOK_UNSHARED" ] || ln -s {environment} .venv/.environment
run:
\t@:
"""


@pytest.mark.parametrize(
    ("state", "is_shared"),
    [("whole", True), ("edited", True), ("with a file", False), ("of a stranger", False)],
)
def test_shared_environment(state: str, is_shared: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rerun has the environment that checkouts share where all of it is whole: it gets one of its own where a file
    was added, or the commit is a stranger's, and no verdict where one was edited, whatever its time says.
    """
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tiny = make_repository(tmp_path / "workspace")
    environment = shared.folder() / ("f" * 64)
    (environment / "lib" / "python3.13" / "site-packages").mkdir(parents=True)
    core = environment / "core.py"
    core.write_text("NAME = 'tool'\n")
    seal.write(environment)
    if state == "edited":
        core.write_text("NAME = 'evil'\n")
    if state == "with a file":
        (environment / "hidden.json").write_text("{}")
    first = git(tiny, "rev-parse", "HEAD")
    (tiny.root / "Makefile").write_text(SHARED.format(environment=environment))
    commit(tiny)
    other = git(tiny, "rev-parse", "HEAD")
    if state == "of a stranger":
        git(tiny, "reset", "--quiet", "--soft", first)
    front = Front(tiny.root, tiny.root, "local", (other,))
    front.environment(os.environ)
    assert (tiny.root / ".venv" / ".environment").exists() == is_shared
    if state == "edited":
        with pytest.raises(EnvironmentMismatch, match=r"not as they were installed, 'core\.py' first"):
            front.run(os.environ)
    else:
        assert front.run(os.environ) == 0


IMAGES = """\
log := $(dir $(lastword $(MAKEFILE_LIST)))images
environment:
\t@echo built $(SAMEBOOK_TAG) >>$(log) && {environment}
removed-image:
\t@echo removed $(SAMEBOOK_TAG) >>$(log)
"""


@pytest.mark.parametrize("environment", ["true", "false"])
def test_image_of_a_rerun_is_its_own(tmp_path: Path, environment: str) -> None:
    """Two reruns of one commit have an image each, by its tag, also in one process; nothing is left of either, though
    the build fails.
    """
    tiny = make_repository(tmp_path / "workspace")
    (tiny.root / "Makefile").write_text(IMAGES.format(environment=environment))
    name = git(tiny, "rev-parse", "HEAD")
    source = {"name": receipt.COMMIT, "digest": {"gitCommit": name}}
    statement = receipt.plan({"commit": source, "notebook": "notebooks/sum.ipynb", "parameters": {}, "env": "dev"})
    site = Site(Workspace(tiny.root), "docker", print)
    if environment == "true":
        with rerun.prepared(site, statement), rerun.prepared(site, statement):
            pass
    else:
        for _ in range(2):
            with pytest.raises(EnvironmentMismatch), rerun.prepared(site, statement):
                pass
    lines = [line.split() for line in (tiny.root / "images").read_text().splitlines()]
    built, removed = ([tag for what, tag in lines if what == word] for word in ("built", "removed"))
    assert len({*built}) == 2
    assert {*removed} == {*built}
    assert all(tag.startswith(f"-{name[:12]}-") for tag in built)
