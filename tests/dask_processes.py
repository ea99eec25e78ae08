"""A real cluster of Dask on this machine: scheduler and workers as processes of their own, with TLS between them."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tiny import PATIENCE, Tiny, wait_until

from samebook.cluster import certificates
from samebook.core.workspace import Workspace


@dataclass
class Processes:
    """A scheduler and workers that run in a tiny workspace."""

    tiny: Tiny
    folder: Path
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def access(self) -> certificates.Access:
        return certificates.access(Workspace(self.tiny.root))

    def add_worker(
        self, scheduler: str = "", *more: str, inside: tuple[str, ...] = (), **variables: str
    ) -> subprocess.Popen[bytes]:
        """Start a worker of one thread. It dies with its process, as in a container: no nanny starts it again.

        `scheduler` is the address by which it finds the scheduler, `more` are options of its own, and `inside` is the
        start of a command that runs it elsewhere.
        """
        options = ("--no-nanny", "--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder), *more)
        command = (scheduler or self.access.scheduler, *options)
        self.workers.append(start(self.tiny, self.folder, "worker", *command, inside=inside, **variables))
        return self.workers[-1]

    @staticmethod
    def kill(process: subprocess.Popen[bytes]) -> None:
        """Kill the scheduler's or a worker's process, and nothing that it has started."""
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)


def start(
    tiny: Tiny, folder: Path, kind: str, *options: str, inside: tuple[str, ...] = (), **variables: str
) -> subprocess.Popen[bytes]:
    """Start `dask scheduler` or `dask worker` with the certificates of the workspace's cluster."""
    files = certificates.access(Workspace(tiny.root)).files
    tls = (f"--tls-{name.replace('_', '-')}={path}" for name, path in files.items())
    with (folder / f"{kind}.log").open("ab") as log:
        return subprocess.Popen(
            [*inside, sys.executable, "-m", f"distributed.cli.dask_{kind}", *options, *tls],
            cwd=tiny.root,
            env=tiny.environ(**variables),
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


@contextmanager
def running(tiny: Tiny, folder: Path, workers: int, host: str = "127.0.0.1", **variables: str) -> Iterator[Processes]:
    """A cluster for the block, its scheduler at `host` with these variables; its processes end with it."""
    ended = tiny.samebook("cluster", "certificates", "tls://127.0.0.1:0")
    assert ended.code == 0, ended.stderr
    address = folder / "scheduler.json"
    options = ("--protocol", "tls", "--host", host, "--port", "0", "--no-dashboard")
    options = (*options, "--scheduler-file", str(address))
    cluster = Processes(tiny, folder, start(tiny, folder, "scheduler", *options, **variables))
    try:
        wait_until(lambda: address.is_file() and address.read_text().strip().endswith("}"))
        (tiny.root / certificates.FOLDER / certificates.SCHEDULER).write_text(
            json.loads(address.read_text())["address"]
        )
        for _ in range(workers):
            cluster.add_worker()
        yield cluster
    finally:
        for process in (*cluster.workers, cluster.scheduler):
            cluster.kill(process)
