"""A pod that clones from an SSH server, promotes and pushes there, started by the engine as its manifest says."""

import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest
import yaml
from containers import CHECKOUT, NOBODY, Start, base, make
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from docker.models.images import Image
from pods import Node
from tiny import Tiny, wait_until

IMAGE = f"registry.example.com/samebook@sha256:{'0' * 64}"
# Dropbear is another SSH server than the client's own house has, and needs no key from its package.
PACKAGES = "git openssh-client dropbear-bin"
DOCKERFILE = """
FROM samebook:runtime
USER root
RUN --mount=type=bind,source=environments,target=/build/environments /build/environments/image/install system
USER 1000:1000
"""
PIPELINE = "steps: {fit: {}, promote: {needs: [fit], promote: {run: $fit, model: level}}}\n"
SETTINGS = 'schedule: {weekly: "0 5 * * 1"}\nstore: {}\n'
# What a notebook could look for, and what it could leave for the container that has the writing key.
FIT = """
import os, pathlib, samebook
assert not any(pathlib.Path("/etc").glob("samebook-*"))
assert "PRIVATE KEY" not in str(os.environ)
assert not any(os.access(f"../{folder}", os.W_OK) for folder in ("scripts", "scripts/samebook", "notebooks"))
pathlib.Path("../.git/config").open("a").write('[core]\\n\\tsshCommand = "touch /tmp/stolen; false"\\n')
samebook.output_path("level.txt").write_text("3")
samebook.log_metric("auc", 0.7)
"""


@pytest.fixture(scope="module")
def image(engine: docker.DockerClient, runtime: Image, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """Production's image with git and ssh, as `make add` brings them."""
    del runtime
    clone = tmp_path_factory.mktemp("image") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
    make("add", APT=PACKAGES, ENGINE="docker", BASE_IMAGE=base(), cwd=clone)
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", "samebook:runtime-git", "--file", "-", "."],
        cwd=clone, input=DOCKERFILE, text=True, check=True,
    )  # fmt: skip
    yield engine.images.get("samebook:runtime-git")
    engine.images.remove("samebook:runtime-git", force=True)


def pair() -> tuple[str, str]:
    """A private and a public key."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


@dataclass(frozen=True)
class Server:
    """A git server: its repository and a checkout of that, its address and its line for known_hosts, and two keys."""

    bare: Path
    checkout: Path
    address: str
    known_hosts: str
    reading: str
    writing: str

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@b", *arguments]
        return subprocess.run(command, cwd=self.checkout, check=True, capture_output=True, text=True).stdout.strip()

    def branches(self) -> list[str]:
        return self.git("--git-dir", str(self.bare), "for-each-ref", "--format=%(refname)").splitlines()

    def secrets(self, **other: str) -> dict[str, dict[str, str]]:
        """The Secrets of both keys; `reading` and `known_hosts` may be others."""
        hosts, reading = other.get("known_hosts", self.known_hosts), other.get("reading", self.reading)
        keys = {"samebook-pods-git-key": reading, "samebook-pods-git-writing-key": self.writing}
        return {name: {"ssh-privatekey": key, "known_hosts": hosts} for name, key in keys.items()}


@pytest.fixture
def server(image: Image, start: Start, tmp_path: Path) -> Server:
    """A server with a clone of this repository, in which a pipeline promotes; one of its keys may read alone."""
    home, checkout = tmp_path / "home", tmp_path / "checkout"
    (home / ".ssh").mkdir(parents=True)
    (reading, public), (writing, public_writing) = pair(), pair()
    forced = 'command="git-upload-pack /home/git/flights.git",restrict'
    (home / ".ssh" / "authorized_keys").write_text(f"{forced} {public}\n{public_writing}\n")
    (tmp_path / "passwd").write_text(f"git:x:{NOBODY}:{NOBODY}::/home/git:/bin/sh\n")
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(checkout)], check=True)
    tiny = Tiny(checkout)
    tiny.notebook("fit", work=FIT)
    (checkout / "environments" / "pods.yml").write_text(SETTINGS)
    (checkout / "environments" / "pipelines" / "weekly.yml").write_text(PIPELINE)
    (home / ".ssh").chmod(0o700)
    command = "dropbearkey -t ed25519 -f /tmp/host.key && exec dropbear -F -E -s -p 2222 -r /tmp/host.key"
    bare = home / "flights.git"
    local = Server(bare, checkout, "", "", reading, writing)
    local.git("switch", "--quiet", "--create", "main-of-pods")
    local.git("add", "--all")
    local.git("commit", "--quiet", "--message", "weekly")
    subprocess.run(["git", "clone", "--quiet", "--bare", str(checkout), str(bare)], check=True)
    for path in (home, *home.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    mounts = [f"{home}:/home/git:rw", f"{tmp_path / 'passwd'}:/etc/passwd:ro"]
    container = start(image, "-c", command, entrypoint="sh", volumes=mounts)
    wait_until(lambda: b"Not backgrounding" in container.logs())
    container.reload()
    host = next(iter(container.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
    public_host = next(line for line in container.logs().decode().splitlines() if line.startswith("ssh-ed25519 "))
    address = f"ssh://git@{host}:2222/home/git/flights.git"
    return Server(bare, checkout, address, f"[{host}]:2222 {public_host}\n", reading, writing)


def rendered(server: Server) -> tuple[dict[str, dict[str, str]], dict[str, Any]]:
    """The ConfigMap's files, by its name, and the pod of the job that promotes."""
    ended = Tiny(server.checkout).samebook(
        *("kubernetes", "render", "--image", IMAGE, "--env", "pods", "--repository", server.address),
        *("--memory", "2Gi", "--cores", "1"),
    )
    assert ended.code == 0, ended.stderr
    assert "PRIVATE KEY" not in ended.stdout
    script, job = yaml.safe_load_all(ended.stdout)
    return {script["metadata"]["name"]: script["data"]}, job["spec"]["jobTemplate"]["spec"]["template"]["spec"]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_promotion_is_pushed(image: Image, server: Server, start: Start, tmp_path: Path) -> None:
    """The commit is cloned, a run in it is promoted, and that commit alone comes on a branch of the pod's name; the
    notebook meets no key, and what it leaves in the clone is not run where one is. A commit that changes more than
    models/ is not pushed, and wrong keys, hosts and commits are told.
    """
    script, pod = rendered(server)
    before = server.branches()
    node = Node(tmp_path / "node", {IMAGE: image}, script, server.secrets())
    node.folder.mkdir()
    ended = list(node.run(start, pod, SAMEBOOK_COMMIT=server.git("rev-parse", "HEAD")))  # as a released image has it
    assert [(name, code) for name, code, _ in ended] == [("clone", 0), ("samebook", 0), ("push", 0)], ended
    assert not any("PRIVATE KEY" in printed for _, _, printed in ended)
    assert "promoted on branch weekly-1, to be reviewed and merged" in ended[-1][2]
    assert not (node.folder / "push-tmp" / "stolen").exists()
    assert sorted(server.branches()) == sorted([*before, "refs/heads/weekly-1"])
    change = ("diff", "--name-status", server.git("rev-parse", "HEAD"), "weekly-1")
    assert server.git("--git-dir", str(server.bare), *change) == "A\tmodels/level.json"
    (receipt,) = (node.folder / "runs").glob("*-fit-*/receipt.json")
    assert '"dirty": false' in receipt.read_text()

    (server.checkout / "README.md").write_text("mine\n")
    server.git("commit", "--quiet", "--all", "--message", "more")
    bundle = node.folder / "handed" / "promotion.bundle"
    server.git("bundle", "create", "--quiet", str(tmp_path / "promotion.bundle"), "HEAD", "^HEAD^")
    pushing = {**pod, "initContainers": [], "volumes": [each for each in pod["volumes"] if each["name"] != "handed"]}
    pushing["volumes"].append({"name": "handed", "persistentVolumeClaim": {}})
    bundle.write_bytes((tmp_path / "promotion.bundle").read_bytes())
    ((_, code, printed),) = node.run(start, pushing)
    assert (code, printed.splitlines()[0]) == (
        2,
        "error: the job has committed README.md; only files of models/ may change, so nothing is pushed",
    )
    _, unpushed = rendered(server)
    stranger, (_, host) = pair()[0], pair()
    hosts = f"{server.known_hosts.split()[0]} {host}\n"
    for pod_of, secrets, message in (
        (unpushed, server.secrets(), "has no commit"),
        (pod, server.secrets(reading=stranger), "does not take the key in the secret samebook-pods-git-key"),
        (pod, server.secrets(known_hosts=hosts), "is on a host whose key is not in known_hosts"),
        (pod, server.secrets(known_hosts=""), "is on a host whose key is not in known_hosts"),
    ):
        node.secrets = secrets
        (name, code, printed), *others = node.run(start, pod_of)
        assert (name, code, others) == ("clone", 2, [])
        assert message in printed.splitlines()[-2]
        assert printed.splitlines()[-1].startswith("  -> ")
    assert sorted(server.branches()) == sorted([*before, "refs/heads/weekly-1"])
