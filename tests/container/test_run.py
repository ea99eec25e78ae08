"""Headless runs in the image: with and without a checkout, as anybody, with nothing that they could misuse."""

import json
import os
import shutil
import subprocess
from pathlib import Path

from containers import CHECKOUT, NOBODY, Start, output
from docker.models.images import Image
from tiny import Tiny

from samebook.records import receipt, run_folder

SMALL = ("-p", "as_of=2013-06-30", "-p", "train_days=10", "-p", "holdout_days=3", "-p", "n_estimators=20")


def kept(folder: Path) -> dict[str, dict[str, str]]:
    """Volumes for what a run leaves, in new folders of the user without a passwd entry."""
    paths = {name: folder / name for name in ("runs", "store", "data")}
    for path in paths.values():
        path.mkdir()
        os.chown(path, NOBODY, NOBODY)
    return {str(path): {"bind": f"/workspace/{name}", "mode": "rw"} for name, path in paths.items()}


def test_run_without_checkout(runtime: Image, start: Start, tmp_path: Path) -> None:
    """Production's image trains by itself, with volumes for runs, store and data, on a read-only root, as any UID."""
    output(start(runtime, "run", "train", *SMALL, volumes=kept(tmp_path)))
    path = next(tmp_path.glob("runs/*-train-*/receipt.json"))
    assert "outputs/model.ubj" in {subject["name"] for subject in json.loads(path.read_text())["subject"]}


def test_one_processor_is_enough(runtime: Image, start: Start, tiny: Tiny, tmp_path: Path) -> None:
    """KMeans in a container with one processor has the bytes of a run on all cores of the local engine."""
    notebook = shutil.copy(CHECKOUT / "tests" / "gallery" / "threads_of_openmp.ipynb", tiny.root / "notebooks")
    mounted = {str(notebook): {"bind": "/workspace/notebooks/threads_of_openmp.ipynb", "mode": "ro"}}
    command = ("run", "threads_of_openmp")
    output(start(runtime, *command, volumes=kept(tmp_path) | mounted, cpuset_cpus="0", nano_cpus=10**9))
    assert tiny.samebook(*command).code == 0
    inside, outside = next(tmp_path.glob("runs/*-threads_of_openmp-*")), tiny.last
    definition = receipt.read(inside / "receipt.json")["predicate"]["buildDefinition"]
    assert definition["internalParameters"]["processor"]["cores"] == 1
    assert (inside / run_folder.CANONICAL).read_bytes() == (outside / run_folder.CANONICAL).read_bytes()


def test_files_are_the_callers(lab: Image, start: Start, checkout: Path) -> None:
    """What a run writes into a mounted checkout belongs to the checkout's owner, who needs no passwd entry."""
    mounted = {str(checkout): {"bind": "/workspace", "mode": "rw"}}
    output(start(lab, "data", volumes=mounted))
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in checkout.rglob("*")}
    assert (checkout / "data/warehouse.duckdb").is_file()
    assert owners == {(NOBODY, NOBODY)}


def test_root_is_read_only(runtime: Image, start: Start) -> None:
    """A container can't change its own image."""
    code = "import pathlib; pathlib.Path('/opt/samebook/x').write_text('x')"
    container = start(runtime, "-c", code, entrypoint="python", user="0:0")
    assert container.wait()["StatusCode"] == 1
    assert b"Read-only file system" in container.logs()


def test_compose_hardens() -> None:
    """Every service drops all capabilities, gains no privilege, has a read-only root and the caller's UID and GID."""
    env = os.environ | {"SAMEBOOK_UID": str(NOBODY), "SAMEBOOK_GID": str(NOBODY)}
    command = ["docker", "compose", "config", "--format", "json"]
    done = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, check=True)
    for service in json.loads(done.stdout)["services"].values():
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["user"] == f"{NOBODY}:{NOBODY}"
        assert service["read_only"]
        assert service["init"]


def test_no_capabilities(runtime: Image, start: Start) -> None:
    """A process in the container has no capability left, and none to gain."""
    code = "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('Cap')])"
    assert set(json.loads(output(start(runtime, "-c", code, entrypoint="python")).replace("'", '"'))) == {"0" * 16}


def test_uid_is_required() -> None:
    """Compose by itself says to run it through make, instead of running as somebody else."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("SAMEBOOK_")}
    done = subprocess.run(
        ["docker", "compose", "config"], cwd=CHECKOUT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "run it through make" in done.stderr
