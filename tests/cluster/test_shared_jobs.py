"""Manifests of jobs whose runs go to the shared store, where the settings name one: no claim for runs and store.

The S3 is real; pods are processes in a copy of the committed files.
"""

import copy
import json
import shutil
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kubernetes_cluster
import pytest
import yaml
from kubernetes_cluster import Pod
from kubernetes_pods import IMAGE, Pods, commit
from s3 import KEY, S3, TEXT
from tiny import Tiny, git

from samebook.cluster import indexed

pytestmark = pytest.mark.host  # the S3 is not in the image

PIPELINE = "parameters: {day: today}\nsteps: {work: {notebook: train, parameters: {n: 1}}}\n"


def run(pods: Pods, manifests: list[dict[str, Any]]) -> tuple[int, str]:
    """The exit code and the output of the pod of the last manifest."""
    job = manifests[-1]
    spec = job["spec"].get("jobTemplate", job)["spec"]["template"]["spec"]
    claims = [volume["name"] for volume in spec["volumes"] if "persistentVolumeClaim" in volume]
    assert claims == ["data"]
    (container,) = spec["containers"]
    env = {"S3_KEY": KEY, "S3_TEXT": TEXT, "SAMEBOOK_IMAGE": IMAGE, indexed.INDEX: "0"}
    of_pod = {"NODE_NAME", "SAMEBOOK_BUILDER", *({"JOB_NAME"} if job["kind"] == "CronJob" else ())}
    assert {item["name"] for item in container["env"]} == {*env, *of_pod} - {indexed.INDEX}
    files = manifests[0].get("data", {})
    ended = pods(Pod(spec, files, env, threading.Event()))
    return ended.code, ended.log


def rendered(tiny: Tiny, *options: str) -> list[dict[str, Any]]:
    ended = tiny.samebook("kubernetes", "render", "--image", IMAGE, *options)
    assert ended.code == 0, ended.stderr
    return list(yaml.safe_load_all(ended.stdout))


def test_runs_come_back(tiny: Tiny, s3: S3, kubectl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduled job sends its runs, and once a day; `results` brings them, a sweep on Kubernetes takes the run of a
    Job that was applied, and neither takes what other code has made.
    """
    pods = Pods(tmp_path)
    settings = {**json.loads(s3.settings()), "schedule": {"daily": "30 4 * * *"}}
    (tiny.root / "environments" / "dev.yml").write_text(json.dumps(settings))
    (tiny.root / "environments" / "pipelines").mkdir()
    (tiny.root / "environments" / "pipelines" / "daily.yml").write_text(PIPELINE)
    commit(tiny, pods)
    scheduled = rendered(tiny)
    assert run(pods, scheduled)[0] == 0
    assert run(pods, scheduled) == (0, "done already: its result is in the shared store\n")
    # A pod that promotes starts again where its push has failed: its runs are there, and its promotion is not.
    shutil.copytree(tiny.root / ".git", pods.image / ".git")
    promoting = copy.deepcopy(scheduled)
    pod = promoting[-1]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    pod["containers"][0]["args"] += ["--promotions", str(tmp_path / "promotion.bundle")]
    code, printed = run(pods, promoting)
    assert (code, "done already" in printed) == (0, False), printed
    shutil.rmtree(pods.image / ".git")
    assert run(pods, rendered(tiny, "--notebook", "train", "-p", "n=3"))[0] == 0
    assert tiny.samebook("kubernetes", "results").stdout.endswith(
        "2 runs brought; 0 results are of other code than this checkout's\n"
    )
    receipts = [json.loads((path / "receipt.json").read_text()) for path in tiny.runs]
    values = [item["predicate"]["buildDefinition"]["externalParameters"]["parameters"]["n"] for item in receipts]
    assert sorted(values) == [1, 3]
    for path in tiny.runs:
        assert tiny.samebook("verify", path.name).code == 0
    assert "0 runs brought" in tiny.samebook("kubernetes", "results").stdout

    shutil.rmtree(tiny.root / "runs")
    monkeypatch.setenv("PATH", str(kubectl), prepend=":")
    with kubernetes_cluster.serving(pods, {}) as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.write_config(tmp_path / "kubeconfig")))
        sweep = ("sweep", "train", "--grid", "n=3", "--on", "kubernetes", "--image", IMAGE)
        assert tiny.samebook(*sweep).code == 0
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        days = ("--from", today, "--to", today, "--on", "kubernetes", "--image", IMAGE)
        assert tiny.samebook("backfill", "daily", *days).code == 0
        assert (len(tiny.runs), cluster.started) == (2, [])

    shutil.rmtree(tiny.root / "runs")
    (tiny.root / "notebooks" / "helper.py").write_text("other = True\n")
    git(tiny, "add", "--all")
    git(tiny, "commit", "--quiet", "--message", "other")
    ended = tiny.samebook("kubernetes", "results")
    assert ended.stdout.endswith("0 runs brought; 2 results are of other code than this checkout's\n")
    assert run(pods, rendered(tiny, "--notebook", "train", "-p", "n=4"))[0] == 5
