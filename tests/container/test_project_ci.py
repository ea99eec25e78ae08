"""A project's own CI: each step on the real engine, the reproduction of a model by a shared store, and its image."""

import configparser
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import ci_file
import containers
import docker
import pytest
import registry as registries
import tiny_project
import yaml
from containers import base
from s3 import KEY, S3, TEXT
from tiny_project import CANDIDATE, OWNERS, POLICY, cloned, commit_jobs, git, key, make

from samebook.core.digest import sha256
from samebook.core.workspace import Workspace
from samebook.forge import jobs
from samebook.projects import wheel_file
from samebook.records import signing
from samebook.records.signing import Purpose, SignedFile

NAME = "ci_tiny"
FORGES = ("github", pytest.param("gitlab", marks=pytest.mark.long))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registries.serving(tmp_path_factory.mktemp("registry"), is_encrypted=True) as address:
        yield address


@pytest.fixture(scope="module")
def project(engine: docker.DockerClient, registry: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A new project, made with a registry."""
    with tiny_project.new(engine, tmp_path_factory.mktemp("project") / NAME, f"REGISTRY={registry}/team") as made:
        yield made


def run(forge: str, job: str, clone: Path, folder: Path, **secrets: str) -> str:
    """What a job on the Docker engine prints, on a machine of its own."""
    if forge == "github":
        return "".join(dict(ci_file.run(clone, folder, "docker", job, base=base(), **secrets)).values())
    if key := secrets.pop(jobs.KEY, ""):  # on GitLab it is a file
        secrets[jobs.KEY] = str(folder.with_suffix(".pem"))
        Path(secrets[jobs.KEY]).write_text(key)
    return ci_file.run_gitlab(clone, folder, job, base=base(), engine="docker", target="main", **secrets)


@pytest.mark.long  # on the local engine: tests/projects/test_new.py
@pytest.mark.parametrize("forge", ["github", "gitlab"])
@pytest.mark.timeout(1800)
def test_every_step_passes(forge: str, project: Path, tmp_path: Path) -> None:
    """A clean clone is checked, tested and reproduced in its image."""
    clone = cloned(project, tmp_path / "ada")
    commit_jobs(clone, forge)
    printed = run(forge, "test", clone, tmp_path / "ci")
    assert "check: all well" in printed
    assert "2 passed" in printed  # the training and the gate, each a notebook with a model
    assert f"image: {NAME}:runtime" in printed
    assert "\nIDENTICAL: " in printed


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.timeout(1800)
def test_new_model_is_reproduced(forge: str, project: Path, s3: S3, tmp_path: Path) -> None:
    """A pull request with a model of ada's is reproduced by the code of its base, in an image, and signed with CI's
    key; with that statement she promotes it where the policy asks for another builder. Without secrets, as for a fork,
    nothing is signed.
    """
    ada = cloned(project, tmp_path / "ada")
    settings = ada / "environments" / "preprod.yml"
    store = json.loads(s3.settings())["store"]
    settings.write_text(yaml.safe_dump({"store": store, "promotion": POLICY}))
    key(ada, "ada")
    secret = key(ada, "ci")
    (ada / "environments" / "trusted-keys" / "owners.yml").write_text(OWNERS)
    commit_jobs(ada, forge)
    git(ada, "switch", "--quiet", "-c", "retrain")
    signed = {"SIGNING_KEY": str(ada.parent / "ada.pem")}
    make(ada, "run", "NOTEBOOK=train", **signed)
    make(ada, "promote", "RUN=train", "MODEL=tumours", **signed)
    secrets = {"S3_KEY": KEY, "S3_TEXT": TEXT}
    make(ada, "push", "ENV=preprod", "SECRETS=S3_KEY S3_TEXT", **secrets)
    git(ada, "switch", "--quiet", "main")
    git(ada, "switch", "--quiet", "-c", "merge")
    git(ada, "merge", "--quiet", "--no-ff", "retrain")
    with pytest.raises(AssertionError, match="S3_KEY"):
        run(forge, "reproduce", ada, tmp_path / "fork")
    printed = run(forge, "reproduce", ada, tmp_path / "ci", **secrets, **{jobs.KEY: secret})
    assert printed.count("\nIDENTICAL: ") == 2
    received = tmp_path / "ci" / "work" / "runs" / ".received"
    assert len(list(received.glob("*/reproduction-1.json.dsse"))) == 2
    assert secret.splitlines()[1] not in printed
    git(ada, "switch", "--quiet", "retrain")
    shutil.copytree(received, ada / "runs", dirs_exist_ok=True)
    make(ada, "promote", "RUN=train", "MODEL=tumours", "ENV=preprod", **signed)
    bundle = json.loads((ada / "models" / "tumours.json").read_text())
    assert [item["builder"] for item in bundle["reproductions"]] == [f"urn:samebook:builder:{NAME}/reproduce"]


@pytest.mark.timeout(1800)
def test_update_changes_a_small_layer(project: Path, engine: docker.DockerClient, tmp_path: Path) -> None:
    """Another samebook changes neither base nor packages of the image, which is as before but for it: what a machine
    has to build and to pull is a few megabytes. A wheel that is not the lock's is refused.
    """
    clone = cloned(project, tmp_path / "ada")
    (wheel,) = clone.glob("scripts/*.whl")
    layers, said = [], "print('later')\n"
    for files in ({}, {"samebook/later.py": said.encode()}):
        before = sha256(wheel)
        wheel_file.write(wheel, {**wheel_file.contents(wheel), **files})
        if files:
            with pytest.raises(
                AssertionError, match=r"no wheel in scripts/ has the hash that environments/runtime\.txt names"
            ):
                built(clone)
        for lock in clone.glob("environments/*.txt"):
            lock.write_text(lock.read_text().replace(before, sha256(wheel)))
        built(clone)
        image = engine.images.get(f"{NAME}:runtime")
        layers.append(image.attrs["RootFS"]["Layers"])
    (same, *_) = (at for at, (old, new) in enumerate(zip(*layers, strict=True)) if old != new)
    sizes = [item["Size"] for item in reversed(image.history()) if item["Size"]]
    assert sum(sizes[:same]) > 500e6
    assert sum(sizes[same:]) < 25e6
    printed = engine.containers.run(image, ["-m", "samebook.later"], entrypoint="python", remove=True)
    assert printed.decode() == "later\n"


def built(clone: Path) -> None:
    """The image of production, built in a checkout."""
    containers.make("build", ENGINE="docker", TARGETS="runtime", BASE_IMAGE=base(), V="1", cwd=clone)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_published_and_deployed(project: Path, registry: str, engine: docker.DockerClient, tmp_path: Path) -> None:
    """A push to prod pushes the release image, which runs; once its digest is merged, the machine of prod runs it.

    Where candidates are signed, a timer's container gets the key through stdin, and signs.
    """
    clone = cloned(project, tmp_path / "ada")
    git(clone, "switch", "--quiet", "-c", "prod")
    (clone / "environments" / "pipelines").mkdir(exist_ok=True)
    (clone / "environments" / "pipelines" / "daily.yml").write_text("steps: {train: {}}\n")
    with (clone / "environments" / "prod.yml").open("a") as settings:
        settings.write('schedule: {daily: "30 4 * * *"}\n')
    (clone / "environments" / "pipelines" / "weekly.yml").write_text(CANDIDATE)
    signed = {"promotion": POLICY, "schedule": {"weekly": "0 5 * * 1"}}
    (clone / "environments" / "preprod.yml").write_text(yaml.safe_dump(signed))
    key(clone, "ada")
    commit_jobs(clone, "github")
    known = {"vars.REGISTRY": f"{registry}/team"}
    job = {"base": base(), "known": known}
    dict(ci_file.run(clone, tmp_path / "publish", "docker", "publish-prod", **job, **registries.WHO))
    (clone / "patch").write_text(ci_file.given(tmp_path / "publish")[1])
    git(clone, "am", "--quiet", "patch")
    image = yaml.safe_load((clone / "environments" / "prod.yml").read_text())["published"]["runtime"]
    user, password = registries.WHO["REGISTRY_USER"], registries.WHO["REGISTRY_PASSWORD"]
    engine.images.pull(image, auth_config={"username": user, "password": password})
    assert b"train" in engine.containers.run(image, ["run", "train"], remove=True, stderr=True, stdout=True)
    with pytest.raises(docker.errors.APIError):
        engine.images.pull(image, auth_config={"username": user, "password": "guessed"})
    compose = ("docker", "compose", "--project-directory", str(tmp_path / "deploy" / "home" / "samebook-prod"))
    try:
        dict(ci_file.run(clone, tmp_path / "deploy", "docker", "deploy-prod", **job))
        listed = subprocess.run(
            (*compose, "ps", "--format", "{{.Image}} {{.State}}"), capture_output=True, text=True, check=True
        )
        assert listed.stdout.split() == [image, "running"]
    finally:
        subprocess.run((*compose, "down", "--volumes"), capture_output=True, check=False)
    signed["published"] = yaml.safe_load((clone / "environments" / "prod.yml").read_text())["published"]
    (clone / "environments" / "preprod.yml").write_text(yaml.safe_dump(signed))
    git(clone, "commit", "--quiet", "--all", "--message", "the same image in preprod")
    check_timer_signs(clone, tmp_path / "units")


def check_timer_signs(clone: Path, folder: Path) -> None:
    """What a timer of a deployment starts makes a signed candidate, in a container that has no file of the key."""
    make(clone, "deploy", "ENV=preprod", "AS=systemd", f"INTO={folder}")
    (folder / "secrets").mkdir()
    (folder / "runs").mkdir()
    (folder / "runs").chmod(0o777)
    shutil.move(clone.parent / "ada.pem", folder / "secrets" / "RUN_KEY")
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string((folder / "ci-tiny-preprod-weekly.service").read_text())
    service = unit["Service"]
    env = {**os.environ, "RUNS": str(folder / "runs")}
    key_file = Path(service["StandardInput"].removeprefix("file:"))
    try:
        with key_file.open() as stdin:
            done = subprocess.run(
                shlex.split(service["ExecStart"]), stdin=stdin, env=env, capture_output=True, text=True, check=False
            )
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        compose = ("docker", "compose", "--project-directory", str(folder), "down", "--volumes")
        subprocess.run(compose, env=env, capture_output=True, check=False)
    receipts = list((folder / "runs").glob("*Z-*/receipt.json"))
    trusted = signing.trusted_keys(Workspace(clone))
    signers = [signing.verify(SignedFile.read(path), trusted, Purpose.RUNS) for path in receipts]
    assert [[signer.name for signer in each] for each in signers] == [["ada"], ["ada"]]  # the training and the gate
    assert not any("SIGNING_KEY" in path.read_text() for path in receipts)
