"""Pods of Kubernetes' manifests, started by the engine as the manifests say: user, root, mounts, rights and limits."""

import json
import os
from pathlib import Path
from typing import Any

import yaml
from containers import Start, output
from docker.models.images import Image
from test_run import SMALL
from tiny import Tiny

from samebook.cli.sweeps import SizeType
from samebook.cluster import frame, indexed, kubernetes

IMAGE = f"registry.example.com/samebook@sha256:{'0' * 64}"


def started(start: Start, image: Image, pod: dict[str, Any], sources: dict[str, Path], index: int) -> str:
    """What a pod's container prints, once it has ended well; `sources` are the folders of its volumes, by name."""
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
    return output(
        start(
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
            environment={indexed.INDEX: str(index)},
        )
    )


def test_pods_of_a_sweep(runtime: Image, start: Start, tiny: Tiny, tmp_path: Path) -> None:
    """Each pod of an indexed Job makes the run of its index, and one that starts again makes none."""
    options = ("--notebook", "train", *SMALL[:-2], "--grid", "n_estimators=5,6", "--memory", "2Gi", "--cores", "1")
    rendered = tiny.samebook(
        "kubernetes", "render", "--image", IMAGE, *options, SAMEBOOK_WORKSPACE=str(Path(__file__).parents[2])
    )
    assert rendered.code == 0, rendered.stderr
    calls, job = yaml.safe_load_all(rendered.stdout)
    pod = job["spec"]["template"]["spec"]
    sources = {name: tmp_path / name for name in (*frame.VOLUMES, "calls")}
    for path in sources.values():
        path.mkdir()
        os.chown(path, kubernetes.USER, kubernetes.USER)
    (sources["calls"] / kubernetes.CALLS).write_text(calls["data"][kubernetes.CALLS])
    for index in (0, 1, 1):
        started(start, runtime, pod, sources, index)
    receipts = [json.loads(path.read_text()) for path in sorted(sources["runs"].glob("*-train-*/receipt.json"))]
    definitions = [statement["predicate"]["buildDefinition"] for statement in receipts]
    parameters = [definition["externalParameters"]["parameters"]["n_estimators"] for definition in definitions]
    assert parameters == [5, 6]
    assert {definition["internalParameters"]["engine"] for definition in definitions} == {"docker"}
