"""The network between a real Dask cluster's workers and scheduler is away for a while: each run is made once."""

import json
import socket
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dask_processes
import pytest
from s3 import free_ports
from tiny import HELD, PATIENCE, Tiny, wait_until

WORK = "import samebook\nsamebook.output_path('n.txt').write_text(f'{n}')\n"


class Wire:
    """A way to a port of this machine, which passes bytes on while it is open; what waits comes through later.

    A broken one ends its connections, and takes no other.
    """

    def __init__(self, target: int) -> None:
        self.target, self.is_broken, self.open = target, False, threading.Event()
        self.open.set()
        self.listener, self.ends = socket.create_server(("127.0.0.1", 0)), list[socket.socket]()
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                if self.is_broken:
                    near.close()
                    continue
                try:
                    far = socket.create_connection(("127.0.0.1", self.target))
                except OSError:
                    near.close()
                    continue
                self.ends += (near, far)
                for source, target in ((near, far), (far, near)):
                    threading.Thread(target=self._flow, args=(source, target), daemon=True).start()

    def _flow(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(2**16):
                self.open.wait()
                target.sendall(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        self.is_broken = True
        self.close()

    def close(self) -> None:
        self.open.set()
        for end in self.ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def wired(cluster: dask_processes.Processes, count: int) -> Iterator[list[Wire]]:
    """Workers of the cluster, each with a wire to the scheduler and one from it."""
    wires = []
    for _ in range(count):
        (port,) = free_ports(1)
        wires += [Wire(int(cluster.access.scheduler.rpartition(":")[2])), Wire(port)]
        address = f"tls://127.0.0.1:{wires[-2].port}"
        own = {"listen": port, "contact": wires[-1].port}
        options = (f"--{name}-address=tls://127.0.0.1:{number}" for name, number in own.items())
        cluster.add_worker(address, *options)
    try:
        yield wires
    finally:
        for wire in wires:
            wire.close()
            wire.listener.close()


def finished(tiny: Tiny) -> Counter[int]:
    receipts = [json.loads(path.read_text()) for path in tiny.root.glob("runs/[0-9]*/receipt.json")]
    return Counter(each["predicate"]["buildDefinition"]["externalParameters"]["parameters"]["n"] for each in receipts)


def held(tiny: Tiny, grid: str) -> subprocess.Popen[str]:
    """A sweep whose two runs wait."""
    (tiny.root / "hold").touch()
    process = tiny.start("sweep", "train", "--grid", grid, "--on", "dask")
    wait_until(lambda: len(tiny.unfinished) == 2 or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    return process


@pytest.mark.long
def test_network_away(tiny: Tiny, tmp_path: Path) -> None:
    """Runs that end while nothing comes through are found when it does; where connections break, workers end and their
    runs with them, others begin when the network is back, and the sweep goes on: each set once.
    """
    tiny.notebook("train", parameters="n: int = 1", work=WORK + HELD)
    with dask_processes.running(tiny, tmp_path, 0) as cluster, wired(cluster, 2) as wires:
        sweep = held(tiny, "n=1,2")
        for wire in wires:
            wire.open.clear()
        (tiny.root / "hold").unlink()
        wait_until(lambda: finished(tiny).total() == 2)
        assert sweep.poll() is None
        for wire in wires:
            wire.open.set()
        stdout, stderr = sweep.communicate(timeout=PATIENCE)
        assert "2 ran, 0 done already, 0 failed" in stdout, stdout + stderr
        sweep = held(tiny, "n=3,4")
        for wire in wires:
            wire.cut()
        wait_until(lambda: all(worker.poll() is not None for worker in cluster.workers))
        wait_until(lambda: not tiny.unfinished)
        assert sweep.poll() is None
        cluster.workers.clear()
        (tiny.root / "hold").unlink()
        cluster.add_worker()
        stdout, stderr = sweep.communicate(timeout=PATIENCE)
        assert "2 ran, 0 done already, 0 failed" in stdout, stdout + stderr
    assert finished(tiny) == dict.fromkeys(range(1, 5), 1)
    wait_until(lambda: not tiny.kernels())  # those of workers that were lost end by themselves
