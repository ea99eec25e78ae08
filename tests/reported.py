"""Runs that a test makes up for the report: their files, and receipts that are true of them."""

import base64
import json
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tiny import Tiny

from samebook.core.digest import json_bytes, sha256
from samebook.records import canonical, run_folder
from samebook.records.receipt import Json

HOSTILE = "<script>document.title='owned'</script>"
ENVIRONMENT = {"python": "3.13", "packages": {"click": "8.1.0 sha256:" + "a" * 64, "numpy": "2.5.5 sha256:" + "b" * 64}}


def png(shade: int) -> bytes:
    """A picture of one grey point."""
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes([0, shade]))),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def run(tiny: Tiny, run: str, metrics: dict[str, Any] | None = None, **facts: Any) -> Path:
    """A finished run. Of its `facts` (source of its one cell, shade of its picture, outputs, and what `receipt` takes)
    those that are not given are plain.
    """
    folder = tiny.root / "runs" / run
    (folder / "outputs").mkdir(parents=True)
    (folder / run_folder.METRICS).write_bytes(json_bytes(metrics or {}))
    picture = {"image/png": base64.b64encode(png(facts.get("shade", 0))).decode(), "text/plain": "<Figure>"}
    cell = {
        "cell_type": "code",
        "id": "a",
        "metadata": {"tags": ["work"]},
        "execution_count": 1,
        "source": facts.get("source", "x = 1"),
        "outputs": [
            {"output_type": "stream", "name": "stdout", "text": f"{metrics}\n"},
            {"output_type": "display_data", "metadata": {}, "data": picture},
        ],
    }
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    (folder / run_folder.NOTEBOOK).write_text(json.dumps(notebook))
    (folder / run_folder.CANONICAL).write_bytes(canonical.content(canonical.cells(notebook, str(tiny.root))))
    (folder / run_folder.PAGE).write_text("<h1>page</h1>")
    for name, value in facts.get("outputs", {}).items():
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        (folder / "outputs" / name).write_bytes(content)
    receipt(folder, **facts)
    return folder


def receipt(folder: Path, **facts: Any) -> None:
    """Write the receipt of the files in a run's folder: with this notebook, parameters, commit, dirty, inputs, makers
    and packages.
    """
    packages = {"packages": facts["packages"]} if "packages" in facts else {}
    environment = {**ENVIRONMENT, **packages}
    notes = {"dirty": facts.get("dirty", False)}
    inputs = facts.get("inputs", {}).items()
    name = facts.get("notebook", run_folder.notebook_name(folder.name))
    start = run_folder.start_time(folder.name).isoformat().replace("+00:00", "Z")
    byproducts: list[dict[str, Any]] = [described(folder, name) for name in (run_folder.NOTEBOOK, run_folder.PAGE)]
    if facts.get("makers"):
        byproducts.append({"name": "made by", "annotations": facts["makers"]})
    dependencies = [
        {"name": "commit", "digest": {"gitCommit": facts.get("commit", "c" * 40)}, "annotations": notes},
        {"name": "environment", "digest": {"sha256": sha256(json_bytes(environment))}, "annotations": environment},
        *({"name": name, "digest": {"sha256": of}, "annotations": {"input": True}} for name, of in inputs),
    ]
    parameters = facts.get("parameters", {})
    definition = {
        "buildType": "urn:samebook:run:v1",
        "externalParameters": {"notebook": f"notebooks/{name}.ipynb", "parameters": parameters, "env": "dev"},
        "internalParameters": {"engine": "local", "platform": "linux/x86_64"},
        "resolvedDependencies": dependencies,
    }
    details = {
        "builder": {"id": "urn:samebook:builder:here"},
        "metadata": {"invocationId": folder.name, "startedOn": start, "finishedOn": start.replace("Z", ".5Z")},
        "byproducts": byproducts,
    }
    outputs = (f"outputs/{name}" for name in facts.get("outputs", {}))
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [described(folder, name) for name in (run_folder.METRICS, run_folder.CANONICAL, *outputs)],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {"buildDefinition": definition, "runDetails": details},
    }
    (folder / run_folder.RECEIPT).write_bytes(json_bytes(statement))


def described(folder: Path, name: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": sha256(folder / name)}}


def rewritten(run: Path, change: Callable[[Json], object]) -> None:
    """Change the statement of a receipt."""
    statement = json.loads((run / "receipt.json").read_bytes())
    change(statement)
    (run / "receipt.json").write_bytes(json_bytes(statement))


def failed(tiny: Tiny, run: str, error: str) -> Path:
    """A failed run."""
    folder = tiny.root / "runs" / run
    folder.mkdir(parents=True)
    (folder / run_folder.ERROR).write_text(error)
    return folder


def data(site: Path, name: str) -> Any:
    """What a script of the site hands to its page."""
    text = (site / "data" / f"{name}.js").read_text()
    return json.loads(f"[{text.removeprefix('samebook.add(').removesuffix(');\n')}]")[1]


def rows(site: Path) -> dict[str, dict[str, Any]]:
    """The rows of the table of runs, by id."""
    index = data(site, "index")
    found = [dict(zip(index["columns"], row, strict=True)) for row in index["rows"]]
    return {row["id"]: row for row in found}
