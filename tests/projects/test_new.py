"""A project of one's own: what is in it, that it works at once, and where none is made."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
from tiny import CHECKOUT

from samebook.core.digest import sha256
from samebook.projects import template, wheel_file

pytestmark = pytest.mark.host

ENTRIES = {"Dockerfile", "docker-compose.yml", "environments", "notebooks", "scripts", "tests", "Makefile", "README.md"}
SHARED = (CHECKOUT / "scripts" / "samebook" / "projects" / "entries").read_text().split()
IDENTITY = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def samebook(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "samebook", *arguments]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False)


def lines(project: Path, *command: str) -> list[str]:
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the example `tiny`, as it was made."""
    folder = tmp_path_factory.mktemp("new")
    command = ["make", "--silent", "new", f"PROJECT={folder / 'churn'}", "NAME=churn", "ENGINE=local"]
    env = {**os.environ, **IDENTITY}
    done = subprocess.run(
        command, cwd=CHECKOUT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"next: cd {folder}/churn && make run NOTEBOOK=train" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["churn"]
    return folder / "churn"


def test_entries(project: Path) -> None:
    """It has the entries of this scaffold and dotfiles, at most 45 files, one commit, and 1,500 lines that one owns."""
    names = lines(project, "git", "ls-files")
    assert {name for name in (name.split("/")[0] for name in names) if not name.startswith(".")} == ENTRIES
    assert len(names) <= 45
    assert len(lines(project, "git", "log", "--format=%H")) == 1
    own = [name for name in names if not name.endswith((".whl", ".txt")) and not name.startswith(tuple(SHARED))]
    assert sum(len((project / name).read_text().splitlines()) for name in own) <= 1500
    for path in project.glob("notebooks/*.ipynb"):
        nbformat.validate(nbformat.read(path, as_version=4))


def test_one_source(project: Path) -> None:
    """What it shares with this repository are this repository's files, of which there is no second copy."""
    own = lines(project, "git", "ls-files", *SHARED)
    locks = {f"environments/{name}.txt" for name in ("runtime", "lab", "command", "build")}
    assert len(own) > 25
    for name in {*own} - locks:
        assert (project / name).read_bytes() == (CHECKOUT / name).read_bytes(), name
        assert os.access(project / name, os.X_OK) == os.access(CHECKOUT / name, os.X_OK), name
    copies = {path.name for path in (CHECKOUT / "scripts" / "samebook" / "projects" / "template").rglob("*")}
    assert not copies & {Path(name).name for name in own} - {"pyproject.toml"}


def test_images_are_its_own(project: Path) -> None:
    """Its images are called after it, so that two projects on a machine don't replace each other's."""
    recipe = "\n".join(lines(project, "make", "--dry-run", "watch", "ENGINE=docker", "BASE_IMAGE=base"))
    assert "churn:runtime" in recipe
    assert "--name churn-watch" in recipe
    assert "samebook:" not in recipe.replace("urn:samebook:builder", "")


def test_wheel_is_in_the_lock(project: Path) -> None:
    """Each lock with samebook has the hash of the wheel in scripts/, which an installed samebook makes again."""
    (wheel,) = project.glob("scripts/*.whl")
    pinned = f"samebook=={template.version(wheel)} \\\n    --hash=sha256:{sha256(wheel)}"
    for name in ("runtime", "lab", "command"):
        assert pinned in (project / "environments" / f"{name}.txt").read_text()
    blob = subprocess.run(["git", "show", f"HEAD:scripts/{wheel.name}"], cwd=project, capture_output=True, check=True)
    assert blob.stdout == wheel.read_bytes()
    assert lines(project, "git", "check-attr", "text", f"scripts/{wheel.name}")[0].endswith("text: unset")
    site = project.parent / "site"
    zipfile.ZipFile(wheel).extractall(site)
    notes = next(site.glob("*.dist-info"))
    (notes / "INSTALLER").write_text("pip\n")
    (notes / "RECORD").write_text(
        (notes / "RECORD").read_text() + f"{notes.name}/INSTALLER,,\n../../../bin/samebook,,\n"
    )
    code = "from samebook.projects import template; from pathlib import Path; print(template.own_wheel(Path('.')))"
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run([sys.executable, "-c", code], cwd=site, env=env, capture_output=True, text=True, check=True)
    assert (site / done.stdout.strip()).read_bytes() == wheel.read_bytes()


def test_works_at_once(project: Path) -> None:
    """Its notebook runs, from its commit, and its checks and tests pass, on this machine."""
    for target in (("run", "NOTEBOOK=train"), ("check",), ("test",)):
        make = ["make", *target, "ENGINE=local"]
        done = subprocess.run(make, cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert lines(project, "git", "status", "--porcelain") == []
    assert "2 passed" in done.stdout
    runs = lines(project, ".venv/bin/samebook", "runs")
    assert any("auc 0.98" in line for line in runs), runs


def test_nothing_to_begin_with(tmp_path: Path) -> None:
    """A project without an example has one notebook, whose test passes."""
    done = samebook("new", "hello", "--example", "none", cwd=tmp_path, **IDENTITY)
    assert done.returncode == 0, done.stderr
    make = ["make", "test", "ENGINE=local"]
    tested = subprocess.run(make, cwd=tmp_path / "hello", capture_output=True, text=True, check=False)
    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr
    assert lines(tmp_path / "hello", "git", "ls-files", "notebooks") == ["notebooks/train.ipynb"]


def test_refused(tmp_path: Path) -> None:
    """No project is made in a folder with files, in another repository, without an identity, or with a bad name."""
    full, repository = tmp_path / "full", tmp_path / "repository"
    full.mkdir()
    (full / "notes.txt").write_text("mine\n")
    repository.mkdir()
    subprocess.run(["git", "init", "--quiet", "."], cwd=repository, check=True)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    nobody = {"HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    nobody |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.useConfigOnly", "GIT_CONFIG_VALUE_0": "true"}
    for arguments, env, error in (
        (["full"], IDENTITY, "is there already"),
        (["repository/churn"], IDENTITY, "lies in another repository"),
        (["churn"], nobody, "git doesn't know who commits"),
        (["churn", "--name", "2nd"], IDENTITY, "can't be the name of a package"),
        *(
            (["churn", "--name", name], IDENTITY, "can't be the name of a package")
            for name in ("samebook", "class", "json", "pandas", "sklearn", "churn_", "a__b", "a-b")
        ),
        (["churn", "--example", "tinny"], IDENTITY, "did you mean tiny?"),
        (["churn", "--registry", "x$(touch ran)"], IDENTITY, "is no registry"),
        (["churn", "--registry", "x\n  - run: touch ran"], IDENTITY, "is no registry"),
        (["churn", "--registry", "ghcr.io/MyTeam"], IDENTITY, "is no registry"),
        (["a b"], IDENTITY, "a blank or a comma"),
        (["link"], IDENTITY, "is there already"),
        (["nowhere/churn"], IDENTITY, "no folder"),
    ):
        done = samebook("new", *arguments, cwd=tmp_path, **env)
        assert done.returncode == 2, (arguments, done.stdout)
        assert error in done.stderr
        assert "\n  -> " in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "link", "repository"]


def test_wheel_has_one_form(tmp_path: Path) -> None:
    """A wheel's bytes are decided by its files alone, whatever their order and whatever compressed them."""
    files = {"samebook/a.py": b"x = 1\n", "samebook-1.dist-info/METADATA": b"Name: samebook\n"}
    wheel_file.write(tmp_path / "one.whl", files)
    with zipfile.ZipFile(tmp_path / "two.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in reversed([*files]):
            archive.writestr(name, files[name])
    wheel_file.write(tmp_path / "two.whl", wheel_file.contents(tmp_path / "two.whl"))
    assert (tmp_path / "one.whl").read_bytes() == (tmp_path / "two.whl").read_bytes()
