"""Pods of Kubernetes' manifests, started by the engine as the manifests say: user, root, mounts, rights and limits."""

import json
from pathlib import Path

import yaml
from containers import Start
from docker.models.images import Image
from pods import Node
from test_run import SMALL
from tiny import Tiny

from samebook.cluster import indexed

IMAGE = f"registry.example.com/samebook@sha256:{'0' * 64}"


def test_pods_of_a_sweep(runtime: Image, start: Start, tiny: Tiny, tmp_path: Path) -> None:
    """Each pod of an indexed Job makes the run of its index, and one that starts again makes none; the receipt names
    the image and the node.
    """
    options = ("--notebook", "train", *SMALL[:-2], "--grid", "n_estimators=5,6", "--memory", "2Gi", "--cores", "1")
    rendered = tiny.samebook(
        "kubernetes", "render", "--image", IMAGE, *options, SAMEBOOK_WORKSPACE=str(Path(__file__).parents[2])
    )
    assert rendered.code == 0, rendered.stderr
    calls, job = yaml.safe_load_all(rendered.stdout)
    node = Node(tmp_path, {IMAGE: runtime}, {calls["metadata"]["name"]: calls["data"]})
    for index in (0, 1, 1):
        ((_, code, printed),) = node.run(start, job["spec"]["template"]["spec"], **{indexed.INDEX: str(index)})
        assert code == 0, printed
    receipts = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("runs/*-train-*/receipt.json"))]
    definitions = [statement["predicate"]["buildDefinition"] for statement in receipts]
    parameters = [definition["externalParameters"]["parameters"]["n_estimators"] for definition in definitions]
    assert parameters == [5, 6]
    assert {definition["internalParameters"]["engine"] for definition in definitions} == {"docker"}
    for statement, definition in zip(receipts, definitions, strict=True):
        assert IMAGE in {dependency.get("uri") for dependency in definition["resolvedDependencies"]}
        assert statement["predicate"]["runDetails"]["builder"]["id"] == "urn:samebook:builder:node-1"
