"""Pods of Kubernetes' manifests, started by the engine as the manifests say: user, root, mounts, rights and limits."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_cluster
import pytest
import yaml
from containers import CHECKOUT, Start, output
from docker.models.containers import Container
from docker.models.images import Image
from kubernetes_cluster import Ended, Pod
from s3 import KEY, S3, TEXT
from test_run import SMALL
from tiny import Tiny

from samebook.cli.sweeps import SizeType
from samebook.cluster import indexed, kubernetes

IMAGE = f"registry.example.com/samebook@sha256:{'0' * 64}"


def run(
    start: Start, image: Image, pod: dict[str, Any], sources: dict[str, Path], env: Mapping[str, str], **options: Any
) -> Container:
    """The container of a pod, as its manifest says; `sources` are the folders of its volumes, by name."""
    (container,), rights = pod["containers"], pod["securityContext"]
    folders = {volume["name"] for volume in pod["volumes"] if "emptyDir" in volume}
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    volumes = {
        str(sources[name]): {"bind": mount["mountPath"], "mode": "ro" if mount.get("readOnly") else "rw"}
        for name, mount in mounts.items()
        if name not in folders
    }
    limits = container["resources"]["limits"]
    command = container.get("command", ["samebook"]) + container.get("args", [])
    return start(
        image,
        *command[1:],
        entrypoint=command[0],
        user=f"{rights['runAsUser']}:{rights['runAsGroup']}",
        read_only=container["securityContext"]["readOnlyRootFilesystem"],
        cap_drop=container["securityContext"]["capabilities"]["drop"],
        security_opt=["no-new-privileges"],
        tmpfs={mounts[name]["mountPath"]: "mode=1777" for name in folders},
        volumes=volumes,
        mem_limit=SizeType().convert(limits["memory"].removesuffix("i"), None, None),
        nano_cpus=int(limits["cpu"]) * 10**9,
        environment=dict(env),
        **options,
    )


def folder(path: Path) -> Path:
    """A new folder that belongs to the user of pods."""
    path.mkdir()
    os.chown(path, kubernetes.USER, kubernetes.USER)
    return path


def test_pods_of_a_sweep(runtime: Image, start: Start, tiny: Tiny, tmp_path: Path) -> None:
    """Each pod of an indexed Job makes the run of its index, and one that starts again makes none."""
    options = ("--notebook", "train", *SMALL[:-2], "--grid", "n_estimators=5,6", "--memory", "2Gi", "--cores", "1")
    rendered = tiny.samebook(
        "kubernetes", "render", "--image", IMAGE, *options, SAMEBOOK_WORKSPACE=str(Path(__file__).parents[2])
    )
    assert rendered.code == 0, rendered.stderr
    calls, job = yaml.safe_load_all(rendered.stdout)
    pod = job["spec"]["template"]["spec"]
    sources = {name: folder(tmp_path / name) for name in (*kubernetes.VOLUMES, "calls")}
    (sources["calls"] / kubernetes.CALLS).write_text(calls["data"][kubernetes.CALLS])
    for index in (0, 1, 1):
        output(run(start, runtime, pod, sources, {indexed.INDEX: str(index)}))
    receipts = [json.loads(path.read_text()) for path in sorted(sources["runs"].glob("*-train-*/receipt.json"))]
    definitions = [statement["predicate"]["buildDefinition"] for statement in receipts]
    parameters = [definition["externalParameters"]["parameters"]["n_estimators"] for definition in definitions]
    assert parameters == [5, 6]
    assert {definition["internalParameters"]["engine"] for definition in definitions} == {"docker"}


def test_sweep_through_the_store(
    runtime: Image, start: Start, s3: S3, kubectl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers of pods without a volume for runs or store send what they make to the S3; a sweep brings it here, and
    one in another checkout finds it there.
    """
    containers: list[Container] = []
    sources = {"data": folder(tmp_path / "data"), "calls": folder(tmp_path / "calls")}

    def kubelet(pod: Pod) -> Ended:
        for name, text in pod.files.items():
            (sources["calls"] / name).write_text(text)
        # The S3 of tests listens on loopback alone.
        containers.append(run(start, runtime, pod.spec, sources, pod.env, network_mode="host"))
        return Ended(containers[-1].wait()["StatusCode"], containers[-1].logs().decode())

    store = {"URL": s3.url, "ENDPOINT": s3.endpoint, "ACCESS_KEY": "S3_KEY", "SECRET_KEY": "S3_TEXT"}
    variables = {f"SAMEBOOK_STORE__{name}": text for name, text in store.items()}
    monkeypatch.setenv("PATH", str(kubectl), prepend=":")
    options = ("--on", "kubernetes", "--image", IMAGE, "--memory", "2Gi", "--cores", "1", "--jobs", "1")
    with kubernetes_cluster.serving(kubelet, {"samebook-dev": {"S3_KEY": KEY, "S3_TEXT": TEXT}}) as cluster:
        monkeypatch.setenv("KUBECONFIG", str(cluster.write_config(tmp_path / "kubeconfig")))
        for name in ("one", "other"):
            clone = tmp_path / name
            subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
            grid = ("--grid", "n_estimators=5,6")
            done = Tiny(clone).samebook("sweep", "train", *SMALL[:-2], *grid, *options, **variables)
            assert done.code == 0, done.stdout + done.stderr
            receipts = [json.loads(path.read_text()) for path in clone.glob("runs/*-train-*/receipt.json")]
            definitions = [statement["predicate"]["buildDefinition"] for statement in receipts]
            assert {each["internalParameters"]["engine"] for each in definitions} == {"docker"}
            parameters = sorted(each["externalParameters"]["parameters"]["n_estimators"] for each in definitions)
            assert parameters == [5, 6]
            assert len(containers) == 2
