"""Undeclared inputs: what a notebook reads without the API, which a kernel records for the receipt.

`recorder` sees what Python opens, `readers` what libraries open in compiled code; `reads` says at the end of a run
which of it the commit holds.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import get_ident

from samebook.core.digest import sha256
from samebook.core.workspace import Workspace
from samebook.reads.places import Places
from samebook.reads.recorder import READ, Recorder
from samebook.records import run_folder

RECORDER = Recorder()


@contextmanager
def declared_reads() -> Iterator[None]:
    """A block whose reads are not recorded here, because the caller records them."""
    RECORDER.declaring.append(get_ident())
    try:
        yield
    finally:
        RECORDER.declaring.remove(get_ident())


def declare(path: Path) -> None:
    """Declare a file whose content the receipt has: the notebook may read it in any way."""
    RECORDER.seen.add(str(path))


def declare_server(host: str, port: int) -> None:
    """Declare a server that samebook speaks to in threads of a library, by all addresses of its name."""
    with suppress(OSError):  # a name without an address: nobody is spoken to
        for *_, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            RECORDER.seen.add(f"network {address[0]}:{address[1]}")


def start(run: str, workspace: str) -> None:
    """Record from now on, in the run's folder, what this process reads; of fonts it has those of packages alone."""
    from samebook.reads import fonts, readers

    changes = {fonts.MANAGER: fonts.of_packages(Path(workspace)), "os": readers.opens_in_folders(RECORDER)}
    changes |= dict.fromkeys(("sqlite3.dbapi2", "sqlite3"), readers.databases(RECORDER))
    RECORDER.start(run, workspace)
    readers.hook(RECORDER, changes)


def record(run: Path, path: str, workspace: str) -> None:
    """Record a file that a run shows as a result without having made it."""
    with suppress(OSError):  # the notebook cannot read the file either
        name = Places(str(run), workspace).name(path)
        run_folder.append_event(run, {"kind": "undeclared", "name": name, "sha256": sha256(Path(path))})


def record_query(run: Path, path: Path, workspace: Workspace) -> None:
    """Record the file of a query: in a folder that is a link, no hash of the code covers it."""
    run_folder.append_event(run, {"kind": READ, "name": workspace.relative(path), "sha256": sha256(path)})
