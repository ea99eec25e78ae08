"""Pods of Kubernetes' manifests, started by the engine as the manifests say: user, root, mounts, rights and limits."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import docker
import kubernetes_cluster
import pytest
import yaml
from containers import CHECKOUT, Start
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from docker.models.images import Image
from kubernetes_cluster import Ended, Pod
from pods import Node
from s3 import KEY, S3, TEXT
from tiny import Tiny, git

from samebook.cluster import indexed
from samebook.records import receipt, signing

IMAGE = f"registry.example.com/samebook@sha256:{'0' * 64}"
SECRETS = {"samebook-shared": {"S3_KEY": KEY, "S3_TEXT": TEXT}}
ON_THIS_MACHINE = {"network_mode": "host"}  # the bucket's server listens on loopback
LIMITS = ("--memory", "2Gi", "--cores", "1")
TIMED = 'schedule: {nightly: "0 4 * * *"}\n'
SIGNED = TIMED + "promotion: {signed: true, reproduced: true, gate: {notebook: judge, metric: auc}}\n"
NIGHTLY = """\
parameters: {day: today, model: level}
steps:
  work: {parameters: {day: $day}}
  judge: {needs: [work], parameters: {candidate: $work, champion: $model}}
"""
WORK = "import samebook\nsamebook.log_metric('auc', 0.7)\nsamebook.output_path('day.txt').write_text(day)"


@dataclass(frozen=True)
class Site:
    """A clone with a notebook of its own, its image, and the engine's way of starting pods."""

    tiny: Tiny
    image: Image
    start: Start

    def pods(self, folder: Path, *options: str) -> tuple[Node, dict[str, Any]]:
        """A node for the last of the manifests that these options render, and that one's pod."""
        ended = self.tiny.samebook("kubernetes", "render", "--image", IMAGE, *LIMITS, *options)
        assert ended.code == 0, ended.stderr
        *calls, job = yaml.safe_load_all(ended.stdout)
        maps = {each["metadata"]["name"]: each["data"] for each in calls}
        spec = job["spec"].get("jobTemplate", job)["spec"]["template"]["spec"]
        return Node(folder, {IMAGE: self.image}, maps), spec

    def run(self, node: Node, pod: dict[str, Any], index: int = 0) -> str:
        """What the pod's only container has printed; it must end well."""
        ((_, code, printed),) = node.run(self.start, pod, **{indexed.INDEX: str(index)})
        assert code == 0, printed
        return printed


@pytest.fixture(scope="module")
def image(engine: docker.DockerClient, runtime: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A clone with two notebooks of a nightly pipeline, and production's image with these: `samebook:runtime-pods`."""
    del runtime
    clone = tmp_path_factory.mktemp("pods") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
    tiny = Tiny(clone)
    tiny.notebook("work", parameters="day: str = ''", work=WORK)
    tiny.notebook("judge", parameters="candidate: str = ''\nchampion: str = ''", work="print(candidate)")
    (clone / "environments" / "pods.yml").write_text(TIMED)
    (clone / "environments" / "signed.yml").write_text(SIGNED)
    (clone / "environments" / "shared.yml").write_text(TIMED)
    (clone / "environments" / "pipelines" / "nightly.yml").write_text(NIGHTLY)
    _build(clone)
    yield clone
    engine.images.remove("samebook:runtime-pods", force=True)


def _build(clone: Path) -> None:
    lines = "FROM samebook:runtime\nCOPY notebooks/ notebooks/\nCOPY environments/ environments/\n"
    lines += f"ENV SAMEBOOK_COMMIT={git(Tiny(clone), 'rev-parse', 'HEAD')}\n"
    command = ["docker", "build", "--quiet", "--tag", "samebook:runtime-pods", "--file", "-", "."]
    subprocess.run(command, cwd=clone, input=lines, text=True, check=True, capture_output=True)


@pytest.fixture
def site(image: Path, engine: docker.DockerClient, start: Start) -> Site:
    return Site(Tiny(image), engine.images.get("samebook:runtime-pods"), start)


def statements(folder: Path) -> list[dict[str, Any]]:
    return [receipt.read(path) for path in sorted(folder.glob("runs/*Z-*/receipt.json"))]


def definitions(folder: Path) -> list[dict[str, Any]]:
    return [statement["predicate"]["buildDefinition"] for statement in statements(folder)]


@pytest.mark.long
def test_pods_of_a_sweep(site: Site, tmp_path: Path) -> None:
    """Each pod of an indexed Job makes the run of its index, and one that starts again makes none; the receipt names
    the image and the node.
    """
    node, pod = site.pods(tmp_path, "--notebook", "work", "--env", "pods", "--grid", "day=monday,tuesday")
    for index in (0, 1, 1):
        site.run(node, pod, index)
    found = definitions(tmp_path)
    assert [each["externalParameters"]["parameters"]["day"] for each in found] == ["monday", "tuesday"]
    assert {each["internalParameters"]["engine"] for each in found} == {"docker"}
    for statement, each in zip(statements(tmp_path), found, strict=True):
        assert IMAGE in {dependency.get("uri") for dependency in each["resolvedDependencies"]}
        assert statement["predicate"]["runDetails"]["builder"]["id"] == "urn:samebook:builder:node-1"


def test_pod_of_one_run(site: Site, tmp_path: Path) -> None:
    """The pod of a Job makes its run, and a second one takes it as it is."""
    node, pod = site.pods(tmp_path, "--notebook", "work", "--env", "pods", "-p", "day=monday")
    for _ in range(2):
        site.run(node, pod)
    (found,) = definitions(tmp_path)
    assert found["externalParameters"]["parameters"] == {"day": "monday"}


@pytest.mark.long
def test_pods_of_a_backfill(site: Site, tmp_path: Path) -> None:
    """Each pod runs the pipeline of its day, and one that starts again runs nothing."""
    node, pod = site.pods(tmp_path, "--name", "nightly", "--from", "2013-07-01", "--to", "2013-07-02", "--env", "pods")
    for index in (1, 0, 1):
        site.run(node, pod, index)
    days = [path.read_text() for path in tmp_path.glob("runs/*-work-*/outputs/day.txt")]
    assert sorted(days) == ["2013-07-01", "2013-07-02"]


def test_pod_of_a_schedule_signs(site: Site, tmp_path: Path) -> None:
    """The pod of a CronJob runs its pipeline; where the policy asks for signatures, by the key of its Secret, of which
    nothing is left.
    """
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    node, pod = site.pods(tmp_path, "--env", "signed")
    node.secrets = {"samebook-signed": {"RUN_KEY": private}}
    printed = site.run(node, pod)
    receipts = sorted(tmp_path.glob("runs/*Z-*/receipt.json"))
    assert [path.parent.name.split("-")[1] for path in receipts] == ["work", "judge"]
    for path in receipts:
        envelope = json.loads(path.with_name(path.name + signing.SUFFIX).read_text())
        assert len(envelope["signatures"]) == 1
    line = private.splitlines()[1]
    assert line not in printed
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and line.encode() in path.read_bytes()]


def _shared(site: Site, s3: S3) -> Image:
    """The image with an environment whose shared store is the bucket, as the clone has it in a commit."""
    shared = {**json.loads(s3.settings()), "schedule": {"nightly": "0 4 * * *"}}
    (site.tiny.root / "environments" / "shared.yml").write_text(json.dumps(shared))
    git(site.tiny, "add", "--all")
    git(site.tiny, "commit", "--quiet", "--message", "a shared store")
    _build(site.tiny.root)
    return site.image.client.images.get("samebook:runtime-pods")


@pytest.mark.long
def test_pod_of_a_shared_store(site: Site, s3: S3, tmp_path: Path) -> None:
    """The pod of a CronJob whose runs are in empty folders of its own sends them to the bucket: once a day."""
    node, pod = replace(site, image=_shared(site, s3)).pods(tmp_path, "--env", "shared")
    node.secrets, node.options = SECRETS, ON_THIS_MACHINE
    site.run(node, pod)
    assert len(statements(tmp_path)) == 2
    assert "done already" in site.run(node, pod)
    assert statements(tmp_path) == []  # its folders are empty when it starts, and it runs nothing
    brought = site.tiny.samebook("kubernetes", "results", "--env", "shared", S3_KEY=KEY, S3_TEXT=TEXT)
    assert "2 runs brought" in brought.stdout, brought.stderr
    builders = [each["predicate"]["runDetails"]["builder"]["id"] for each in statements(site.tiny.root)]
    assert builders == ["urn:samebook:builder:node-1"] * 2


@pytest.mark.long
def test_pods_that_a_sweep_sends(
    site: Site, s3: S3, kubectl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each pod of the Job that a sweep sends makes the run of its index, which comes back by the bucket."""
    image = _shared(site, s3)

    def kubelet(pod: Pod) -> Ended:
        (calls,) = (volume["configMap"]["name"] for volume in pod.spec["volumes"] if "configMap" in volume)
        (tmp_path / pod.env[indexed.INDEX]).mkdir()
        node = Node(tmp_path / pod.env[indexed.INDEX], {IMAGE: image}, {calls: pod.files}, SECRETS, ON_THIS_MACHINE)
        ((_, code, printed),) = node.run(site.start, pod.spec, **{indexed.INDEX: pod.env[indexed.INDEX]})
        return Ended(code, printed)

    before = {*site.tiny.runs}
    with kubernetes_cluster.serving(kubelet, SECRETS) as cluster:
        monkeypatch.setenv("PATH", str(kubectl), prepend=":")
        monkeypatch.setenv("KUBECONFIG", str(cluster.write_config(tmp_path / "kubeconfig")))
        days = ("--grid", "day=monday,tuesday", "--env", "shared")
        sent = ("sweep", "work", *days, "--on", "kubernetes", "--image", IMAGE, *LIMITS)
        ended = site.tiny.samebook(*sent, S3_KEY=KEY, S3_TEXT=TEXT)
    assert "2 ran, 0 done already, 0 failed" in ended.stdout, ended.stdout + ended.stderr
    assert sorted(index for _, index in cluster.started) == [0, 1]
    found = [receipt.read(run / "receipt.json")["predicate"] for run in {*site.tiny.runs} - before]
    values = [each["buildDefinition"]["externalParameters"]["parameters"]["day"] for each in found]
    assert sorted(values) == ["monday", "tuesday"]
    assert {each["runDetails"]["builder"]["id"] for each in found} == {"urn:samebook:builder:node-1"}
