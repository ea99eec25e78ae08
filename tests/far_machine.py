"""A machine of its own on this one: a network namespace, and a wire to it that can be cut for a while."""

import ipaddress
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

# Addresses for tests of networks, which are nobody's (RFC 2544); each wire has four of them.
ADDRESSES = ipaddress.ip_network("198.18.0.0/15")
# Has the namespace until its input ends, as it does with the tests.
HELD = "import sys\nprint(flush=True)\nsys.stdin.read()"
END = "far"


@dataclass(frozen=True)
class FarMachine:
    """The machine: its process, the name of the wire's end here, and the addresses of both ends."""

    pid: int
    wire: str
    here: str
    there: str

    @property
    def inside(self) -> tuple[str, ...]:
        """The start of a command that runs on it, with the files of this one."""
        return ("nsenter", "--net", f"--target={self.pid}", "--")

    @property
    def received(self) -> int:
        """The number of bytes that have come from it."""
        return int(Path(f"/sys/class/net/{self.wire}/statistics/rx_bytes").read_text())

    def cut(self, *spared: int, says: bool = False) -> None:
        """Lose all that goes through the wire from now on, but what goes from or to `spared` ports: without a word, or,
        with `says`, so that both ends have their connections broken.
        """
        end = ("REJECT", "--reject-with", "tcp-reset") if says else ("DROP",)
        only = ("-p", "tcp", "-m", "multiport", "!", "--ports", ",".join(map(str, spared))) if spared else ("-p", "tcp")
        for chain, side in (("INPUT", "-i"), ("OUTPUT", "-o")):
            _call(*self.inside, "iptables", "-A", chain, side, END, *only, "-j", *end)

    def mend(self) -> None:
        """Let all through again."""
        _call(*self.inside, "iptables", "-F")


def _call(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


def _wired(pid: int) -> FarMachine:
    """The machine of a process that has a namespace of its own, once its wire is there."""
    first = ADDRESSES[4 * (pid % (ADDRESSES.num_addresses // 4))]
    far = FarMachine(pid, f"wire-{pid}", str(first + 1), str(first + 2))
    _call("ip", "link", "add", far.wire, "type", "veth", "peer", "name", END, "netns", str(pid))
    for inside, name, address in (((), far.wire, far.here), (far.inside, END, far.there)):
        _call(*inside, "ip", "address", "add", f"{address}/30", "dev", name)
        _call(*inside, "ip", "link", "set", name, "up")
    _call(*far.inside, "ip", "link", "set", "lo", "up")
    return far


@contextmanager
def connected() -> Iterator[FarMachine]:
    """The machine, for the block. Without the right to have one the test is skipped, or fails where none may be."""
    command = ("unshare", "--net", sys.executable, "-c", HELD)
    # Its end takes the wire along.
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        if not holder.stdout.readline():
            refuse = pytest.fail if os.environ.get("SAMEBOOK_REQUIRE_DOCKER") == "1" else pytest.skip
            refuse("a network of its own is only root's to make")
        try:
            yield _wired(holder.pid)
        finally:
            holder.stdin.close()
