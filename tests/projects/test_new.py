"""A project of one's own: what is in it, that it works at once, and where none is made."""

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import ci_file
import nbformat
import pytest
from tiny import CHECKOUT

from samebook.core.digest import sha256
from samebook.core.errors import UsageError
from samebook.forge import gitlab
from samebook.forge.job import Project
from samebook.projects import template, wheel_file
from samebook.verbs import settings

pytestmark = pytest.mark.host

ENTRIES = {"Dockerfile", "docker-compose.yml", "environments", "notebooks", "scripts", "tests", "Makefile", "README.md"}
SHARED = (CHECKOUT / "scripts" / "samebook" / "projects" / "entries").read_text().split()
IDENTITY = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}

# In place of the forge's own program: it lists the comments of an earlier review, and keeps what it is told to write.
FORGE = """#!/bin/sh
here=$(dirname "$0")
case "$*" in
  *--paginate*) cat "$here/earlier" ;;
  *) echo "$*" >"$here/a.call" && cp comment.md "$here/a.md" ;;
esac
"""
MARK = "<!-- samebook review -->"


def samebook(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "samebook", *arguments]
    return subprocess.run(command, cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False)


def lines(project: Path, *command: str) -> list[str]:
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=True).stdout.splitlines()


def make_new(folder: Path, *variables: str) -> Path:
    """The project that `make new` makes there."""
    command = ["make", "--silent", "new", f"PROJECT={folder / 'churn'}", "NAME=churn", "ENGINE=local", *variables]
    env = {**os.environ, **IDENTITY, "HOME": str(folder.parent)}
    done = subprocess.run(
        command, cwd=CHECKOUT, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"next: cd {folder}/churn && make run NOTEBOOK=train" in done.stdout
    assert [path.name for path in folder.iterdir()] == ["churn"]
    return folder / "churn"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the example `tiny`, as it was made."""
    return make_new(tmp_path_factory.mktemp("new"))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the whole example of this repository."""
    return make_new(tmp_path_factory.mktemp("whole"), "EXAMPLE=flights")


def test_entries(project: Path) -> None:
    """It has the entries of this scaffold and dotfiles, at most 35 files, one commit, and 1,500 lines that one owns."""
    names = lines(project, "git", "ls-files")
    assert {name for name in (name.split("/")[0] for name in names) if not name.startswith(".")} == ENTRIES
    assert len(names) <= 35
    assert len(lines(project, "git", "log", "--format=%H")) == 1
    assert sum(len((project / name).read_text().splitlines()) for name in owned(names)) <= 1500
    for path in project.glob("notebooks/*.ipynb"):
        nbformat.validate(nbformat.read(path, as_version=4))


def owned(names: list[str]) -> list[str]:
    """The files of a project that are its people's: neither shared with this repository nor made from others."""
    made = (*SHARED, ".copier-answers.yml")
    return [name for name in names if not name.endswith((".whl", ".txt")) and not name.startswith(made)]


def written(path: Path) -> int:
    """The lines that a person writes in a file: in a notebook those of its cells."""
    if path.suffix != ".ipynb":
        return len(path.read_text().splitlines())
    return sum(len(cell.source.splitlines()) for cell in nbformat.read(path, as_version=4).cells)


def test_whole_example(whole: Path) -> None:
    """The example is this repository's, file by file: at most 45 files, and 1,500 lines, in cells, of one's own."""
    names = lines(whole, "git", "ls-files")
    assert {name for name in (name.split("/")[0] for name in names) if not name.startswith(".")} == ENTRIES
    listed = (CHECKOUT / "scripts" / "samebook" / "projects" / "examples" / "flights").read_text().split()
    example = lines(whole, "git", "ls-files", *listed)
    assert example == lines(CHECKOUT, "git", "ls-files", *listed)
    for name in example:
        assert (whole / name).read_bytes() == (CHECKOUT / name).read_bytes(), name
    assert len(names) <= 45
    assert sum(written(whole / name) for name in owned(names)) <= 1500


def test_whole_example_works(whole: Path) -> None:
    """Its model is trained from the flights of some days, its settings hold, and its checks and tests pass; a
    notebook that breaks a house rule does not pass.
    """
    small = "PARAMS=as_of=2013-02-15 train_days=7 holdout_days=2 n_estimators=5"
    for target in (("run", "NOTEBOOK=train", small), ("pipelines",), ("settings", "ENV=prod"), ("check",), ("test",)):
        make = ["make", *target, "ENGINE=local"]
        done = subprocess.run(make, cwd=whole, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert lines(whole, "git", "status", "--porcelain") == []
    assert "3 passed" in done.stdout
    assert (whole / ".samebook" / "schemas" / "settings.json").read_bytes() == settings.schema()
    notebook = whole / "notebooks" / "monitor.ipynb"
    notebook.write_text(re.sub(r'("tags": \[\s*)"parameters"', r'\1"hide-input"', notebook.read_text()))
    make = ["make", "-o", "check-lock", "check", "ENGINE=local"]
    done = subprocess.run(make, cwd=whole, capture_output=True, text=True, check=False)
    assert "monitor.ipynb: cell 2: no tag" in done.stdout
    assert "all well" not in done.stdout
    assert done.returncode != 0
    lines(whole, "git", "checkout", "notebooks/monitor.ipynb")


def test_example_is_in_the_wheel(whole: Path, tmp_path: Path) -> None:
    """A wheel that has not the project's example renders nothing, so that no update takes the example out."""
    (wheel,) = whole.glob("scripts/*.whl")
    files = {name: data for name, data in wheel_file.contents(wheel).items() if "/examples/" not in name}
    wheel_file.write(tmp_path / wheel.name, files)
    chosen = {"name": "churn", "example": "flights", "registry": ""}
    with pytest.raises(UsageError, match="has no example 'flights'"):
        template.render(tmp_path / wheel.name, chosen, tmp_path / "project")


def test_one_source(project: Path) -> None:
    """What it shares with this repository are this repository's files, of which there is no second copy."""
    own = lines(project, "git", "ls-files", *SHARED)
    locks = {f"environments/{name}.txt" for name in ("runtime", "lab", "command", "build")}
    assert len(own) > 15
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


def test_ci_passes(project: Path, tmp_path: Path) -> None:
    """Each step of its CI passes on this machine, from an empty home, and leaves its commit as it is; its model is
    promoted then, by the gate as it came.
    """
    printed = dict(ci_file.run(project, tmp_path, "local"))
    assert "check: all well" in printed["Check"]
    assert "2 passed" in printed["Test"]
    assert "auc 0.98" in printed["Reproduce on this engine"]
    assert "\nIDENTICAL: " in printed["Reproduce on this engine"]
    work = tmp_path / "work"
    make = ["make", "promote", "RUN=train", "MODEL=tumours", "WHY=first", "ENGINE=local"]
    done = subprocess.run(make, cwd=work, env={**os.environ, **IDENTITY}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    compared = json.loads((work / "models" / "tumours.json").read_text())["promoted"]["gate"]["metrics"]
    assert (compared["candidate_auc"] > 0.98, compared["baseline_auc"]) == (True, 0.5)
    assert compared["auc_difference_low"] > 0
    assert lines(work, "git", "status", "--porcelain") == []


@pytest.mark.long
def test_ci_reviews(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its CI reviews a pull request with the code of the base: what the branch has changed of that does not run. The
    text becomes one comment, which a later review takes the place of; where the forge does not list those that there
    are, no second one is written. The job keeps a folder with it. On GitLab it is the same text.
    """
    clone = tmp_path / "churn"
    lines(tmp_path, "git", "clone", "--quiet", str(project), str(clone))
    (clone / gitlab.FILE).write_text(gitlab.files(Project())[gitlab.FILE])
    lines(clone, "git", "add", "--all")
    subprocess.run(["git", "commit", "-qm", "x"], cwd=clone, env={**os.environ, **IDENTITY}, check=True)
    lines(clone, "git", "switch", "--quiet", "-c", "branch")
    (clone / "Makefile").write_text("review:\n\t@echo all is well\n")
    for command in (["commit", "--quiet", "-am", "x"], ["switch", "--quiet", "main"], ["merge", "--no-ff", "branch"]):
        subprocess.run(["git", *command], cwd=clone, env={**os.environ, **IDENTITY}, capture_output=True, check=True)
    summary = tmp_path / "run" / "summary.md"
    kept = tmp_path / "artifacts"
    dict(ci_file.run(clone, tmp_path / "run", "local", "review", artifacts=kept))
    assert "| Makefile | changed | what each command runs |" in summary.read_text()
    assert summary.read_text().startswith("# Review of ")
    text, content = ci_file.given(tmp_path / "run")
    assert content == summary.read_text() == (kept / "review" / "review.md").read_text()
    lines(clone, "git", "branch", "target", "main~1")
    ci_file.run_gitlab(clone, tmp_path / "gitlab", "review", target="target", artifacts=kept / "gitlab")
    for name in ("review.md", "dist/review/review.md"):
        assert (kept / "gitlab" / "review" / name).read_text() == content
    for earlier, call in {
        "": "POST repos/churn/issues/3/comments",
        "17\n18\n": "PATCH repos/churn/issues/comments/17",
    }.items():
        bodies = commented(clone, tmp_path / f"comment{len(earlier)}", earlier, text, monkeypatch)
        assert bodies == {f"api --silent --method {call} --field body=@comment.md": f"{MARK}\n{summary.read_text()}"}
    with pytest.raises(AssertionError, match="Write it as a comment"):
        commented(clone, tmp_path / "away", None, text, monkeypatch)
    assert not list((tmp_path / "away").rglob("*.call"))


def commented(
    clone: Path, folder: Path, earlier: str | None, text: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The calls of the forge's own program by which the job `comment` writes a review, with each one's body. A stand-in
    takes its place, which says that there are these earlier comments; None where it can't say.
    """
    programs = folder / "programs"
    programs.mkdir(parents=True)
    (programs / "gh").write_text(FORGE)
    (programs / "gh").chmod(0o755)
    if earlier is not None:
        (programs / "earlier").write_text(earlier)
    with monkeypatch.context() as patch:
        patch.setenv("PATH", str(programs), prepend=os.pathsep)
        known = {"github.event.pull_request.number": "3", "needs.review.outputs.text": text}
        dict(ci_file.run(clone, folder, "local", "comment", known=known))
    return {path.read_text().strip(): path.with_suffix(".md").read_text() for path in programs.glob("*.call")}


def test_hooks(project: Path) -> None:
    """`make hooks` installs samebook's hooks in its repository."""
    for name in lines(project, "make", "--silent", "hooks", "ENGINE=local"):
        assert "make models" in (project / name).read_text()
    assert {path.name for path in (project / ".git" / "hooks").iterdir()} == {"post-checkout", "post-merge"}


def test_nothing_to_begin_with(tmp_path: Path) -> None:
    """A project without an example has one notebook, whose test passes, and a gate."""
    done = samebook("new", "hello", "--example", "none", cwd=tmp_path, **IDENTITY)
    assert done.returncode == 0, done.stderr
    make = ["make", "test", "ENGINE=local"]
    tested = subprocess.run(make, cwd=tmp_path / "hello", capture_output=True, text=True, check=False)
    assert "1 passed" in tested.stdout, tested.stdout + tested.stderr
    assert lines(tmp_path / "hello", "git", "ls-files", "notebooks") == [
        "notebooks/gate.ipynb",
        "notebooks/train.ipynb",
    ]
    assert len(lines(tmp_path / "hello", "git", "ls-files")) <= 35


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
        (["churn", "--example", "x"], IDENTITY, "expected one of: flights, none, tiny"),
        (["churn", "--example", "flights", "--name", "flights"], IDENTITY, "can't be the name of a package"),
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
        assert re.search(r"\n  -> (samebook new|mkdir|git config) ", done.stderr), done.stderr
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
