"""A run made on one engine and reproduced on the other: the promise that everything else serves."""

import json
import subprocess
from pathlib import Path

import docker
import nbformat
import pytest
from containers import CHECKOUT, base, make

SMALL = "train_days=20 n_estimators=20"
AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@b.c")
OTHER = {"docker": "local", "local": "docker"}


@pytest.fixture(scope="module")
def clone(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh clone with a run of train on each engine."""
    del engine
    path = tmp_path_factory.mktemp("reproduce") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(path)], check=True)
    for name in OTHER:
        make("run", cwd=path, NOTEBOOK="train", PARAMS=SMALL, ENGINE=name, BASE_IMAGE=base(), SAMEBOOK_TAG="-clone")
    return path


def made_on(clone: Path, engine: str) -> Path:
    receipts = sorted((clone / "runs").glob("*-train-*/receipt.json"))
    facts = {path: json.loads(path.read_text())["predicate"]["buildDefinition"] for path in receipts}
    return next(path for path, each in facts.items() if each["internalParameters"]["engine"] == engine)


def digests(receipt: Path) -> dict[str, str]:
    return {each["name"]: each["digest"]["sha256"] for each in json.loads(receipt.read_text())["subject"]}


def test_engines_give_the_same_bytes(clone: Path) -> None:
    """Model, metrics, predictions and canonical notebook have the same hashes on both engines."""
    found = digests(made_on(clone, "local"))
    assert {"outputs/model.ubj", "metrics.json", "outputs/holdout.parquet", "notebook.canonical.json"} <= set(found)
    assert found == digests(made_on(clone, "docker"))


@pytest.mark.parametrize("first", OTHER)
def test_other_engine_reproduces_run(clone: Path, engine: docker.DockerClient, first: str) -> None:
    """A run made on one engine is IDENTICAL on the other, and the attestation names both."""
    receipt = made_on(clone, first)
    told = make("reproduce", cwd=clone, RUN=receipt.parent.name, ENGINE=OTHER[first], BASE_IMAGE=base())
    assert "IDENTICAL: 5 of 5 subjects" in told
    attested = json.loads((receipt.parent / "reproduction-1.json").read_text())["predicate"]
    assert attested["reproducer"]["engine"] == OTHER[first]
    assert attested["verdict"] == "IDENTICAL"
    worktrees = subprocess.run(["git", "worktree", "list"], cwd=clone, capture_output=True, text=True, check=True)
    assert len(worktrees.stdout.splitlines()) == 1
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True)
    assert engine.images.list(filters={"reference": f"*:runtime-{commit.stdout[:12]}-*"}) == []


def test_image_that_ran_is_named(clone: Path, engine: docker.DockerClient) -> None:
    """The receipt of a run in a container names the id of its image, whatever the shell has left over."""
    statement = json.loads(made_on(clone, "docker").read_text())
    items = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    (image,) = (item["uri"] for item in items if item["name"] == "image")
    assert image == engine.images.get("samebook:runtime-clone").attrs["Id"]


def test_receipt_alone_is_enough(clone: Path, tmp_path: Path) -> None:
    """On a machine with only the repository and the receipt, inputs are made again, checked, and give the same."""
    elsewhere = tmp_path / "elsewhere"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(elsewhere)], check=True)
    (tmp_path / "receipt.json").write_bytes(made_on(clone, "docker").read_bytes())
    told = make("reproduce", cwd=elsewhere, RUN=str(tmp_path / "receipt.json"), ENGINE="local")
    assert "IDENTICAL: 5 of 5 subjects" in told


def test_front_of_the_commit_is_not_run(clone: Path, tmp_path: Path) -> None:
    """Make and compose's file of the reproduced commit run nothing on this machine; its run is IDENTICAL."""
    statement = json.loads(made_on(clone, "docker").read_text())
    start = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True)
    for name in ("Makefile", "GNUmakefile", "docker-compose.yml", "docker-compose.override.yml", ".env"):
        (clone / name).write_text(f"x := $(shell touch {tmp_path}/ran)\n")
    subprocess.run(["git", "add", "--all"], cwd=clone, check=True)
    subprocess.run(["git", *AUTHOR, "commit", "--quiet", "-m", "hostile"], cwd=clone, check=True)
    hostile = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True)
    subprocess.run(["git", "reset", "--quiet", "--hard", start.stdout.strip()], cwd=clone, check=True)
    items = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    next(item for item in items if item["name"] == "commit")["digest"]["gitCommit"] = hostile.stdout.strip()
    (tmp_path / "receipt.json").write_text(json.dumps(statement))
    told = make("reproduce", cwd=clone, RUN=str(tmp_path / "receipt.json"), ENGINE="docker", BASE_IMAGE=base())
    assert "IDENTICAL: 5 of 5 subjects" in told
    assert not (tmp_path / "ran").exists()


def test_planted_cell_is_named(clone: Path) -> None:
    """A cell that differs from run to run is DIFFERENT, by its number and name, with both of its outputs."""
    sources = {"imports": "import numpy as np", "draw": "print(np.random.default_rng().integers(10**9))"}
    cells = [nbformat.v4.new_code_cell(source, metadata={"tags": [tag]}) for tag, source in sources.items()]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), clone / "notebooks" / "planted.ipynb")
    make("run", cwd=clone, NOTEBOOK="planted", ENGINE="local")
    done = subprocess.run(
        ["make", "reproduce", "RUN=planted", "ENGINE=local"], cwd=clone, capture_output=True, text=True, check=False
    )
    assert "Error 3" in done.stderr
    assert "notebook.canonical.json  DIFFERENT" in done.stdout
    assert "cell 2 `draw`" in done.stdout
    assert "reproduced" in done.stdout
