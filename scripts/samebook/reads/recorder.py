"""The recorder of a kernel: it sees what its process reads, by Python's audit events, and writes it down for the run.

https://docs.python.org/3/library/audit_events.html. A file is recorded as `read`, with the sha256 that it had when it
was opened, because it may be removed before the run ends. What is read where no hook can look (another process, the
network, compiled code) is recorded as `unseen`.
"""

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from stat import S_ISFIFO
from threading import get_ident
from typing import Any
from urllib.parse import unquote

from samebook.core import code
from samebook.core.digest import sha256
from samebook.reads.places import FILE_URL, PROBE, SYSTEM, Places, listed
from samebook.records import model_file, run_folder

OWN, READS = f"{code.FOLDER}/", f"{Path(__file__).parent}/"
READ, UNSEEN = "read", "unseen"
# What SQLite asks an authorizer, and its answer: https://www.sqlite.org/c3ref/c_alter_table.html
ATTACH, ALLOWED = 24, 0
# Programs that libraries start to learn about the machine; they read nothing but the system.
HARMLESS = ("fc-list", "ldconfig", "lscpu", "nproc", "uname")
# Packages whose compiled code opens no files, or whose readers are hooked.
KNOWN = {
    *("PIL", "_argon2_cffi_bindings", "_cffi_backend", "_duckdb", "adbc_driver_manager"),
    *("adbc_driver_postgresql", "charset_normalizer", "contourpy", "cryptography", "debugpy", "dulwich"),
    *("fontTools", "google", "kiwisolver", "markupsafe", "matplotlib", "msgpack", "numpy", "obstore", "pandas"),
    *("psutil", "pyarrow", "pydantic_core", "rpds", "scipy", "sklearn", "tornado", "watchfiles", "wcwidth"),
    *("pillow", "pyzmq", "scikit_learn", "yaml", "zmq"),
    *model_file.PACKAGES,
}
CACHED = re.compile(r"(.*/)__pycache__/([^/]+)\.cpython-\d+(?:\.opt-\d)?\.pyc")
# The package that an installed file belongs to: the folder, or the module, below the folder of all packages.
PACKAGE = re.compile(r".*/(?:site|dist)-packages/([^/.]+)")
# Names that programs leave in folders, which make no folder another.
LITTER = ("__pycache__", ".ipynb_checkpoints")


class Recorder:
    """The record of this process's reads, in the run's folder, each file once.

    `seen` has the paths that need no look: recorded already, declared, or the run's own. `declaring` has the threads
    that record their reads themselves. `hooked` has the modules whose readers are hooked.
    """

    def __init__(self) -> None:
        self.run: Path | None = None
        self.places = Places("/", "/")
        self.seen: set[str] = set()
        self.declaring: list[int] = []
        self.hooked: set[str] = set()
        self._handlers: dict[str, Callable[[tuple[Any, ...]], None]] = {
            "open": lambda arguments: self.open(arguments[0], arguments[2]),
            "os.link": self._moved,
            "os.rename": self._moved,
            "os.symlink": self._linked,
            "os.mkdir": self._created,
            "os.listdir": self._listed,
            "os.scandir": self._listed,
            "sqlite3.connect": self._sqlite,
            "sqlite3.load_extension": lambda _: self.unseen("an extension of SQLite"),
            "socket.bind": self._bound,
            "socket.connect": self._connected,
            "socket.sendto": self._connected,
            "socket.sendmsg": self._connected,
            "subprocess.Popen": lambda arguments: self.child(arguments[0]),
            "os.exec": lambda arguments: self.child(arguments[0]),
            "os.posix_spawn": lambda arguments: self.child(arguments[0]),
            "os.system": lambda _: self.child("/bin/sh"),
            "import": lambda arguments: self.compiled(arguments[0], arguments[1]),
            "ctypes.dlopen": self._loaded,
            # What a warm kernel's process has noted before its run.
            UNSEEN: lambda arguments: self.unseen(arguments[0]),
        }

    def start(self, run: str, workspace: str) -> None:
        """Record from now on; compiled modules that are loaded already count too."""
        self.run, self.places = Path(run), Places(run, workspace)
        for name, module in tuple(sys.modules.items()):
            self.compiled(name, getattr(getattr(module, "__spec__", None), "origin", None))
        handlers = self._handlers

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            # Tens of thousands of events come while libraries are imported, most of them of no interest.
            if event in handlers and not self.is_declared():
                self.record(event, arguments)

        sys.addaudithook(hook)

    def record(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Record what an audit event says."""
        with suppress(OSError, ValueError, TypeError):  # no such folder, a null in a path: the call fails too
            self._handlers[event](arguments)

    def is_declared(self) -> bool:
        """Whether this thread declares its reads, or works for samebook while another one does."""
        if not self.declaring or get_ident() in self.declaring:
            return bool(self.declaring)
        frame = sys._getframe(2)
        while frame and (not frame.f_code.co_filename.startswith(OWN) or frame.f_code.co_filename.startswith(READS)):
            frame = frame.f_back
        return frame is not None

    def open(self, file: Any, flags: int) -> None:
        """Record a file that is opened with these flags, unless its content of before is dropped."""
        if isinstance(file, int) or self.is_declared():
            return
        path = os.path.abspath(os.fsdecode(file))
        if path in self.seen or path.startswith(self.places.libraries):
            return
        if (match := CACHED.fullmatch(path)) and os.path.isfile(source := f"{match[1]}{match[2]}.py"):
            path = source
        if path in self.seen or self.places.holds(path):
            return
        if not os.path.isfile(path):
            self._unfiled(path, flags)
            return
        self.seen.add(path)
        if not flags & os.O_TRUNC:
            self._append({"kind": READ, "name": self.places.name(path), "sha256": sha256(Path(path))})

    def _unfiled(self, path: str, flags: int) -> None:
        """Record a pipe or a device that is read; what is not there yet may become the run's own file."""
        if os.path.exists(path) and not os.path.isdir(path):
            if flags & os.O_ACCMODE != os.O_WRONLY:
                self.unseen(f"{'pipe' if S_ISFIFO(os.stat(path).st_mode) else 'device'} {self.places.name(path)}")
        elif flags & os.O_CREAT:
            self.seen.add(path)

    def unseen(self, name: str) -> None:
        """Record a read that no hook can look at, by its name; each name once."""
        if name not in self.seen and not self.is_declared():
            self.seen.add(name)
            self._append({"kind": UNSEEN, "name": name})

    def child(self, program: Any) -> None:
        """Record a child process, which may read anything."""
        name, path = Path(os.fsdecode(program)).name, shutil.which(os.fsdecode(program))
        if name not in HARMLESS or (path and not path.startswith((*SYSTEM, "/bin/", "/sbin/"))):
            self.unseen(f"child process {name}")

    def folder(self, path: str) -> None:
        """Record the names in a folder: a file that is added to it is another input."""
        path = os.path.abspath(path)
        if f"{path}/" not in self.seen and not self.places.holds(f"{path}/"):
            self.seen.add(f"{path}/")
            name = "./" if path == self.places.workspace else f"{self.places.name(path)}/"
            self._append({"kind": READ, "name": name, "sha256": listing(path)})

    def compiled(self, name: str, origin: str | None) -> None:
        """Record a module of compiled code that may open files by itself."""
        if origin and origin.endswith(".so"):
            top = PACKAGE.match(origin)
            package = top[1] if top else name.partition(".")[0]
            if package not in KNOWN and package not in sys.stdlib_module_names:
                self.unseen(f"compiled code of {package}")

    def _append(self, event: dict[str, str]) -> None:
        if self.run is not None:
            with suppress(OSError):
                run_folder.append_event(self.run, event)

    def _moved(self, arguments: tuple[Any, ...]) -> None:
        """Record a file that is moved or linked: the run may show it as its own."""
        source, target = (os.path.abspath(os.fsdecode(path)) for path in arguments[:2])
        if f"{source}/" in self.seen:
            self.seen.add(f"{target}/")
        for path in _files(source):
            self.open(path, os.O_RDONLY)
            self.seen.add(target + path.removeprefix(source))

    def _linked(self, arguments: tuple[Any, ...]) -> None:
        """Forget that a path was the run's own: what it leads to now need not be."""
        self.seen.discard(os.path.abspath(os.fsdecode(arguments[1])))

    def _created(self, arguments: tuple[Any, ...]) -> None:
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if not os.path.isdir(path):
            self.seen.add(f"{path}/")

    def _listed(self, arguments: tuple[Any, ...]) -> None:
        if path := listed(arguments[0], _caller(4)):
            self.folder(path)

    def _sqlite(self, arguments: tuple[Any, ...]) -> None:
        name = os.fsdecode(arguments[0])
        if url := FILE_URL.match(name):
            name = unquote(re.split("[?#]", name[url.end() :])[0])
        if name and name != ":memory:":
            for path in (f"{name}-wal", name):
                self.open(path, os.O_RDWR | (os.O_CREAT if path == name else 0))

    def attached(self, action: int, name: str | None, *_: Any) -> int:
        """Record a database that SQLite attaches, as its authorizer; of a name that is bound, it does not tell this."""
        if action == ATTACH and not self.is_declared():
            if name is None:
                self.unseen("a database that SQLite attaches")
            else:
                self.record("sqlite3.connect", (name,))
        return ALLOWED

    def _connected(self, arguments: tuple[Any, ...]) -> None:
        address = arguments[1]
        place = ":".join(map(str, address[:2])) if isinstance(address, tuple) else os.fsdecode(address)
        self.unseen(f"network {place}")

    def _bound(self, arguments: tuple[Any, ...]) -> None:
        """Record a socket to which others connect, or send."""
        if not PROBE.search(_caller(4)):
            self._connected(arguments)

    def _loaded(self, arguments: tuple[Any, ...]) -> None:
        """Record a library that is loaded around Python's imports, by its package where it has one."""
        path = str(arguments[0] or "")
        if "/" in path and not path.startswith(SYSTEM):
            top = PACKAGE.match(path)
            if not top or top[1] not in KNOWN:
                self.unseen(f"compiled code of {top[1] if top else Path(path).name}")


def listing(folder: str) -> str:
    """The sha256 of the names in a folder."""
    names = sorted(os.fsencode(name) for name in os.listdir(folder) if name not in LITTER)
    return hashlib.sha256(b"\0".join(names)).hexdigest()


def _files(path: str) -> Iterator[str]:
    """The file of this path, or all files below it."""
    if os.path.isfile(path):
        yield path
    for folder, _, names in os.walk(path):
        yield from (f"{folder}/{name}" for name in names)


def _caller(depth: int) -> str:
    """The file of the code that raised an audit event."""
    return sys._getframe(depth).f_code.co_filename
