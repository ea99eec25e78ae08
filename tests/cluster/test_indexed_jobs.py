"""Sweeps and backfills in pods of Kubernetes: sent by kubectl, each call run once, results back by the shared store.

kubectl and the S3 are real; the API server is a stand-in, and pods are processes in a copy of the committed files.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import kubernetes_cluster
import pytest
from kubernetes_cluster import Cluster, Ended
from kubernetes_pods import IMAGE, WORK, Pods, commit
from promoting import stderr_of
from s3 import KEY, S3, TEXT, free_ports
from tiny import HELD, PATIENCE, Result, Tiny, git, wait_until

pytestmark = pytest.mark.host  # kubectl is brought from the package index, and the S3 is not in the image

PIPELINE = "parameters: {day: null}\nsteps: {work: {notebook: train, parameters: {n: 1}}}\n"


@pytest.fixture
def pods(tmp_path: Path) -> Pods:
    return Pods(tmp_path)


@pytest.fixture
def cluster(pods: Pods) -> Iterator[Cluster]:
    with kubernetes_cluster.serving(pods, {"samebook-dev": {"S3_KEY": KEY, "S3_TEXT": TEXT}}) as cluster:
        yield cluster


@pytest.fixture
def tiny(tiny: Tiny, s3: S3, cluster: Cluster, kubectl: Path, monkeypatch: pytest.MonkeyPatch) -> Tiny:
    """A workspace with a shared store, whose kubectl knows the cluster; nothing in it is uncommitted."""
    monkeypatch.setenv("PATH", str(kubectl), prepend=":")
    monkeypatch.setenv("KUBECONFIG", str(cluster.write_config(tiny.root.parent / "kubeconfig")))
    (tiny.root / "environments" / "dev.yml").write_text(s3.settings())
    (tiny.root / "environments" / "pipelines").mkdir()
    (tiny.root / "environments" / "pipelines" / "daily.yml").write_text(PIPELINE)
    return tiny


def sweep(tiny: Tiny, grid: str, *options: str, image: str = IMAGE) -> Result:
    return tiny.samebook("sweep", "train", "--grid", grid, "--on", "kubernetes", "--image", image, *options)


def subjects(tiny: Tiny) -> list[tuple[int, str]]:
    """The value of `n` of each finished run here, with its subjects; sorted."""
    receipts = [json.loads(path.read_text()) for path in tiny.root.glob("runs/[0-9]*/receipt.json")]
    values = (item["predicate"]["buildDefinition"]["externalParameters"]["parameters"]["n"] for item in receipts)
    return sorted((n, json.dumps(item["subject"])) for n, item in zip(values, receipts, strict=True))


def test_same_as_here(tiny: Tiny, cluster: Cluster, pods: Pods, tmp_path: Path) -> None:
    """Runs of pods have the subjects of a sweep here; what is done is not run again, from any checkout; a failed set
    stops no other, and is told in the words of its notebook.
    """
    commit(tiny, pods, f"{WORK}\nassert n != 13, 'unlucky'")
    done = sweep(tiny, "n=1,2,13", "--jobs", "2")
    assert done.code == 1, done.stderr
    assert "2 ran, 0 done already, 1 failed" in done.stdout
    assert "AssertionError: unlucky" in done.stdout
    assert sorted(index for _, index in cluster.started) == [0, 1, 2]
    assert cluster.objects["jobs"].keys() == cluster.objects["configmaps"].keys()
    assert sweep(tiny, "n=1,2").code == 0
    assert len(cluster.started) == 3
    for run in tiny.runs:
        assert tiny.samebook("verify", run.name).code == 0
    other = tmp_path / "other"
    subprocess.run(["git", "clone", "--quiet", str(tiny.root), str(other)], check=True)
    again = sweep(Tiny(other), "n=1,2")
    assert again.code == 0, again.stderr
    assert len(cluster.started) == 3
    git(tiny, "worktree", "add", "--quiet", str(tmp_path / "here"))
    here = Tiny(tmp_path / "here")
    assert here.samebook("sweep", "train", "--grid", "n=1,2").code == 0
    assert subjects(tiny) == subjects(Tiny(other)) == subjects(here)


def test_backfill(tiny: Tiny, cluster: Cluster, pods: Pods) -> None:
    """A backfill has an index for each day, whose runs come here; the second one finds them done."""
    commit(tiny, pods)
    call = ("backfill", "daily", "--from", "2013-07-01", "--to", "2013-07-02", "--on", "kubernetes", "--image", IMAGE)
    done = tiny.samebook(*call)
    assert done.code == 0, done.stderr
    assert "2 ran, 0 done already, 0 failed" in done.stdout
    assert len(tiny.runs) == 2
    assert "0 ran, 2 done already, 0 failed" in tiny.samebook(*call).stdout
    assert len(cluster.started) == 2


def test_cancelled(tiny: Tiny, cluster: Cluster, pods: Pods) -> None:
    """Ctrl-C deletes the Job, and its pods end; the same command again runs what was not done, and nothing else."""
    commit(tiny, pods, WORK + HELD.replace("../hold", str(tiny.root / "hold")))
    process = tiny.start("sweep", "train", "--grid", "n=1,2", "--on", "kubernetes", "--image", IMAGE, "--jobs", "1")
    wait_until(lambda: subjects(tiny))
    (tiny.root / "hold").touch()
    wait_until(lambda: len(cluster.started) == 2)
    process.send_signal(2)
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, stderr
    assert not any(cluster.objects.values())
    wait_until(lambda: len(pods.ended) == 2)
    (tiny.root / "hold").unlink()
    assert sweep(tiny, "n=1,2").code == 0
    assert [n for n, _ in subjects(tiny)] == [1, 2]
    assert len(cluster.started) == 3


@pytest.mark.parametrize("is_followed", [False, True])
def test_stopped_before_it_follows(tiny: Tiny, s3: S3, cluster: Cluster, pods: Pods, is_followed: bool) -> None:
    """A command that ends while it takes what is done deletes the Job that another one has left, and none that another
    one follows.
    """
    commit(tiny, pods, WORK + HELD.replace("../hold", str(tiny.root / "hold")))
    assert sweep(tiny, "n=1").code == 0
    (tiny.root / "hold").touch()
    process = tiny.start("sweep", "train", "--grid", "n=2", "--on", "kubernetes", "--image", IMAGE)
    wait_until(lambda: len(cluster.started) == 2)
    if not is_followed:
        process.kill()
        process.communicate(timeout=PATIENCE)
    shutil.rmtree(tiny.last)
    (damaged,) = (entry["path"] for entry in s3.bucket().list(f"{s3.prefix}/results/").collect())
    s3.bucket().put(damaged, json.dumps(["0" * 64]).encode())
    stopped = sweep(tiny, "n=1,2", "--on-failure", "stop")
    assert (stopped.code, "lacks 1 objects of a run" in stopped.stdout) == (1, True), stopped.stdout
    assert (cluster.started[1][0] in cluster.objects["jobs"]) is is_followed
    if is_followed:
        (tiny.root / "hold").unlink()
        _, stderr = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, stderr
    wait_until(lambda: len(pods.ended) == 2)


def test_left_running(tiny: Tiny, cluster: Cluster, pods: Pods) -> None:
    """What a killed command has left is followed by the same command again, and not sent twice."""
    commit(tiny, pods, WORK + HELD.replace("../hold", str(tiny.root / "hold")))
    (tiny.root / "hold").touch()
    process = tiny.start("sweep", "train", "--grid", "n=1,2", "--on", "kubernetes", "--image", IMAGE)
    wait_until(lambda: len(cluster.started) == 2)
    process.kill()
    process.communicate(timeout=PATIENCE)
    follower = tiny.start("sweep", "train", "--grid", "n=1,2", "--on", "kubernetes", "--image", IMAGE)
    (tiny.root / "hold").unlink()
    _, stderr = follower.communicate(timeout=PATIENCE)
    assert follower.returncode == 0, stderr
    assert len(cluster.started) == len(subjects(tiny)) == 2


def test_other_image(tiny: Tiny, pods: Pods) -> None:
    """An image of other code than the checkout's runs nothing: exit code 5 in the pod, once for each index."""
    commit(tiny, pods)
    (pods.image / "notebooks" / "helper.py").write_text("other = True\n")
    done = sweep(tiny, "n=1,2")
    assert done.code == 1
    assert "the image has another code beside the notebook than the checkout" in done.stdout
    assert [ended.code for ended in pods.ended] == [5, 5]


def test_planted_result(tiny: Tiny, s3: S3, cluster: Cluster, pods: Pods) -> None:
    """A result that stands for other parameters, as one that was planted does, is not taken."""
    commit(tiny, pods)
    assert sweep(tiny, "n=1,2").code == 0
    keys = sorted(entry["path"] for entry in s3.bucket().list(f"{s3.prefix}/results/").collect())
    contents = [bytes(s3.bucket().get(key).bytes()) for key in keys]
    s3.bucket().put(keys[0], contents[1])
    s3.bucket().put(keys[1], contents[0])
    shutil.rmtree(tiny.root / "runs")
    planted = sweep(tiny, "n=1,2")
    assert planted.code == 1
    assert "a run of other parameters" in planted.stdout
    assert len(cluster.started) == 2


def test_lack_of_memory(tiny: Tiny, cluster: Cluster, pods: Pods) -> None:
    """An index whose pods are ended at their limit is tried as often as the Job says, and then has failed."""
    commit(tiny, pods)
    cluster.kubelet = lambda _: Ended(137, "", "OOMKilled")
    done = sweep(tiny, "n=1")
    assert done.code == 1
    assert "3 pods were ended for lack of memory: again, with MEMORY=4Gi" in done.stdout
    assert len(cluster.started) == 3


def test_bad_input(tiny: Tiny, cluster: Cluster, pods: Pods, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What can't be sent is refused, with what to do, before any Job is made."""
    commit(tiny, pods)
    assert "by digest" in stderr_of(sweep(tiny, "n=1", image=""), 2)
    assert "has no digest" in stderr_of(sweep(tiny, "n=1", image="samebook:runtime"), 2)
    assert "is no quantity" in stderr_of(sweep(tiny, "n=1", "--memory", "2 GB"), 2)
    (tiny.root / "notebooks" / "helper.py").write_text("changed = True\n")
    assert "this checkout has changes: notebooks/helper.py" in stderr_of(sweep(tiny, "n=1"), 2)
    (tiny.root / "notebooks" / "helper.py").unlink()
    cluster.url = f"http://127.0.0.1:{free_ports(1)[0]}"
    cluster.write_config(tmp_path / "kubeconfig")
    assert "kubectl get has failed" in stderr_of(sweep(tiny, "n=1"), 2)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(shutil.which("git") or "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert "there is no kubectl here" in stderr_of(sweep(tiny, "n=1"), 2)
    assert cluster.objects["jobs"] == {}


def test_job_deleted(tiny: Tiny, cluster: Cluster, pods: Pods) -> None:
    """A Job that somebody else deletes ends the command, which says so; the same one again goes on."""
    commit(tiny, pods, WORK + HELD.replace("../hold", str(tiny.root / "hold")))
    (tiny.root / "hold").touch()
    process = tiny.start("sweep", "train", "--grid", "n=1", "--on", "kubernetes", "--image", IMAGE)
    wait_until(lambda: cluster.started)
    cluster.delete("jobs", cluster.started[0][0])
    _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert "has been deleted before it was done" in stderr
    wait_until(lambda: pods.ended)
