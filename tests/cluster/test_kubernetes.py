"""Manifests of Kubernetes: valid by the schemas of its API, each run once, and a pod without rights."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import kubernetes_cluster
import pytest
import yaml
from kubernetes_cluster import Ended
from promoting import stderr_of
from tiny import Tiny

from samebook.cluster import indexed, kubernetes
from samebook.cluster.frame import Frame
from samebook.cluster.repository import Repository
from samebook.core import cron
from samebook.pipelines.manifests import cron_jobs
from samebook.pipelines.timers import Jobs

IMAGE = f"registry.example.com/samebook@sha256:{'0' * 64}"
PIPELINE = "parameters: {day: null}\nsteps: {work: {parameters: {n: 1}}}\n"


@pytest.fixture
def prepared(tiny: Tiny) -> Tiny:
    """A workspace with a notebook, a pipeline and a schedule."""
    tiny.notebook("work", parameters="n: int = 0", work="print(n)")
    (tiny.root / "environments" / "pipelines").mkdir()
    (tiny.root / "environments" / "pipelines" / "daily.yml").write_text(PIPELINE)
    (tiny.root / "environments" / "dev.yml").write_text('schedule: {daily: "30 4 * * *"}\n')
    return tiny


def render(tiny: Tiny, *options: str) -> list[dict[str, Any]]:
    ended = tiny.samebook("kubernetes", "render", "--image", IMAGE, *options)
    assert ended.code == 0, ended.stderr
    return list(yaml.safe_load_all(ended.stdout))


def calls(manifests: list[dict[str, Any]]) -> list[list[str]]:
    return json.loads(manifests[0]["data"][kubernetes.CALLS])


@pytest.mark.host
def test_valid_by_the_schemas(prepared: Tiny, kubectl: Path, schemas: ModuleType) -> None:
    """What is written for a run, a sweep, a backfill and the schedule, also where a job clones, promotes and pushes, is
    valid in three versions of the API, and kubectl takes it.
    """
    limits = ("--memory", "2Gi", "--cores", "2")
    manifests = [
        *render(prepared, "--notebook", "work", "-p", "n=3", *limits),
        *render(prepared, "--notebook", "work", "--grid", "n=1,2", *limits),
        *render(prepared, "--name", "daily", "--from", "2013-07-01", "--to", "2013-07-03"),
        *render(prepared, *limits),
    ]
    frame = Frame("dev", IMAGE, ("API_TOKEN",), "2Gi", "2", is_shared=True, variables=(("SAMEBOOK_THREADS", "2"),))
    manifests += [kubernetes.calls_map("a", "{}", 2), kubernetes.job_of_calls(frame, "a", 2, 2, kubernetes.SENT)]
    repository = Repository("ssh://git@git.example.com/a.git", "0" * 40, is_written=True)
    written = replace(frame, is_shared=False, signing_key="RUN_KEY", repository=repository)
    jobs = Jobs(prepared.root, "dev", {"promoting": cron.parse("0 5 * * 1")})
    manifests += yaml.safe_load_all(cron_jobs(jobs, {"promoting": written})["samebook-dev.yaml"])
    kinds = ["Job", "ConfigMap", "Job", "ConfigMap", "Job", "CronJob", "ConfigMap", "Job", "ConfigMap", "CronJob"]
    assert [manifest["kind"] for manifest in manifests] == kinds
    schemas.check(manifests)
    with kubernetes_cluster.serving(lambda _: Ended(0, ""), {}) as cluster:
        config = cluster.write_config(prepared.root / "kubeconfig")
        apply = [kubectl / "kubectl", "--kubeconfig", config, "apply", "--dry-run=client", "--filename", "-"]
        text = yaml.safe_dump_all(manifests)
        done = subprocess.run(apply, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.count("created (dry run)") == len(kinds)
        assert not any(cluster.objects.values())


def test_sweep_is_one_job(prepared: Tiny) -> None:
    """A sweep is a Job with an index for each set, which tries again what was evicted, and not what is wrong."""
    manifests = render(prepared, "--notebook", "work", "--grid", "n=1,2,3", "--jobs", "2", "--timeout", "5")
    tail = ["--env", "dev", "--timeout", "5", "--reuse"]
    assert calls(manifests) == [["run", "work", "--params", f'{{"n": "{number}"}}', *tail] for number in (1, 2, 3)]
    spec = manifests[1]["spec"]
    assert (spec["completions"], spec["parallelism"], spec["completionMode"]) == (3, 2, "Indexed")
    assert spec["podFailurePolicy"]["rules"][1]["action"] == "FailIndex"
    assert manifests[0]["metadata"] == manifests[1]["metadata"]
    again = render(prepared, "--notebook", "work", "--grid", "n=1,2,3")
    other = render(prepared, "--notebook", "work", "--grid", "n=1,2,4")
    assert again[0]["metadata"]["name"] != other[0]["metadata"]["name"]


def test_backfill_has_an_index_for_each_day(prepared: Tiny) -> None:
    """A backfill calls the pipeline for each day of its span."""
    manifests = render(prepared, "--name", "daily", "--from", "2013-07-01", "--to", "2013-07-02")
    assert [json.loads(call[3]) for call in calls(manifests)] == [{"day": "2013-07-01"}, {"day": "2013-07-02"}]


def test_pod_becomes_its_call(prepared: Tiny, tmp_path: Path) -> None:
    """The program of a pod is samebook with the arguments that stand at its index; done runs are taken as they are."""
    (tmp_path / "calls.json").write_text(json.dumps(calls(render(prepared, "--notebook", "work", "--grid", "n=1,2"))))
    env = {**prepared.environ(), indexed.INDEX: "1"}
    command = [sys.executable, "-m", "samebook.cluster.indexed", str(tmp_path / "calls.json")]
    for _ in range(2):
        subprocess.run(command, cwd=prepared.root, env=env, check=True, capture_output=True)
    statement = json.loads((prepared.last / "receipt.json").read_text())
    assert statement["predicate"]["buildDefinition"]["externalParameters"]["parameters"] == {"n": 2}
    assert len(prepared.runs) == 1


def test_pod_has_no_rights() -> None:
    """A pod runs as a user without rights, on a read-only root, with secrets by reference."""
    frame = Frame("dev", IMAGE, ("API_TOKEN",), "1Gi", "1")
    pod = kubernetes.pod(frame, {"args": ["run", "work"]}, calls="a")
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] is container["securityContext"]["readOnlyRootFilesystem"] is True
    variables = {variable["name"]: variable for variable in container["env"]}
    assert variables["API_TOKEN"]["valueFrom"] == {"secretKeyRef": {"name": "samebook-dev", "key": "API_TOKEN"}}
    assert variables["SAMEBOOK_IMAGE"]["value"] == IMAGE
    assert variables["SAMEBOOK_BUILDER"]["value"] == "urn:samebook:builder:$(NODE_NAME)"
    assert container["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}
    assert {volume["name"] for volume in pod["volumes"]} == {mount["name"] for mount in container["volumeMounts"]}
    assert next(mount for mount in container["volumeMounts"] if mount["name"] == "calls")["readOnly"] is True


def test_shared_pod_has_folders_of_its_own() -> None:
    """Where results go to the shared store, a pod's runs and store are empty folders; only data is a claim's."""
    frame = Frame("dev", IMAGE, is_shared=True)
    volumes = kubernetes.pod(frame, {}, calls="a")["volumes"]
    assert [each["name"] for each in volumes if "persistentVolumeClaim" in each] == ["data"]
    assert {each["name"] for each in volumes if "emptyDir" in each} == {"runs", "store", "tmp"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--image", "samebook:runtime", "--notebook", "work"], "has no digest"),
        (["--image", IMAGE, "--notebook", "work", "--memory", "2 GB"], "is no quantity of Kubernetes'"),
        (["--image", IMAGE, "--notebook", "work", "-p", "m=1"], "no parameter 'm'"),
        (["--image", IMAGE, "--notebook", "work", "--name", "daily"], "expected one of them"),
        (["--image", IMAGE, "--name", "daily"], "a backfill has a first and a last day"),
        (["--image", IMAGE, "--name", "daily", "--from", "2013-07-02", "--to", "2013-07-01"], "after the last"),
        (["--image", IMAGE, "--name", "dayly", "--from", "2013-07-01", "--to", "2013-07-01"], "dayly"),
    ],
)
def test_bad_input(prepared: Tiny, options: list[str], message: str) -> None:
    """What Kubernetes could not run, or would run as something else, is refused before anything is written."""
    assert message in stderr_of(prepared.samebook("kubernetes", "render", *options), 2)


def test_more_than_a_config_map_holds() -> None:
    """More calls than a ConfigMap holds are refused with the number of bytes."""
    with pytest.raises(kubernetes.UsageError, match="a ConfigMap holds"):
        kubernetes.indexed_job(Frame("dev", IMAGE), "work", [["run", "x" * 1000]] * 1001, 2)
