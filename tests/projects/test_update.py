"""A later samebook in a project that people have changed: over three versions of this repository, made here."""

import os
import re
import shutil
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from tiny import CHECKOUT, PATIENCE

from samebook.core.digest import json_bytes, sha256
from samebook.models.bundle import Bundle
from samebook.projects import template, wheel_file
from samebook.projects.merge import Conflict
from samebook.verbs import update

pytestmark = pytest.mark.host

IDENTITY = {f"GIT_{who}_{what}": "a@b.c" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
PROJECT = "scripts/samebook/projects/template/project"
LOCKS = ("runtime", "lab", "command")
# What samebook changes from each version to the next, in this repository: file, old text, new text.
SECOND = (
    ("Makefile", "# A flag that is on;", "# A flag which is on;"),
    ("Dockerfile", "ENV UV_LINK_MODE=copy", "ENV UV_LINK_MODE=copy UV_SECOND=1"),
    (f"{PROJECT}/environments/prod.yml.jinja", "cell_timeout: 3600", "cell_timeout: 3600\nnumerics: portable"),
    (f"{PROJECT}/README.md.jinja", "## What is where", "## What is in it"),
    (f"{PROJECT}/notebooks/{{% if example == 'tiny' %}}train.ipynb{{% endif %}}.jinja", "569 tumours", "569 of them"),
    ("scripts/samebook/projects/entries", "environments/warehouse\n", "environments/later\n"),
    ("scripts/pyproject.toml", '"click",', '"click", "inflection",'),
    *((f"environments/{lock}.txt", "click==", "inflection==0.5.0\nclick==") for lock in LOCKS),
)
THIRD = (
    ("Makefile", "export NOTEBOOK ?= train", "export NOTEBOOK ?= third"),
    ("Dockerfile", "ENV UV_LINK_MODE=copy UV_SECOND=1", "ENV UV_LINK_MODE=copy UV_THIRD=1"),
    ("scripts/samebook/projects/entries", ".dockerignore\n", ""),
)
# What people change in the project.
OWN = (
    ("Makefile", "export NOTEBOOK ?= train", "export NOTEBOOK ?= churn"),
    ("Dockerfile", "# Named, because a bot", "# Our own line.\n# Named, because a bot"),
    ("environments/prod.yml", "  pinned_image: true", "  pinned_image: false"),
    (".dockerignore", "\n", "\n# Ours.\n"),
    ("notebooks/train.ipynb", "569 tumours", "our customers"),
    ("environments/pyproject.toml", '  "samebook[new,test]', '  "tqdm",\n  "samebook[new,test]'),
)


def replace(root: Path, changes: tuple[tuple[str, str, str], ...]) -> None:
    for name, old, new in changes:
        text = (root / name).read_text()
        assert old in text, name
        (root / name).write_text(text.replace(old, new, 1))


def git(root: Path, *arguments: str, **env: str) -> str:
    environ = {**os.environ, **IDENTITY, **env}
    done = subprocess.run(["git", *arguments], cwd=root, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def samebook(
    *arguments: object, cwd: Path, scripts: Path = CHECKOUT / "scripts", **env: str
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "samebook", *map(str, arguments)]
    environ = {**os.environ, **IDENTITY, "PYTHONPATH": str(scripts), **env}
    return subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of this repository with three versions, a minute apart: each is a commit with a tag."""
    root = tmp_path_factory.mktemp("clone") / "samebook"
    git(CHECKOUT, "clone", "--quiet", str(CHECKOUT), str(root))
    (root / ".samebook").mkdir()
    (root / ".samebook" / "uv").symlink_to(CHECKOUT / ".samebook" / "uv")
    os.utime(root / "environments" / "build.txt", (0, 0))
    (root / "environments" / "later").write_text("new\n")
    for minute, (name, changes) in enumerate({"first": (), "second": SECOND, "third": THIRD}.items()):
        replace(root, changes)
        git(root, "add", "--all")
        git(root, "commit", "--quiet", f"--message={name}", GIT_COMMITTER_DATE=f"2090-01-01T00:0{minute}:00Z")
        git(root, "tag", name)
    return root


@pytest.fixture(scope="module")
def wheels(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheel of each version."""
    folder, wheels = tmp_path_factory.mktemp("wheels"), {}
    for name in ("first", "second", "third"):
        git(clone, "checkout", "--quiet", name)
        make = ["make", "--silent", "wheel", "ENGINE=local", f"DIST={folder / name}"]
        subprocess.run(make, cwd=clone, capture_output=True, check=True)
        (wheels[name],) = (folder / name).iterdir()
    return wheels


@pytest.fixture(scope="module")
def changed(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of the first version, which people have changed: also a pipeline, a notebook and a model of theirs."""
    folder = tmp_path_factory.mktemp("changed")
    zipfile.ZipFile(wheels["first"]).extractall(folder / "site")
    done = samebook("new", "churn", "--example", "tiny", cwd=folder, scripts=folder / "site")
    assert done.returncode == 0, done.stderr
    root = folder / "churn"
    replace(root, OWN)
    (root / "environments" / "pipelines").mkdir()
    (root / "environments" / "pipelines" / "daily.yml").write_text("steps: [{notebook: train}]\n")
    shutil.copy(root / "notebooks" / "gate.ipynb", root / "notebooks" / "mine.ipynb")
    (root / "tests" / "test_train.py").unlink()
    (root / "models").mkdir()
    (root / "models" / "churn.json").write_bytes(model().content())
    (root / ".gitignore").write_text((root / ".gitignore").read_text() + "/environments/later\n")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message=ours")
    return root


def model() -> Bundle:
    """A promoted model whose run had an older pandas."""
    metrics, name, parameters = {"auc": 0.75}, "train.ipynb", {"max_depth": 4}
    facts = {
        "schema_version": 1,
        "name": "churn",
        "metrics": metrics,
        "source": {"commit": "c" * 40, "dirty": False, "notebook": name, "parameters": parameters, "env": "dev"},
        "artifacts": {"metrics.json": {"sha256": sha256(json_bytes(metrics)), "size": 1}},
        "data": {},
        "environment": {"digest": "ab" * 32, "lock": "ab" * 32, "python": "3.13", "engine": "local"},
        "receipt": {"sha256": "ab" * 32, "run": "20130101T000000Z-train-abcdef", "builder": "a", "finished": "2013"},
        "promoted": {"by": "a <a@b.c>", "at": "2013", "env": "dev", "why": "because"},
    }
    facts["environment"]["packages"] = {"pandas": "1.0"}
    return Bundle.model_validate(facts).sealed()


@pytest.fixture
def project(changed: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(changed, tmp_path / "churn", symlinks=True))


@pytest.fixture(scope="module")
def second(changed: Path, wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the update to the second version prints, in a copy whose path ends it."""
    root = Path(shutil.copytree(changed, tmp_path_factory.mktemp("second") / "churn", symlinks=True))
    done = samebook("update", "--wheel", wheels["second"], cwd=root / "notebooks")
    assert done.returncode == 0, done.stdout + done.stderr
    return f"{done.stdout}{root}"


def state(root: Path) -> dict[str, str]:
    """The sha256 of each file of a project, of its index and objects too; but what git and samebook keep for speed."""
    files = (path for path in root.rglob("*") if path.is_file() and ".samebook" not in path.parts)
    return {str(path.relative_to(root)): sha256(path) for path in files if path.name != "index"}


def test_nothing_is_lost(second: str, changed: Path, wheels: dict[str, Path]) -> None:
    """The second version is in the project beside all that people have changed, staged and not committed."""
    printed, root = second.rsplit("\n", 1)[0], Path(second.rsplit("\n", 1)[1])
    for name, both in {
        "Makefile": ("NOTEBOOK ?= churn", "# A flag which is on;"),
        "Dockerfile": ("# Our own line.", "UV_SECOND=1"),
        "environments/prod.yml": ("pinned_image: false", "numerics: portable"),
        "environments/pyproject.toml": ('"tqdm",', f"samebook[run]=={template.version(wheels['second'])}"),
        "environments/runtime.txt": (f"sha256:{sha256(wheels['second'])}",),
        "README.md": ("## What is in it",),
    }.items():
        assert [text for text in both if text not in (root / name).read_text()] == [], name
    same = ("notebooks/train.ipynb", "notebooks/mine.ipynb", "environments/pipelines/daily.yml", "models/churn.json")
    assert [name for name in same if (root / name).read_bytes() != (changed / name).read_bytes()] == []
    assert not (root / "tests" / "test_train.py").exists()
    assert (root / "environments" / "later").read_text() == "new\n"
    assert not (root / "environments" / "warehouse").exists()
    assert [path.name for path in root.glob("scripts/*.whl")] == [wheels["second"].name]
    assert git(root, "rev-parse", "HEAD") == git(changed, "rev-parse", "HEAD")
    assert git(root, "diff", "--name-only") == git(root, "ls-files", "--others", "--exclude-standard") == ""
    assert "  notebooks/train.ipynb: a notebook of yours" in printed
    assert "next: git diff --cached" in printed


def test_lock_and_models(second: str, changed: Path) -> None:
    """Of the lock only samebook has moved, and has brought a package in its own lock's version; models are said."""
    printed, root = second.rsplit("\n", 1)[0], Path(second.rsplit("\n", 1)[1])
    moves = [line.split() for line in printed.splitlines() if line.startswith("  ") and " -> " in line]
    assert [move[0] for move in moves] == ["inflection", "samebook"]
    for name in ("runtime", "lab", "command", "build"):
        pins = [
            {line for line in (place / "environments" / f"{name}.txt").read_text().splitlines() if line[0] != " "}
            for place in (root, changed)
        ]
        brought = {"inflection==0.5.0 \\"} if name in LOCKS else set()
        assert {line for line in pins[0] ^ pins[1] if not re.match(r"samebook(\[.*\])?==", line)} == brought
    assert "  churn: other than in its run: pandas: 1.0 then, " in printed
    assert "make reproduce RUN=churn" in printed
    assert "in the new one: make update REPRODUCE=1" in printed


@pytest.mark.long
def test_third_conflicts(second: str, wheels: dict[str, Path]) -> None:
    """The planned conflicts of the third version are listed until they are resolved; then the project's checks pass."""
    root = Path(second.rsplit("\n", 1)[1])
    git(root, "commit", "--quiet", "--message=second")
    done = samebook("update", root, "--wheel", wheels["third"], cwd=root.parent)
    assert done.returncode == 1
    assert "2 files in conflict\n  -> " in done.stderr
    assert "  Makefile: edit 1 place between <<<<<<< and >>>>>>>, then git add Makefile\n" in done.stdout
    assert "  .dockerignore: samebook has it no more, and it is changed here: git rm " in done.stdout
    status = git(root, "status", "--porcelain").splitlines()
    assert {"UU Makefile", "UD .dockerignore", "M  Dockerfile"} <= {*status}
    text = (root / "Makefile").read_text()
    mark = f">>>>>>> samebook {template.version(wheels['third'])}\n"
    assert f"<<<<<<< this project\nexport NOTEBOOK ?= churn\n=======\nexport NOTEBOOK ?= third\n{mark}" in text
    for step in (("status",), ("add", "--all")):  # also where somebody has added the marks
        git(root, *step)
        again = samebook("update", root, "--wheel", wheels["third"], cwd=root.parent)
        assert again.returncode == 1
        assert "conflicts that nobody has resolved: " in again.stderr
        assert "Makefile; " in again.stderr
    own = "export NOTEBOOK ?= churn\n"
    (root / "Makefile").write_text(
        text.replace(f"<<<<<<< this project\n{own}", own)
        .replace(mark, "")
        .replace("=======\nexport NOTEBOOK ?= third\n", "")
    )
    git(root, "add", "Makefile")
    git(root, "commit", "--quiet", "--message=third")
    assert "already" in samebook("update", root, "--wheel", wheels["third"], cwd=root.parent).stdout
    assert (root / ".dockerignore").exists()
    make(root, "check")
    assert_results_are_told(root, wheels["third"])


def make(root: Path, *arguments: str) -> str:
    command = ["make", "--silent", *arguments, "ENGINE=local"]
    env = {**os.environ, **IDENTITY}
    done = subprocess.run(command, cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_results_are_told(root: Path, wheel: Path) -> None:
    """Of each promoted model it is said whether its results hold in the project's environment, and what differs.

    In the project whose environment is there by now: a run with it needs one.
    """
    update = ("update", root, "--wheel", wheel, "--reproduce")
    lost = samebook(*update, cwd=root)
    assert lost.returncode == 3
    assert "  churn: it can't be told: the receipt of model churn is not in the store\n    -> make pull" in lost.stdout
    assert "the results of churn don't hold, as said above\n  -> make reproduce RUN=churn" in lost.stderr
    git(root, "rm", "--quiet", "models/churn.json")
    git(root, "commit", "--quiet", "--message=a model less")
    make(root, "run", "NOTEBOOK=train")
    make(root, "promote", "RUN=train", "MODEL=tumours", "WHY=it is the first")
    held = samebook(*update, cwd=root)
    assert held.returncode == 0, held.stderr
    assert "  tumours: its results hold: " in held.stdout
    replace(root, (("notebooks/train.ipynb", "len(holdout)})", "len(holdout) + 1})"),))
    other = samebook(*update, cwd=root)
    assert other.returncode == 3
    assert "    metrics.json DIFFERENT: " in other.stdout
    assert "the results of tumours don't hold" in other.stderr
    assert len([*(root / "runs").glob("*-train-*")]) == 1
    make(root, "update", f"WHEEL={wheel}")


def test_dry_changes_nothing(project: Path, wheels: dict[str, Path]) -> None:
    """A dry update prints the difference and the conflicts, and no file is another, of the repository neither."""
    before = state(project)
    make = ["make", "--silent", "update", f"PROJECT={project}", f"WHEEL={wheels['second']}", "DRY=1", "ENGINE=local"]
    env = {**os.environ, **IDENTITY}
    done = subprocess.run(make, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "\n+# A flag which is on;" in done.stdout
    assert "\n  M Makefile\n" in done.stdout
    assert "dry run: nothing is changed" in done.stdout
    assert state(project) == before
    assert git(project, "status", "--porcelain") == ""


def test_own_samebook(project: Path, clone: Path, wheels: dict[str, Path]) -> None:
    """Without a wheel, a checkout brings its own commit; a second time there is nothing to do."""
    git(clone, "checkout", "--quiet", "second")
    done = samebook("update", project, cwd=clone, scripts=clone / "scripts")
    assert done.returncode == 0, done.stderr
    assert (project / "scripts" / wheels["second"].name).read_bytes() == wheels["second"].read_bytes()
    git(project, "commit", "--quiet", "--message=second")
    assert "already" in samebook("update", project, cwd=clone, scripts=clone / "scripts").stdout
    assert git(project, "status", "--porcelain") == ""


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_stopped(project: Path, wheels: dict[str, Path], signum: signal.Signals) -> None:
    """An update that is stopped while it locks leaves the project as before."""
    before = state(project)
    command = [sys.executable, "-m", "samebook", "update", "--wheel", str(wheels["second"])]
    env = {**os.environ, **IDENTITY}
    with subprocess.Popen(command, cwd=project, env=env, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        assert any("asking the package index" in line for line in process.stderr)
        process.send_signal(signum)
        assert process.wait(PATIENCE) == 128 + signum
    assert state(project) == before
    assert [path.name for path in (project / ".samebook").iterdir() if path.name.startswith("update-")] == []


def test_no_lock(project: Path, wheels: dict[str, Path]) -> None:
    """Where no versions fit the wish, the project is as before."""
    replace(
        project, (("environments/pyproject.toml", '  "scikit-learn",', '  "scikit-learn", "click<8", "click>=8",'),)
    )
    git(project, "commit", "--quiet", "--all", "--message=a wish")
    before = state(project)
    done = samebook("update", "--wheel", wheels["second"], cwd=project)
    assert done.returncode == 2
    assert "the lock could not be made" in done.stderr
    assert state(project) == before


def test_wish_in_conflict() -> None:
    """Where the wish itself is in conflict, the lock is left, and the next steps say how it is made."""
    wish = Conflict("edit 1 place", (None, "100644 a", "100644 b"))
    text = update.table(update.Update("0.1", "0.2", conflicts={"environments/pyproject.toml": wish}, moves=None))
    assert "when that is resolved: make lock && git add environments" in text
    assert "  environments/pyproject.toml: edit 1 place" in text


def test_refused(project: Path, wheels: dict[str, Path], tmp_path: Path) -> None:
    """An update is refused for what is no project, and over whatever it could lose; the project is as before."""
    (project / "environments" / "later").write_text("ignored, and mine\n")
    answers, wheel = (project / ".copier-answers.yml").read_text(), wheels["second"]
    (tmp_path / "text.whl").write_text("no zip\n")
    other = {"other/a.py": b"", "other-1.dist-info/METADATA": b"Metadata-Version: 2.4\nName: other\nVersion: 1\n"}
    wheel_file.write(tmp_path / "other.whl", other)
    outside = wheel_file.contents(wheel) | {"samebook/projects/files/../../../../out": b""}
    wheel_file.write(tmp_path / "outside.whl", outside)
    nobody = {"HOME": str(tmp_path), "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    nobody |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "user.useConfigOnly", "GIT_CONFIG_VALUE_0": "true"}
    nobody |= dict.fromkeys(IDENTITY, "")
    damaged = [answers.replace(*words) for words in (("churn", "../churn"), ("_commit", "_comit"), (": ", ":: [", 1))]
    before = state(project)

    def refuse(error: str, arguments: tuple[object, ...] = ("--wheel", wheel), **env: str) -> None:
        done = samebook("update", *arguments, cwd=project, **env)
        assert done.returncode == 2, (error, done.stdout, done.stderr)
        assert error in done.stderr
        assert re.search(r"\n  -> (git|make|mv) ", done.stderr), done.stderr

    refuse("environments/later has no place: git ignores one there")
    refuse("no project that `samebook new` has made", (tmp_path, "--wheel", wheel))
    refuse("there is no file", ("--wheel", tmp_path / "none.whl"))
    refuse("can't be read", ("--wheel", tmp_path / "text.whl"))
    refuse("no wheel of samebook", ("--wheel", tmp_path / "other.whl"))
    refuse("has a file outside of its folder", ("--wheel", tmp_path / "outside.whl"))
    damaged_wheel = bytearray(wheel.read_bytes())
    damaged_wheel[len(damaged_wheel) // 2] ^= 1
    (tmp_path / "damaged.whl").write_bytes(damaged_wheel)
    refuse("damaged.whl can't be read: ", ("--wheel", tmp_path / "damaged.whl"))
    refuse("which is later than", ("--wheel", older(wheel, tmp_path)))
    refuse("git does not know who you are", **nobody)
    for name, content in (("Makefile", "x"), ("new", "x")):
        text = (project / name).read_text() if (project / name).exists() else None
        (project / name).write_text(content)
        refuse(f"changes that are not committed: {name}")
        (project / name).unlink() if text is None else (project / name).write_text(text)
    for content in damaged:
        (project / ".copier-answers.yml").write_text(content)
        refuse(".copier-answers.yml")
    (project / ".copier-answers.yml").write_text(answers)
    git(project, "update-index", "--assume-unchanged", "Makefile")
    refuse("changes that are not committed: Makefile")
    git(project, "update-index", "--no-assume-unchanged", "Makefile")
    assert state(project) == before
    git(project, "checkout", "--quiet", "--detach")
    refuse("no branch is checked out")


def older(wheel: Path, folder: Path) -> Path:
    """The wheel with a version of a minute before the first."""
    version = template.version(wheel)
    old = version.replace("2090010100", "2089010100")
    files = {
        name.replace(version, old): content.replace(version.encode(), old.encode())
        for name, content in wheel_file.contents(wheel).items()
    }
    path = folder / template.name(old)
    wheel_file.write(path, files)
    return path
