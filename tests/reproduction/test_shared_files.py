"""Files of packages that environments share: a stranger's run that changes one is noticed, and proves nothing."""

import base64
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from reproducing import commit, make_repository, reproduce, run
from tiny import git

from samebook.core.errors import EnvironmentMismatch
from samebook.reproduction import shared_files

pytestmark = [pytest.mark.host, pytest.mark.forger]

SITE = Path(".venv") / "lib" / "python3.13" / "site-packages"
CODE = "NAME = 'tool'\n"
MEND = ".samebook/uv/bin/uv cache clean tool && rm -rf .venv && make environment"
# A make that installs as uv does: by links.
INSTALL = "mkdir -p .venv && cp -al {caller}/.venv/lib .venv/"
# In a reproduction, and not in the run that it repeats: an edit of the same size, at the same time as before.
EDIT = """
import os, samebook
from pathlib import Path
checkout = os.environ["SAMEBOOK_WORKSPACE"]
path = Path(checkout, {path!r})
if "worktree-" in checkout:
    status = path.stat()
    path.write_text("NAME = 'evil'\\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
samebook.log_metric("n", 6)
"""


def install(checkout: Path) -> Path:
    """An environment with the package `tool`; its folder of packages."""
    site = checkout / SITE
    (site / "tool").mkdir(parents=True)
    (site / "tool" / "core.py").write_text(CODE)
    (site / "pip.py").write_text("pass\n")
    (site / "tool-1.0.dist-info").mkdir()
    digest = base64.urlsafe_b64encode(hashlib.sha256(CODE.encode()).digest()).rstrip(b"=").decode()
    (site / "tool-1.0.dist-info" / "RECORD").write_text(f"tool/core.py,sha256={digest},{len(CODE)}\n")
    return site


def link(site: Path, checkout: Path) -> Path:
    """Another environment with links to the same files."""
    for path in [path for path in site.rglob("*") if path.is_file()]:
        target = checkout / SITE / path.relative_to(site)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.hardlink_to(path)
    return checkout / SITE


def edit(path: Path) -> None:
    """Another content of the same size, at the same time."""
    status = path.stat()
    path.write_text("NAME = 'evil'\n")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def edit_and_unlink(path: Path) -> None:
    edit(path)
    path.unlink()


def edit_and_stop(path: Path) -> None:
    edit(path)
    raise KeyboardInterrupt


def replace(path: Path) -> None:
    path.unlink()
    path.write_text(CODE)


@pytest.mark.parametrize("where", ["caller", "aside"])
@pytest.mark.parametrize("change", [edit, edit_and_unlink, replace, lambda path: path.unlink()])
def test_changed_file_is_noticed(change: Callable[[Path], None], where: str, tmp_path: Path) -> None:
    """A file that is edited is noticed, whatever its time says, and so is one that is gone or another: what was behind
    the link may have been edited.
    """
    site = install(tmp_path / "caller")
    link(site, tmp_path / "aside")
    with (
        pytest.raises(EnvironmentMismatch, match=r"has changed 'tool/core\.py'") as error,
        shared_files.guarded(tmp_path / "caller", tmp_path / "aside"),
    ):
        change(tmp_path / where / SITE / "tool" / "core.py")
    assert error.value.mend == MEND


def test_error_does_not_hide_it(tmp_path: Path) -> None:
    """A run that ends with an error, after an edit, is noticed as well."""
    site = install(tmp_path)
    with pytest.raises(EnvironmentMismatch), shared_files.guarded(tmp_path):
        edit_and_stop(site / "tool" / "core.py")


@pytest.mark.parametrize("name", ["evil.py", "tool/evil.py", "late.pth"])
def test_new_file_is_noticed(name: str, tmp_path: Path) -> None:
    """A file that is added to the caller's packages is noticed; one in the checkout's own folder is its own."""
    site = install(tmp_path / "caller")
    aside = link(site, tmp_path / "aside")
    with shared_files.guarded(tmp_path / "caller", tmp_path / "aside"):
        (aside / name).write_text("x = 1\n")
    with pytest.raises(EnvironmentMismatch, match=name), shared_files.guarded(tmp_path / "caller"):
        (site / name).write_text("x = 1\n")


def test_bytecode_of_a_run_is_removed(tmp_path: Path) -> None:
    """Bytecode that appears or changes in the caller's environment is removed: nobody knows who wrote it."""
    site = install(tmp_path)
    old, new, kept = (site / "tool" / "__pycache__" / f"{name}.cpython-313.pyc" for name in ("old", "new", "kept"))
    old.parent.mkdir()
    old.write_bytes(b"1234")
    kept.write_bytes(b"1234")
    with shared_files.guarded(tmp_path):
        edit(old)
        new.write_bytes(b"evil")
    assert list(old.parent.iterdir()) == [kept]


def test_links_of_others_are_no_change(tmp_path: Path) -> None:
    """Another environment that is made or removed meanwhile changes the number of links, and no content."""
    site = install(tmp_path / "caller")
    other = link(site, tmp_path / "aside")
    with shared_files.guarded(tmp_path / "caller", tmp_path / "aside"):
        link(site, tmp_path / "third")
        os.utime(other / "tool" / "core.py")
        for path in (tmp_path / "third").rglob("*.py"):
            path.unlink()


def test_hostile_names(tmp_path: Path) -> None:
    """No name of a package that a stranger chose is in a command for people."""
    site = install(tmp_path)
    (site / "tool-1.0.dist-info").rename(site / "x;reboot-1.0.dist-info")
    with pytest.raises(EnvironmentMismatch) as error, shared_files.guarded(tmp_path):
        edit(site / "tool" / "core.py")
    assert error.value.mend == "rm -rf .venv && make environment"


@pytest.mark.parametrize("place", ["through its own environment", "by its path"])
@pytest.mark.parametrize("is_own", [True, False])
def test_reproduction_of_a_stranger(place: str, tmp_path: Path, *, is_own: bool) -> None:
    """A stranger's notebook that edits a file which the caller's environment shares is told, with what mends that, and
    nothing is attested; one of the caller's own past may do as it likes.
    """
    root = tmp_path / "workspace"
    tiny = make_repository(root, INSTALL.format(caller=root))
    (root / ".gitignore").write_text("/runs/\n/store/\n/data/\n/.samebook/\n/.venv/\n")
    commit(tiny)
    site = install(root)
    path = str(SITE / "tool" / "core.py") if place.startswith("through") else str(site / "tool" / "core.py")
    git(tiny, "switch", "--quiet", "--create", "foreign")
    tiny.notebook("sum", work=EDIT.format(path=path))
    commit(tiny)
    folder = run(tiny)
    if not is_own:
        git(tiny, "switch", "--quiet", "-")
    ended = reproduce(tiny, str(folder / "receipt.json"))
    assert (site / "tool" / "core.py").read_text() == "NAME = 'evil'\n", ended.stderr
    if is_own:
        assert ended.code == 0, ended.stderr
        return
    assert ended.code == 5, ended.stderr
    assert (
        "the run has changed 'tool/core.py', a file of packages that environments of this machine share" in ended.stderr
    )
    assert f"-> {MEND}" in ended.stderr
    assert not list(folder.glob("reproduction-*"))
