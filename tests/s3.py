"""A real S3 on loopback, SeaweedFS, which verifies signatures, rights and checksums; a proxy that changes bytes."""

import json
import os
import signal
import socket
import socketserver
import subprocess
import sysconfig
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.store import S3Store
from tiny import wait_until

BUCKET = "samebook"
KEY, TEXT = "KEY-OF-THE-MACHINES", "text-of-the-key-of-the-machines"
OWNER = {"access_key_id": "OWNER", "secret_access_key": "text-of-the-owner"}
ALLOWED = ("Read", "Write", "List")
MARK = b"\xff"  # in no HTTP header
SERVICES = ("master", "volume", "filer", "s3")


@dataclass(frozen=True)
class S3:
    """A server with a bucket; each test has a prefix of its own in it."""

    root: Path
    port: int
    process: subprocess.Popen[bytes]
    prefix: str = ""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"s3://{BUCKET}/{self.prefix}"

    def settings(self, **changes: str) -> str:
        """The text of an environments/dev.yml that names the bucket, with a test's changes."""
        settings = {"access_key": "S3_KEY", "secret_key": "S3_TEXT", "endpoint": self.endpoint}
        return json.dumps({"datasets": {}, "store": {"url": self.url, **settings, **changes}})

    def bucket(self) -> S3Store:
        """The bucket, for its owner."""
        options = {"region": "us-east-1", "client_options": {"allow_http": True}}
        return S3Store(BUCKET, endpoint=self.endpoint, **OWNER, **options)

    def names(self) -> set[str]:
        """The names of the objects below the test's prefix."""
        return {Path(entry["path"]).name for entry in self.bucket().list(self.prefix).collect()}

    def objects(self) -> dict[str, bytes]:
        """The bytes of the objects below the test's prefix, by name."""
        return {name: bytes(self.bucket().get(self.path(name)).bytes()) for name in self.names()}

    def path(self, digest: str) -> str:
        return f"{self.prefix}/{digest[:2]}/{digest[2:4]}/{digest}"

    def put(self, digest: str, content: bytes) -> None:
        """Put bytes in an object's place, whatever its name promises."""
        self.bucket().put(self.path(digest), content)

    def allow(self, *actions: str) -> None:
        """Set what the machines' key may do from now on."""
        write_identities(self.root, actions)
        self.process.send_signal(signal.SIGHUP)


def write_identities(root: Path, actions: tuple[str, ...]) -> Path:
    keys = [(KEY, TEXT, actions), (*OWNER.values(), (*ALLOWED, "Admin"))]
    identities = [
        {"name": key, "credentials": [{"accessKey": key, "secretKey": text}], "actions": list(actions)}
        for key, text, actions in keys
    ]
    path = root / "identities.json"
    path.write_text(json.dumps({"identities": identities}))
    return path


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [listener.getsockname()[1] for listener in sockets]


@contextmanager
def serving(root: Path) -> Iterator[S3]:
    """A server for the time of the block, on loopback alone and without telemetry."""
    ports = free_ports(2 * len(SERVICES))
    port_options = [f"-{name}.port{kind}={ports.pop()}" for name in SERVICES for kind in (".grpc", "")]
    port = int(port_options[-1].partition("=")[2])
    off = ("-master.telemetry=false", "-s3.autoCreateBucket=false", "-s3.port.iceberg=0", "-s3.port.lance=0")
    folder = (f"-dir={root}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.volumeSizeLimitMB=64", "-volume.max=0")
    identities = f"-s3.config={write_identities(root, ALLOWED)}"
    command = ("weed", "-logtostderr=true", "server", *folder, "-filer", "-s3", identities, *port_options, *off)
    # The program weed is in the environment's folder, which need not be in PATH.
    environ = {**os.environ, "PATH": os.pathsep.join((sysconfig.get_path("scripts"), os.environ["PATH"]))}
    with (root / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, env=environ) as process:
        try:
            server = S3(root, port, process)
            wait_until(lambda: try_to_make_bucket(server), 60)
            yield server
        finally:
            process.kill()  # on SIGTERM it waits for 15 s
            for option in port_options:
                for path in Path("/tmp").glob(f"seaweedfs-*-{option.partition('=')[2]}.sock"):
                    path.unlink()


def try_to_make_bucket(server: S3) -> bool:
    """Whether the bucket could be made; not before all parts of the server have started."""
    request = urllib.request.Request(
        obstore.sign(server.bucket(), "PUT", "", timedelta(minutes=1)), method="PUT", data=b""
    )
    with suppress(urllib.error.URLError), urllib.request.urlopen(request):
        return True
    return False


def flow(source: socket.socket, target: socket.socket) -> None:
    """Pass bytes on until the source ends, with another byte for MARK."""
    with suppress(OSError):
        while data := source.recv(2**16):
            target.sendall(data.replace(MARK, b"\xfe"))
        target.shutdown(socket.SHUT_WR)


@contextmanager
def changing_wire(s3: S3) -> Iterator[str]:
    """The endpoint of a proxy to the server that changes each byte MARK, in both directions."""
    connections: list[socket.socket] = []

    class Wire(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", s3.port)) as server:
                connections.append(server)
                back = threading.Thread(target=flow, args=(server, self.request))
                back.start()
                flow(self.request, server)
                back.join()

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Wire) as listening:
        threading.Thread(target=listening.serve_forever).start()
        yield f"http://127.0.0.1:{listening.server_address[1]}"
        listening.shutdown()
        for connection in connections:  # clients keep theirs open
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
