"""The network of a real Dask cluster is away for a minute: each run is made once, and ranks learn the same model."""

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import dask_processes
import far_machine
import pytest
from far_machine import FarMachine
from s3 import free_ports
from tiny import CHECKOUT, HELD, PATIENCE, Tiny, wait_until

# Seconds without a network.
AWAY = 60
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
    """Runs that end in a minute in which nothing comes through are found after it; where connections break, workers end
    and their runs with them, others begin when the network is back, and the sweep goes on: each set once.
    """
    tiny.notebook("train", parameters="n: int = 1", work=WORK + HELD)
    with dask_processes.running(tiny, tmp_path, 0) as cluster, wired(cluster, 2) as wires:
        sweep = held(tiny, "n=1,2")
        for wire in wires:
            wire.open.clear()
        back = time.monotonic() + AWAY
        (tiny.root / "hold").unlink()
        wait_until(lambda: finished(tiny).total() == 2)
        time.sleep(max(0.0, back - time.monotonic()))
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


# Two ranks learn from made-up flights by the example's own code, for as long as many trees take.
LEARN = """
import numpy as np, pandas as pd
import flights, samebook, training

def read(index, count):
    for seed in range(index, 6, count):
        random = np.random.default_rng(seed)
        frame = pd.DataFrame({name: random.normal(size=1000) for name in flights.NUMERIC})
        for name in flights.CATEGORICAL:
            frame[name] = random.choice(["a", "b"], 1000)
        yield frame.assign(late=(frame["seats"] > random.normal(size=1000)).astype(int))

settings = {"objective": "binary:logistic", "tree_method": "hist", "subsample": 0.8, "seed": 1, "nthread": 1}
categories = {name: ["a", "b"] for name in flights.CATEGORICAL}
model = training.on_cluster(settings, 300, read, categories, workers=2, minutes=9)
samebook.output_path("model.ubj").write_bytes(bytes(model.save_raw("ubj")))
"""


@dataclass(frozen=True)
class Apart:
    """Two ranks, of which the first is on another machine, and the ports by which Dask finds scheduler and workers."""

    tiny: Tiny
    far: FarMachine
    cluster: dask_processes.Processes
    ports: tuple[int, ...]
    # The bytes that an undisturbed training exchanges.
    exchanged: int

    def amidst(self) -> subprocess.Popen[str]:
        """A run that has half of its training behind it."""
        half = self.far.received + self.exchanged // 2
        run = self.tiny.start("run", "train")
        wait_until(lambda: self.far.received > half or run.poll() is not None)
        assert run.poll() is None, run.communicate()
        return run

    def add_first(self) -> subprocess.Popen[bytes]:
        """Start the worker of rank 0: ranks go by the names of their workers."""
        options = ("--name", "0", "--worker-port", str(self.ports[1]))
        return self.cluster.add_worker("", *options, inside=self.far.inside)


@pytest.fixture
def apart(tiny: Tiny, tmp_path: Path) -> Iterator[Apart]:
    """The ranks after a training."""
    for name in ("flights", "training"):
        shutil.copyfile(CHECKOUT / "notebooks" / f"{name}.py", tiny.root / "notebooks" / f"{name}.py")
    tiny.notebook("train", work=LEARN)
    with far_machine.connected() as far, dask_processes.running(tiny, tmp_path, 0, far.here) as cluster:
        ports = (int(cluster.access.scheduler.rpartition(":")[2]), *free_ports(2))
        found = Apart(tiny, far, cluster, ports, 0)
        found.add_first()
        cluster.add_worker("", "--name", "1", "--worker-port", str(ports[2]))
        before = far.received
        ended = tiny.samebook("run", "train")
        assert ended.code == 0, ended.stderr
        yield replace(found, exchanged=far.received - before)


@pytest.mark.host
@pytest.mark.long
def test_ranks_without_network(apart: Apart) -> None:
    """The model has the same bytes where the machine of rank 0 loses its network for a minute amidst the training: that
    between the ranks alone, and they go on; or all of it, and they start again once a worker is back.
    """
    for spared in (apart.ports, ()):
        run, lost = apart.amidst(), apart.cluster.workers[0]
        apart.far.cut(*spared)
        time.sleep(AWAY)
        assert run.poll() is None, run.communicate()
        apart.far.mend()
        if not spared:
            wait_until(lambda: lost.poll() is not None)  # noqa: B023
            apart.cluster.workers.remove(lost)
            apart.add_first()
        stderr = run.communicate(timeout=PATIENCE)[1]
        assert run.returncode == 0, stderr
        assert ("1 of 2 workers lost; all 2 ranks start again" in stderr) == (not spared)
    models = [(run / "outputs" / "model.ubj").read_bytes() for run in apart.tiny.runs]
    assert len(models) == 3
    assert len({*models}) == 1


@pytest.mark.host
@pytest.mark.long
def test_ranks_with_broken_connections(apart: Apart) -> None:
    """Ranks whose connections to each other break, while their workers are there, end with what happened and with the
    command that trains again; a worker that answers nobody does so, too, before the training.
    """
    run = apart.amidst()
    apart.far.cut(*apart.ports, says=True)
    stderr = run.communicate(timeout=PATIENCE)[1]
    assert run.returncode == 1
    assert "the connection between 2 ranks has broken" in stderr
    assert "-> make run NOTEBOOK=train PARAMS=…" in stderr
    apart.far.mend()
    frozen = apart.cluster.workers[0]
    frozen.send_signal(signal.SIGSTOP)
    ended = apart.tiny.samebook("run", "train")
    frozen.send_signal(signal.SIGCONT)
    assert ended.code == 1
    assert "a worker does not answer" in ended.stderr
    assert "-> make cluster-down && make cluster WORKERS=4" in ended.stderr
