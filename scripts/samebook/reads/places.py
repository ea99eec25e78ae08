"""The places whose files a run may read unrecorded: libraries, the system, caches of programs, and the run itself."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from samebook.core import code
from samebook.environment.machine import SHOWN

SYSTEM = ("/usr", "/lib", "/lib32", "/lib64", "/etc", "/proc", "/sys", "/dev", "/run", "/var")
# The parts of it in which anybody may leave a file for the next run.
WRITABLE = tuple(f"/{name}/" for name in ("dev/shm", "run/lock", "run/user", "var/lock", "var/tmp"))
# Variables that name a folder for one program, and those that name a folder for all of them.
CACHES = ("MPLCONFIGDIR", "IPYTHONDIR")
SHARED_CACHES = ("XDG_CACHE_HOME", "XDG_CONFIG_HOME")
PROGRAMS = ("fontconfig", "ipython", "jedi", "jupyter", "matplotlib", "parso", "pip", "uv")
# What matplotlib takes from a user's folder, beside its caches: other figures, and no such file on the next machine.
STYLES = re.compile(r".*/(?:matplotlibrc|stylelib(?:/[^/]+\.mplstyle)?)")
# The beginning of a file's URL: file:/data, file:///data and file://localhost/data are one.
FILE_URL = re.compile(r"file:(?://(?:localhost(?=/))?)?", re.IGNORECASE)
# The import system lists the folders of its path, to find modules and the versions of packages.
IMPORTING = re.compile(r"<frozen importlib|/importlib/")
# It lists a folder by its number only to remove it.
REMOVING = re.compile(r"/shutil\.py$")
# urllib3 opens a socket, to see whether the machine can, when it is imported.
PROBE = re.compile(r"/urllib3/util/connection\.py$")
# The audit events by which a process says that it reads what no file of Python's names: the recorder has them all.
LISTING = ("os.listdir", "os.scandir")
UNNAMED = (
    *("ctypes.dlopen", "os.exec", "os.posix_spawn", "os.system", "socket.bind", "socket.connect", "socket.sendmsg"),
    *("socket.sendto", "sqlite3.connect", "subprocess.Popen"),
)


def listed(folder: Any, caller: str) -> str:
    """The path of a folder whose names code of the file `caller` lists, by its path or number; "" where the code
    imports, or removes the folder.
    """
    if IMPORTING.search(caller) or (isinstance(folder, int) and REMOVING.search(caller)):
        return ""
    return os.path.realpath(f"/proc/self/fd/{folder}") if isinstance(folder, int) else os.fsdecode(folder or ".")


class Places:
    """The folders whose files count as no input of a run; where a path leads decides, through every link."""

    def __init__(self, run: str, workspace: str) -> None:
        self.workspace = workspace
        self.libraries = _folders(sys.prefix, sys.base_prefix)
        self.inside = ignored_inside(run)
        self.outside = ignored_outside(run)

    def holds(self, path: str) -> bool:
        """Whether an absolute path leads to such a folder."""
        if path.startswith(self.libraries):  # most files; for the others it is worth to follow links
            return True
        real = os.path.realpath(path)
        ignored = self.inside if real.startswith(f"{self.workspace}/") else self.outside
        return real.startswith(ignored) and not real.startswith(WRITABLE) and not STYLES.fullmatch(real)

    def name(self, path: str) -> str:
        """The path, relative to the workspace where it is inside, else through every link; what is not UTF-8 in it is
        escaped, for JSON.
        """
        inside = path.removeprefix(f"{self.workspace}/")
        return os.fsencode(inside if inside != path else os.path.realpath(path)).decode(errors="backslashreplace")


def ignored_inside(run: str) -> tuple[str, ...]:
    """The folders whose files are ignored inside and outside of the workspace."""
    home = Path.home()
    shared = (*(os.environ.get(name) for name in SHARED_CACHES), str(home / ".cache"), str(home / ".config"))
    own = (os.environ[name] for name in CACHES if os.environ.get(name))
    programs = (f"{folder}/{program}" for folder in shared if folder for program in PROGRAMS)
    return _folders(run, sys.prefix, f"{sys.prefix}/{SHOWN}", str(code.FOLDER), *own, *programs)


def ignored_outside(run: str) -> tuple[str, ...]:
    """The folders whose files are ignored outside of the workspace, which may itself be in one of them."""
    home = Path.home()
    personal = (str(home / name) for name in (".ipython", ".jupyter", ".local/lib", ".local/share/jupyter"))
    return (*ignored_inside(run), *_folders(*SYSTEM, *personal, sys.base_prefix))


def _folders(*paths: str) -> tuple[str, ...]:
    return tuple(f"{os.path.realpath(path).rstrip('/')}/" for path in paths)
