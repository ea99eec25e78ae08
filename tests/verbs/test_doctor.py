"""The doctor: what is pinned against what is here."""

import json
import socket
from dataclasses import replace
from pathlib import Path

from tiny import CHECKOUT, Tiny, image_python

from samebook.core.workspace import Workspace
from samebook.environment import identity
from samebook.verbs import doctor


def test_healthy_environment(tiny: Tiny) -> None:
    """In the lock's own environment the doctor lists every point, finds all packages as locked, and exits with 0."""
    ended = tiny.samebook("doctor")
    assert ended.code == 0, ended.stdout
    for what in (
        "engine",
        "base image",
        "operating system",
        "Python",
        "environment",
        "user",
        "disk",
        "port",
        "packages",
    ):
        assert f" {what}" in ended.stdout
    count = len(identity.locked_versions(Workspace(CHECKOUT)))
    assert f"{count} of {count} as locked" in ended.stdout


def test_other_versions_found(tiny: Tiny) -> None:
    """A package of another version or missing is named with both versions and what to do, and exits with 5."""
    lock = tiny.root / "environments" / "runtime.txt"
    lock.write_text(
        lock.read_text().replace("pandas==", "pandas==0.") + "no-such-package==1.0 \\\n    --hash=sha256:0\n"
    )
    ended = tiny.samebook("doctor")
    assert ended.code == 5
    assert "!! package pandas" in ended.stdout
    assert ["!!", "package", "no-such-package", "1.0", "missing"] in map(str.split, ended.stdout.splitlines())
    assert f"-> {identity.mend()}" in ended.stdout
    wrong = {entry["what"]: entry for entry in json.loads(tiny.samebook("doctor", "--json").stdout) if not entry["ok"]}
    assert wrong["package no-such-package"]["found"] == "missing"
    assert wrong["package pandas"]["pinned"] == f"0.{wrong['package pandas']['found']}"


def test_other_python_found(tiny: Tiny) -> None:
    """Another minor version of Python is a difference that changes results."""
    (tiny.root / ".python-version").write_text("3.9\n")
    finding = {entry.what: entry for entry in doctor.doctor(Workspace(tiny.root))}["Python"]
    assert (finding.ok, finding.changes_results, finding.pinned) == (False, True, "3.9.*")


def test_place_of_commands_told(tiny: Tiny, tmp_path: Path) -> None:
    """Which commands work beside the image is told where there is one, as make says it."""
    message = {"SAMEBOOK_BESIDE": "promote gc"}
    image = replace(tiny, python=image_python(tmp_path / "image"))
    assert "beside it: promote gc" in image.samebook("doctor", SAMEBOOK_ENGINE="docker", **message).stdout
    assert "all in this environment" in image.samebook("doctor", SAMEBOOK_ENGINE="local", **message).stdout


def test_taken_port_told(tiny: Tiny) -> None:
    """Whether Lab's port is taken is told, with how to use another."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        finding = {entry.what: entry for entry in doctor.doctor(Workspace(tiny.root), port)}["port for Lab"]
    assert finding.found == f"port {port} is taken"
    assert finding.mend == "make lab PORT=8889"


def test_unsigned_policy_told(tiny: Tiny) -> None:
    """A policy that counts reproductions without a signature is named, and is no difference."""
    path = tiny.root / "environments" / "prod.yml"
    for policy, is_told in (("{reproduced: true}", True), ("{reproduced: true, signed: true}", False), ("{}", False)):
        path.write_text(f"promotion: {policy}\n")
        findings = {finding.what: finding for finding in doctor.doctor(Workspace(tiny.root))}
        assert ("reproductions for prod" in findings) is is_told
        assert not is_told or findings["reproductions for prod"].ok
