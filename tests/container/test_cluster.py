"""The cluster that make starts: workers of one image, nothing open but a dashboard, and runs that survive a worker."""

import json
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import pytest
from containers import CHECKOUT, base
from docker.models.containers import Container
from tiny import Tiny, wait_until

from samebook.core.make import clean_environment

PROJECT = "samebook-test-cluster"
PARAMETERS = "n: int = 1"
# The fifth set takes more memory than a worker has. The number of cores is that of its container, and so are those of
# threads where numerics are fast.
WORK = """
import samebook
if n == 5:
    numbers = numpy.ones(1 << 28)
samebook.output_path("n.txt").write_text(str(n))
samebook.log_metric("cores", samebook_cores)
samebook.log_metric("threads", max(pool["num_threads"] for pool in threadpoolctl.threadpool_info()))
"""
CORES = """
import numpy, threadpoolctl, xgboost
from samebook.environment import machine
samebook_cores = machine.cores()
"""

# In a worker's container: kill the worker as Linux does where memory is short, and none of the programs beside it.
KILL = """
import os, pathlib
for path in pathlib.Path("/proc").glob("[0-9]*"):
    if path.joinpath("cmdline").read_bytes().split(b"\\0")[1:3] == [b"/opt/samebook/bin/dask", b"worker"]:
        os.kill(int(path.name), 9)
"""

OWN = {"SAMEBOOK_TAG": "-cluster", "COMPOSE_PROJECT_NAME": PROJECT, "ENGINE": "docker"}

Make = Callable[..., "subprocess.CompletedProcess[str]"]


def environ() -> dict[str, str]:
    """The variables of a make on the Docker engine, whatever engine these tests run on."""
    return {**clean_environment(), "BASE_IMAGE": base(), **OWN}


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of this checkout, with a tiny notebook in it."""
    root = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(root)], check=True)
    Tiny(root).notebook("tiny", parameters=PARAMETERS, imports=CORES, work=WORK)
    return root


@pytest.fixture
def make(engine: docker.DockerClient, clone: Path) -> Iterator[Make]:
    """`make ARGUMENTS` in the clone, on the Docker engine; whatever cluster it starts is gone when the test is over."""
    del engine

    def run(*arguments: str, code: int = 0) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            ["make", *arguments],
            cwd=clone,
            env=environ(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    yield run
    run("stop")


def containers(engine: docker.DockerClient, service: str) -> list[Container]:
    labels = [f"com.docker.compose.project={PROJECT}", f"com.docker.compose.service={service}"]
    return engine.containers.list(filters={"label": labels})


def results(root: Path) -> dict[int, str]:
    """The subjects of each finished run but the metrics, by its set; a set that ran twice is an error."""
    receipts = [json.loads(path.read_text()) for path in root.glob("runs/*-tiny-*/receipt.json")]
    numbers = [item["predicate"]["buildDefinition"]["externalParameters"]["parameters"]["n"] for item in receipts]
    assert len(numbers) == len({*numbers})
    subjects = [[file for file in item["subject"] if file["name"] != "metrics.json"] for item in receipts]
    return {number: json.dumps(files) for number, files in zip(numbers, subjects, strict=True)}


@pytest.mark.long
def test_cluster(engine: docker.DockerClient, clone: Path, make: Make) -> None:
    """Runs of a cluster are those of this machine, though a worker is killed and another has too little memory."""
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        port, free = taken.getsockname()[1], other.getsockname()[1]
        other.close()
        said = make("cluster", "WORKERS=1", f"DASHBOARD_PORT={port}", code=2).stderr
        assert "the cluster did not start" in said
        assert f"port {port} taken?" in said
    assert "WORKERS=no; expected a number" in make("cluster", "WORKERS=no", code=2).stderr
    assert "MEMORY=2gb; expected a size" in make("cluster", "MEMORY=2gb", code=2).stderr
    make("cluster", "WORKERS=1", "MEMORY=1g", "CPUS=1", f"DASHBOARD_PORT={free}")
    key = (clone / ".samebook" / "cluster" / "key.pem").read_bytes()
    # Up already: only what differs changes.
    make("cluster", "WORKERS=2", "MEMORY=1g", "CPUS=1", f"DASHBOARD_PORT={free}")
    assert (clone / ".samebook" / "cluster" / "key.pem").read_bytes() == key
    assert urllib.request.urlopen(f"http://127.0.0.1:{free}/info/main/workers.html", timeout=60).status == 200

    (scheduler,), workers = containers(engine, "scheduler"), containers(engine, "worker")
    assert [worker.attrs["Image"] for worker in workers] == [scheduler.attrs["Image"]] * 2
    published = {name: at for name, at in scheduler.ports.items() if at}
    assert published == {"8787/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(free)}]}
    assert [worker.ports for worker in workers if any(worker.ports.values())] == []

    assert "expected 3" in make("sweep", "NOTEBOOK=tiny", "GRID=n=1", "ON=dask", "JOBS=3", code=2).stderr
    sweep = subprocess.Popen(
        ["make", "sweep", "NOTEBOOK=tiny", "GRID=n=1,2,3,5", "ON=dask"],
        cwd=clone,
        env={**environ(), "SAMEBOOK_NUMERICS": "fast"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: results(clone) or sweep.poll() is not None)
    workers[0].exec_run(["python", "-c", KILL])
    stdout, stderr = sweep.communicate()
    assert "3 ran, 0 done already, 1 failed" in stdout, stderr
    assert "n=5: the kernel died" in stdout
    # Docker starts it again.
    workers[0].reload()
    assert workers[0].attrs["RestartCount"] == 1
    far = results(clone)
    assert sorted(far) == [1, 2, 3]
    measured = [json.loads(path.read_text()) for path in clone.glob("runs/*-tiny-*/metrics.json")]
    assert {(metrics["cores"], metrics["threads"]) for metrics in measured} == {(1.0, 1.0)}
    # The notebook is not committed: its patch went along.
    assert all(path.with_name("uncommitted.patch").is_file() for path in clone.glob("runs/*-tiny-*/receipt.json"))

    make("cluster-down")
    assert not (clone / ".samebook" / "cluster").exists()
    assert "this checkout has no cluster" in make("sweep", "NOTEBOOK=tiny", "GRID=n=7", "ON=dask", code=2).stderr
    shutil.rmtree(clone / "runs")
    make("sweep", "NOTEBOOK=tiny", "GRID=n=1,2,3")
    assert results(clone) == far


LEARNT = "as_of=2013-03-31 train_days=60 holdout_days=7 n_estimators=60"


@pytest.mark.long
def test_train(engine: docker.DockerClient, clone: Path, make: Make) -> None:
    """Two workers learn a model of the same bytes twice, though one is killed meanwhile, and one as good as that of a
    single machine; nobody but them has the cluster's key. A reproduction gets these bytes without the cluster.
    """
    make("cluster", "WORKERS=2", "MEMORY=1g", "DASHBOARD_PORT=0")

    def train(memory: str) -> list[str]:
        return ["run", "NOTEBOOK=train", f"PARAMS={LEARNT} memory={memory}"]

    make(*train("all"))
    make(*train("cluster"))
    process = subprocess.Popen(
        ["make", *train("cluster")], cwd=clone, env=environ(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: list(clone.glob("runs/.partial/*-train-*/.work/ranks-*/0")) or process.poll() is not None)
    containers(engine, "worker")[0].exec_run(["python", "-c", KILL])
    stderr = process.communicate()[1]
    assert process.returncode == 0, stderr
    assert "all 2 ranks start again" in stderr

    key = (clone / ".samebook" / "cluster" / "key.pem").read_text().splitlines()[1]
    here, *together = sorted(clone.glob("runs/*-train-*"))
    assert not [
        path for run in together for path in run.rglob("*") if path.is_file() and key.encode() in path.read_bytes()
    ]
    models = [(run / "outputs" / "model.ubj").read_bytes() for run in (here, *together)]
    assert models[1] == models[2] != models[0]
    logged = [
        json.loads((run / "receipt.json").read_text())["predicate"]["buildDefinition"]["internalParameters"]
        for run in together
    ]
    assert [facts["logged"]["ranks"] for facts in logged] == [2, 2]
    scores = [json.loads((run / "metrics.json").read_text())["auc"] for run in (here, *together)]
    assert abs(scores[0] - scores[1]) < 0.01

    make("cluster-down")
    said = make("reproduce", f"RUN={together[0].name}").stdout
    assert "IDENTICAL: 5 of 5 subjects" in said
