"""Debian's registry on loopback, which takes nothing from whoever has not logged in."""

import os
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import pytest
import tiny
import yaml

WHO = {"REGISTRY_USER": "ci", "REGISTRY_PASSWORD": "secret"}
# As htpasswd -B writes it.
HASHED = "ci:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"


@dataclass(frozen=True)
class Registry:
    """Debian's registry on loopback; `config` is a folder in which Docker is logged in at `address`."""

    address: str
    config: Path
    folder: Path

    def push(self, image: str, name: str) -> str:
        """Push an image of this machine under another name; returns that, with its digest."""
        named, env = f"{self.address}/{name}", os.environ | {"DOCKER_CONFIG": str(self.config)}
        subprocess.run(("docker", "tag", image, f"{named}:1"), check=True)
        subprocess.run(("docker", "push", "--quiet", f"{named}:1"), env=env, capture_output=True, check=True)
        shown = ("docker", "image", "inspect", "--format", "{{.Id}}", f"{named}:1")
        return f"{named}@{subprocess.run(shown, capture_output=True, text=True, check=True).stdout.strip()}"


@contextmanager
def logged_in(folder: Path) -> Iterator[Registry]:
    """A registry with a certificate, where Docker is logged in."""
    with serving(folder, is_encrypted=True) as address:
        found = Registry(address, folder / "docker", folder)
        login = ("docker", "login", "--username", WHO["REGISTRY_USER"], "--password-stdin", address)
        env = os.environ | {"DOCKER_CONFIG": str(found.config)}
        subprocess.run(login, input=WHO["REGISTRY_PASSWORD"], text=True, env=env, capture_output=True, check=True)
        yield found


@contextmanager
def serving(folder: Path, *, is_encrypted: bool = False) -> Iterator[str]:
    """The address of the registry, which keeps its files in a folder; encrypted, with a certificate of its own.

    Without the program tests are skipped, or fail where SAMEBOOK_REQUIRE_DOCKER=1 says that none may be.
    """
    program = shutil.which("docker-registry")
    if not program:
        refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
        refuse("pushing images is not tested: docker-registry is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "htpasswd").write_text(HASHED)
    settings = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(folder / "storage")}},
        "http": {"addr": f"127.0.0.1:{port}", **({"tls": _certificate(folder)} if is_encrypted else {})},
        "auth": {"htpasswd": {"realm": "test", "path": str(folder / "htpasswd")}},
    }
    (folder / "config.yml").write_text(yaml.safe_dump(settings))
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([str(program), "serve", str(folder / "config.yml")], stdout=log, stderr=log)
    try:
        until = time.monotonic() + tiny.PATIENCE
        while _answer(f"http{'s' * is_encrypted}://localhost:{port}/v2/", folder) != HTTPStatus.UNAUTHORIZED:
            assert server.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, "the registry asks for no password"
            time.sleep(0.05)
        yield f"localhost:{port}"
    finally:
        server.terminate()
        server.wait()


def _certificate(folder: Path) -> dict[str, str]:
    """The files of a certificate for this machine, and of its key, as the registry's settings name them."""
    files = {"certificate": str(folder / "certificate.pem"), "key": str(folder / "key.pem")}
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    written = ("-keyout", files["key"], "-out", files["certificate"])
    command = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *written, *subject)
    subprocess.run(command, capture_output=True, check=True)
    return files


def _answer(url: str, folder: Path) -> int:
    """The status of an answer; 0 where there is none."""
    certificate = folder / "certificate.pem"
    trust = ssl.create_default_context(cafile=certificate) if certificate.exists() else None
    with suppress(OSError):
        try:
            return urllib.request.urlopen(url, timeout=5, context=trust).status
        except urllib.error.HTTPError as error:
            return error.code
    return 0
