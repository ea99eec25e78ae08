"""A schedule as a file for Airflow: the real Airflow imports it, and builds the containers and pods that it says."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny import CHECKOUT, Tiny

pytestmark = pytest.mark.host
UV = CHECKOUT / ".samebook" / "uv" / "bin" / "uv"
AIRFLOW = (
    *("--with", "apache-airflow==3.3.2"),
    *("--with", "apache-airflow-providers-docker==4.6.1"),
    *("--with", "apache-airflow-providers-cncf-kubernetes==10.25.0"),
)
IMAGE = f"registry.example.com/samebook@sha256:{'0' * 64}"
SETTINGS = 'schedule: {daily: "30 4 * * *", re-train_2: "0 5 1 * MON"}\nnotify: {webhook: HOOK}\n'
LOADED = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
found = {}
for folder in sys.argv[1:]:
    bag = DagBag(folder)
    found[folder] = {"errors": bag.import_errors, "dags": {}}
    for name, dag in bag.dags.items():
        (task,) = dag.tasks
        facts = {"line": dag.timetable.expression, "zone": str(dag.timezone)}
        facts |= {"most": dag.max_active_runs, "catchup": dag.catchup}
        if hasattr(task, "build_pod_request_obj"):
            pod = task.build_pod_request_obj()
            (container,) = pod.spec.containers
            facts |= {"image": container.image, "command": container.args}
            facts["user"] = pod.spec.security_context.run_as_user
            facts["env"] = {item.name: item.value for item in container.env}
        else:
            facts |= {"image": task.image, "command": task.command, "user": task.user, "env": task.environment}
            facts["mounts"] = {mount["Target"]: mount["Source"] for mount in task.mounts}
        found[folder]["dags"][name] = facts
print("FOUND", json.dumps(found))
"""
CLUSTER = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "none",
    "contexts": [{"name": "none", "context": {"cluster": "none", "user": "none"}}],
    "clusters": [{"name": "none", "cluster": {"server": "http://127.0.0.1:1"}}],
    "users": [{"name": "none", "user": {}}],
}


@pytest.fixture
def scheduled(tmp_path: Path) -> Tiny:
    """A workspace whose prod has two jobs, and a secret."""
    tiny = Tiny.create(tmp_path / "workspace")
    (tiny.root / "environments" / "prod.yml").write_text(SETTINGS)
    tiny.notebook("train", work="1")
    (tiny.root / "environments" / "pipelines").mkdir()
    for name in ("daily", "re-train_2"):
        (tiny.root / "environments" / "pipelines" / f"{name}.yml").write_text("steps: {train: {}}")
    return tiny


def loaded(folder: Path, *folders: Path) -> dict[str, Any]:
    """The DAGs that Airflow finds in folders, and its errors."""
    (folder / "cluster.json").write_text(json.dumps(CLUSTER))
    env = {**os.environ, "AIRFLOW_HOME": str(folder / "home"), "KUBECONFIG": str(folder / "cluster.json")}
    run = (UV, "run", "--quiet", "--no-project", "--python", sys.executable, *AIRFLOW, "python", "-c", LOADED)
    done = subprocess.run([*run, *folders], capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.rpartition("FOUND ")[2])


def test_airflow_reads_both_forms(scheduled: Tiny, tmp_path: Path) -> None:
    """Airflow imports the files without an error; each job is a DAG at its time in UTC, one run at a time, with the
    image by digest and the pipeline's command. No secret's text passes through Airflow.
    """
    folders = {form: tmp_path / form for form in ("airflow", "airflow-kubernetes")}
    for form, folder in folders.items():
        options = ("--as", form, "--image", IMAGE, "--into", str(folder))
        result = scheduled.samebook("schedule", "--env", "prod", *options, HOOK="canary-of-the-hook")
        assert result.code == 0, result.stderr
        assert "canary" not in (folder / "samebook-prod.py").read_text()
    found = loaded(tmp_path, *folders.values())
    for folder in map(str, folders.values()):
        assert found[folder]["errors"] == {}
        daily, retrain = (found[folder]["dags"][f"samebook-prod-{job}"] for job in ("daily", "re-train_2"))
        assert (daily["line"], retrain["line"], daily["zone"]) == ("30 4 * * *", "0 5 1 * 1", "UTC")
        assert (daily["most"], daily["catchup"], daily["image"]) == (1, False, IMAGE)
        assert daily["command"] == ["pipeline", "daily", "--env", "prod"]
        assert str(daily["user"]).startswith("1000")
        assert daily["env"]["SAMEBOOK_IMAGE"] == IMAGE
    containers = found[str(folders["airflow"])]["dags"]["samebook-prod-daily"]
    assert containers["mounts"]["/workspace/runs"] == "samebook-runs"
    assert containers["mounts"]["/run/secrets/HOOK"] == "/etc/samebook/prod/HOOK"


def test_refused_jobs(scheduled: Tiny) -> None:
    """An image without a digest, a job that promotes, and a model of another branch are refused: no image has git."""
    pipeline = scheduled.root / "environments" / "pipelines" / "daily.yml"
    prod = ("schedule", "--env", "prod", "--as", "airflow")
    result = scheduled.samebook(*prod, "--image", "samebook:runtime")
    assert (result.code, "has no digest" in result.stderr) == (2, True)
    pipeline.write_text("steps: {train: {}, p: {needs: [train], promote: {run: train, model: churn}}}")
    result = scheduled.samebook(*prod, "--image", IMAGE)
    assert (result.code, "it would be lost" in result.stderr) == (2, True)
    pipeline.write_text("parameters: {model: churn@prod}\nsteps: {train: {parameters: {model: '{model}'}}}")
    result = scheduled.samebook(*prod, "--image", IMAGE)
    assert result.code == 2, result.stderr
    assert "needs the git repository" in result.stderr
