"""Publishing to Debian's registry, with TLS and a password: what is pushed, what is committed, and what is refused."""

import base64
import hashlib
import http.server
import json
import os
import re
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import override

import docker as docker_sdk
import pytest
import yaml
from containers import CHECKOUT, base
from registry import WHO, Registry

from samebook.core.errors import SamebookError
from samebook.core.make import clean_environment
from samebook.release import docker

# A release image of a moment: `make publish` asks of a Dockerfile its two stages, and these.
DOCKERFILE = """\
ARG BASE_IMAGE
FROM scratch AS runtime
ARG BASE_IMAGE
ARG GIT_COMMIT=
ENV SAMEBOOK_COMMIT=${GIT_COMMIT} SAMEBOOK_BASE_IMAGE=${BASE_IMAGE}
COPY --chmod=755 environments environments
FROM runtime AS lab
COPY --chmod=755 .python-version /
"""
DIGEST = re.compile(r"@(sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class Clone:
    """A clone with an image of a moment, in which make is called as a person does."""

    folder: Path
    registry: Registry

    def git(self, *arguments: str) -> str:
        done = subprocess.run(("git", *arguments), cwd=self.folder, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def make(self, *words: str, config: Path | None = None) -> subprocess.CompletedProcess[str]:
        env = clean_environment() | {"DOCKER_CONFIG": str(config or self.registry.config), "BASE_IMAGE": base()}
        command = ("make", "--silent", *words, "ENGINE=local")
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, check=False)

    def publish(self, env: str, address: str = "", **options: str) -> subprocess.CompletedProcess[str]:
        words = [f"{name}={value}" for name, value in options.items()]
        return self.make("publish", f"ENV={env}", f"REGISTRY={address or self.registry.address}/team", *words)

    def published(self, env: str) -> dict[str, str]:
        text = self.git("show", f"HEAD:environments/{env}.yml")
        return yaml.safe_load(text).get("published", {})


@pytest.fixture
def clone(registry: Registry, tmp_path: Path) -> Clone:
    folder = tmp_path / "clone"
    subprocess.run(("git", "clone", "--quiet", str(CHECKOUT), str(folder)), check=True)
    made = Clone(folder, registry)
    made.git("checkout", "--quiet", "-B", "main")
    for name, value in {"user.name": "a", "user.email": "a@b.c"}.items():
        made.git("config", name, value)
    (folder / "Dockerfile").write_text(DOCKERFILE)
    made.git("commit", "--quiet", "--all", "--message", "an image of a moment")
    # It has the environment of this checkout, which none of its own files may be newer than.
    for name in (".venv", ".samebook/uv"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).symlink_to(CHECKOUT / name)
    for name in ("environments/lab.txt", "environments/build.txt", "scripts/pyproject.toml", ".python-version"):
        os.utime(folder / name, (0, 0))
    return made


def test_publication(clone: Clone, engine: docker_sdk.DockerClient) -> None:
    """The registry has both images by the digest that the commit names; prod gets those of preprod; nothing is said
    of who has logged in, and two at once are one.
    """
    commit = clone.git("rev-parse", "HEAD")
    with ThreadPoolExecutor() as pool:
        done = list(pool.map(clone.publish, ("preprod", "preprod")))
    assert [each.returncode for each in done] == [0, 0], [each.stderr for each in done]
    first = clone.published("preprod")
    assert first["commit"] == commit
    assert clone.git("rev-list", "--count", f"{commit}..HEAD") == "1"
    assert clone.publish("prod").returncode == 0
    assert clone.published("prod") == first
    assert clone.git("rev-list", "--count", f"{commit}..HEAD") == "2"
    for target in ("runtime", "lab"):
        assert first[target].startswith(f"{clone.registry.address}/team/samebook@sha256:")
        digest = first[target].rpartition("@")[2]
        image = engine.images.get(first[target])
        assert image.id == digest
        assert f"SAMEBOOK_COMMIT={commit}" in image.attrs["Config"]["Env"]
        blob = clone.registry.folder / "storage/docker/registry/v2/blobs/sha256" / digest[7:9] / digest[7:] / "data"
        assert json.loads(blob.read_bytes())["layers"]
        made = json.loads((clone.folder / "dist" / f"{target}-{digest[7:]}.provenance.json").read_bytes())
        assert made["subject"][0]["digest"] == {"sha256": digest[7:]}
        built = {each["name"]: each for each in made["predicate"]["buildDefinition"]["resolvedDependencies"]}
        assert built["commit"]["digest"] == {"gitCommit": commit}
        lock = (clone.folder / "environments" / "runtime.txt").read_bytes()
        assert built["environments/runtime.txt"]["digest"] == {"sha256": hashlib.sha256(lock).hexdigest()}
        assert built["base image"]["uri"] == base()
    told = [*(each.stdout + each.stderr for each in done), clone.git("log", "--patch", "-2"), str(image.attrs)]
    assert not any(WHO["REGISTRY_PASSWORD"] in text for text in told)
    (clone.folder / "environments" / "variables.env").write_text("A=1\n")
    clone.git("commit", "--quiet", "--all", "--message", "b")
    assert "is not a private key" in clone.publish("prod", SIGNING_KEY=str(clone.folder / "README.md")).stderr
    key = clone.folder.parent / "me.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
    assert clone.publish("prod", RUNTIME_ONLY="1", SIGNING_KEY=str(key)).returncode == 0
    assert clone.published("prod")["runtime"] != first["runtime"]
    (envelope,) = (clone.folder / "dist").glob("*.provenance.json.dsse")
    trusted = envelope.with_name(envelope.name.removesuffix(".dsse"))
    assert base64.b64decode(json.loads(envelope.read_bytes())["payload"]) == trusted.read_bytes()
    assert clone.published("preprod") == first
    assert "lab" not in clone.published("prod")


def test_image_is_what_its_commit_says(clone: Clone) -> None:
    """A published image is IDENTICAL to what its commit gives; one that only says so is DIFFERENT."""
    assert clone.publish("prod").returncode == 0
    published = clone.published("prod")
    same = clone.make("verify-image", "ENV=prod")
    assert same.returncode == 0, same.stderr
    assert f"what commit {published['commit']} says" in same.stdout
    lab = clone.make("verify-image", f"IMAGE={published['lab']}", "TARGET=lab", "CACHED=1")
    assert lab.stdout.startswith("IDENTICAL: "), lab.stderr
    forged = forge(clone, published["runtime"], "FROM {image}\nCOPY evil environments/prod.yml\n")
    other = clone.make("verify-image", f"IMAGE={forged}", "CACHED=1")
    assert other.returncode == 2
    assert other.stderr.rstrip().endswith("Error 3")
    assert re.search(r"layer 2 +environments/prod.yml +\S.* not there", other.stdout)
    assert f"DIFFERENT: {forged.partition('@')[0]} is {forged.partition('@')[2]}" in other.stdout
    unnamed = forge(clone, published["runtime"], "FROM {image}\nENV SAMEBOOK_COMMIT=\n")
    assert "does not say which commit it is of" in clone.make("verify-image", f"IMAGE={unnamed}").stderr
    stranger = forge(clone, published["runtime"], "FROM {image}\nENV SAMEBOOK_COMMIT=" + "f" * 40)
    assert "no branch, tag or commit" in clone.make("verify-image", f"IMAGE={stranger}").stderr
    assert "has no digest" in clone.make("verify-image", "IMAGE=churn:latest").stderr
    assert "names no published image" in clone.make("verify-image", "ENV=dev").stderr
    file, earlier = clone.folder / "environments" / "prod.yml", clone.git("rev-parse", f"{published['commit']}^")
    file.write_text(file.read_text().replace(published["commit"], earlier))
    assert (
        f"names commit {earlier[:12]} beside an image of" in clone.make("verify-image", "ENV=prod", "CACHED=1").stderr
    )


def forge(clone: Clone, image: str, dockerfile: str) -> str:
    """An image in the registry that somebody has made of another one."""
    (clone.folder.parent / "evil").write_text("promotion: {}\n")
    name = f"{clone.registry.address}/team/forged:1"
    env = os.environ | {"DOCKER_CONFIG": str(clone.registry.config), "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    build = ("docker", "buildx", "build", "--quiet", "--tag", name, "--push", "--file", "-", str(clone.folder.parent))
    text = dockerfile.format(image=image)
    subprocess.run(build, input=text, env=env, capture_output=True, text=True, check=True)
    shown = ("docker", "image", "inspect", "--format", "{{.Id}}", name)
    digest = subprocess.run(shown, capture_output=True, text=True, check=True).stdout.strip()
    return f"{name.rpartition(':')[0]}@{digest}"


def test_refused(clone: Clone, tmp_path: Path) -> None:
    """A registry that does not know who asks, and a checkout whose settings are being edited, commit nothing."""
    head = clone.git("rev-parse", "HEAD")
    nobody = clone.make("publish", "ENV=prod", f"REGISTRY={clone.registry.address}/team", config=tmp_path / "none")
    assert nobody.returncode == 2
    assert f"-> docker login {clone.registry.address}" in nobody.stderr
    assert "docker push has failed" in nobody.stderr
    (clone.folder / "environments" / "prod.yml").write_text("cell_timeout: 5\n")
    edited = clone.publish("prod")
    assert "prod.yml has changes that are not committed" in edited.stderr
    assert "building" not in edited.stderr
    assert "no environment 'prd'; did you mean prod" in clone.publish("prd").stderr
    assert (clone.git("rev-parse", "HEAD"), clone.published("prod")) == (head, {})


class _Liar(http.server.BaseHTTPRequestHandler):
    """A registry that takes everything, and gives the manifest of another image, or answers after a while."""

    protocol_version = "HTTP/1.1"
    seconds = 0.0
    # Whether it says that it has taken what it was given.
    says_digest = True

    def _answer(self, code: int, content: bytes = b"", **headers: str) -> None:
        time.sleep(self.seconds)
        self.send_response(code)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _take(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        digest = f"sha256:{hashlib.sha256(body).hexdigest() if self.says_digest else '0' * 64}"
        place = f"{self.path.partition('/blobs/')[0]}/blobs/uploads/1"
        is_begun = "uploads" in self.path and self.command == "POST"
        self._answer(202 if is_begun else 201, Location=place, Docker_Content_Digest=digest)

    def do_HEAD(self) -> None:
        self._answer(404 if "/manifests/" in self.path else 200)

    def do_GET(self) -> None:
        is_manifest = "/manifests/" in self.path
        kind = "application/vnd.oci.image.manifest.v1+json"
        empty = {"digest": f"sha256:{hashlib.sha256(b'{}').hexdigest()}", "size": 2}
        config = {"mediaType": "application/vnd.oci.image.config.v1+json", **empty}
        content = json.dumps({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []}).encode()
        self._answer(200, content if is_manifest else b"{}", Content_Type=kind if is_manifest else "application/json")

    def do_PUT(self) -> None:
        self._take()

    def do_POST(self) -> None:
        self._take()

    def do_PATCH(self) -> None:
        self._take()

    @override
    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture(params=[(0.0, False), (0.0, True), (600.0, True)], ids=["says another", "gives another", "slow"])
def liar(request: pytest.FixtureRequest, registry: Registry) -> Iterator[tuple[str, str]]:
    """The address of a registry that lies, or does not answer, and what is said of it."""
    seconds, says_digest = request.param
    handler = type("Liar", (_Liar,), {"seconds": seconds, "says_digest": says_digest})
    said = "does not give it back: nothing is committed" if says_digest else f"got digest sha256:{'0' * 64}"
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(registry.folder / "certificate.pem", registry.folder / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"localhost:{server.server_address[1]}", "has not finished docker push" if seconds else said
    server.shutdown()


def test_registry_that_lies_or_sleeps(clone: Clone, liar: tuple[str, str]) -> None:
    """What a registry has taken must come back with its digest, in time; else nothing is committed."""
    address, said = liar
    head = clone.git("rev-parse", "HEAD")
    done = clone.publish("prod", address, TIMEOUT="20", RUNTIME_ONLY="1")
    assert done.returncode == 2
    assert said in done.stderr, done.stderr
    assert "-> " in done.stderr
    assert clone.git("rev-parse", "HEAD") == head


def test_nothing_answers() -> None:
    """A registry where nothing listens is an error with Docker's own words."""
    with pytest.raises(SamebookError, match="docker pull has failed"):
        docker.pull(f"localhost:1/a@sha256:{'0' * 64}", 60)
