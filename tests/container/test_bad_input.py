"""What goes wrong around Docker is told with the command that mends it."""

import contextlib
import os
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import docker
import nbformat
import pytest
from containers import CHECKOUT, NOBODY, Start, base, output
from docker.models.images import Image
from tiny import Tiny


def failing(*arguments: str, cwd: Path = CHECKOUT, **env: str) -> str:
    """What make says on stderr when it fails, as it must here."""
    done = subprocess.run(
        ["make", *arguments], cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done.stdout
    return done.stderr


def test_missing_base_is_explained(engine: docker.DockerClient) -> None:
    """A base image that can't be pulled is named, with the two ways around it."""
    del engine
    told = failing("run", "ENGINE=docker", "BASE_IMAGE=127.0.0.1:1/nowhere:none")
    assert "127.0.0.1:1/nowhere:none is not here and can't be pulled" in told
    assert "make base" in told
    assert "ENGINE=local" in told


@pytest.mark.usefixtures("build")
def test_taken_port_is_explained() -> None:
    """Lab on a port that is taken says so, and names another."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = failing("lab", "ENGINE=docker", f"PORT={port}")
    assert f"port {port} taken? make lab PORT=" in told


def test_little_memory_and_one_core(runtime: Image, start: Start, tmp_path: Path) -> None:
    """With 512 MiB and one core a sweep runs all its sets, one after the other, cold, and says why."""
    tiny = Tiny.create(tmp_path / "workspace")
    work = "import os, samebook\nsamebook.log_metric('threads', float(os.environ['OMP_NUM_THREADS']))"
    tiny.notebook("work", parameters="n: int = 1", imports="import pandas", work=work)
    for path in (tiny.root, *tiny.root.rglob("*")):
        os.chown(path, NOBODY, NOBODY)
    options = {"mem_limit": "512m", "memswap_limit": "512m", "nano_cpus": 1_000_000_000}
    volumes = {str(tiny.root): {"bind": "/tiny", "mode": "rw"}}
    command = ("sweep", "work", "--grid", "n=1,2,3")
    told = output(start(runtime, *command, volumes=volumes, environment={"SAMEBOOK_WORKSPACE": "/tiny"}, **options))
    assert "MiB of memory are free, too few to keep imports in" in told
    assert "3 ran, 0 done already, 0 failed" in told
    assert len(tiny.runs) == 3


@pytest.fixture
def line(tmp_path: Path) -> Iterator["Line"]:
    with Line(tmp_path / "docker.sock") as line:
        yield line


class Line:
    """A socket in front of the daemon's, which can be cut."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.server = socket.socket(socket.AF_UNIX)
        self.ends: list[socket.socket] = []

    def __enter__(self) -> "Line":
        self.server.bind(str(self.path))
        self.server.listen()
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def _accept(self) -> None:
        while self.server.fileno() >= 0:
            try:
                client, _ = self.server.accept()
            except OSError:
                return
            daemon = socket.socket(socket.AF_UNIX)
            daemon.connect("/var/run/docker.sock")
            self.ends += [client, daemon]
            for source, target in ((client, daemon), (daemon, client)):
                threading.Thread(target=_pump, args=(source, target), daemon=True).start()

    def cut(self) -> None:
        """From now on nobody answers."""
        self.path.unlink(missing_ok=True)
        for end in (self.server, *self.ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    try:
        while content := source.recv(1 << 16):
            target.sendall(content)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def test_daemon_gone_in_mid_run(engine: docker.DockerClient, checkout: Path, line: Line) -> None:
    """When the daemon goes away with its containers, make says so, and the next start lists the run as failed."""
    cell = nbformat.v4.new_code_cell("import time\ntime.sleep(3000)")
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), checkout / "notebooks" / "long.ipynb")
    env = {**os.environ, "DOCKER_HOST": f"unix://{line.path}", "HOME": str(checkout), "SAMEBOOK_TAG": "-gone"}
    command = ["make", "run", "NOTEBOOK=long", "ENGINE=docker"]
    with subprocess.Popen(command, cwd=checkout, env=env, stderr=subprocess.PIPE, text=True) as process:
        started = [*_wait_for(lambda: list((checkout / "runs" / ".partial").glob("*-long-*")))]
        line.cut()
        _end(engine, checkout)
        assert process.stderr
        told = process.stderr.read()
    assert "the Docker daemon went away in mid-run" in told
    assert "no notebook 'nowhere'" in failing(
        "run", "NOTEBOOK=nowhere", "ENGINE=docker", "SAMEBOOK_TAG=-gone", cwd=checkout
    )
    assert (checkout / "runs" / started[0].name / "error.txt").is_file()


def _end(engine: docker.DockerClient, checkout: Path) -> None:
    """Kill the containers that work in this checkout, as they end with their daemon."""
    for container in engine.containers.list():
        if any(mount.get("Source") == str(checkout) for mount in container.attrs["Mounts"]):
            container.kill()


def _wait_for(found: Callable[[], list[Path]], seconds: float = 900) -> list[Path]:
    end = time.monotonic() + seconds
    while not (paths := found()):
        assert time.monotonic() < end
        time.sleep(0.2)
    return paths


@pytest.mark.parametrize("lock", ["runtime.txt", "lab.txt"])
def test_failed_install_fails_the_build(engine: docker.DockerClient, checkout: Path, lock: str) -> None:
    """A package of the lock that can't be had ends the build: no image is made without it."""
    del engine
    missing = f"--no-index\nsamebook-nowhere==1.0 --hash=sha256:{'0' * 64}\n"
    (checkout / "environments" / lock).write_text(missing)
    target = "environment" if lock == "runtime.txt" else "lab-environment"
    command = ["docker", "build", "--build-arg", f"BASE_IMAGE={base()}", "--target", target, "."]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
    assert done.returncode, done.stderr
    assert "samebook-nowhere" in done.stderr
