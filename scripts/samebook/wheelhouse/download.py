"""The download of the files of locks from an index, by hash: pip's, because uv keeps no wheel as it came.

Of a source distribution pip makes the metadata, by what builds it: that comes from the lock of builds, by hash too.
"""

import importlib.util
import os
import platform
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path

from samebook.core.errors import SamebookError, UsageError

# The arguments of pip: exactly the lock's files, and of each what this platform installs.
DOWNLOAD = ("download", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes")
# Variables of the caller by which pip finds an index, in a container too.
WAYS = ("PIP_INDEX_URL", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")
# In the container: the bundle of certificates that this machine trusts.
CERTIFICATES = "/run/certificates"
# And where the files go, and the locks are.
WHEELS, LOCKS = "/wheels", "/locks"
# For sh: a pip of the Python $0 in the folder $1, called with the other arguments; and that folder in the container.
PIP = '"$0" -m venv "$1" && python="$1/bin/python" && shift && exec "$python" -m pip "$@"'
PIP_FOLDER = "/tmp/pip"  # noqa: S108  # nobody else's
# The lock of what builds packages, and the file that says to pip where its wheels are.
BUILD, CONSTRAINTS = "build.txt", "constraints.txt"


def platform_name(engine: str) -> str:
    """The platform for which an engine downloads, as docker-linux-x86_64: the image's C library may take other wheels
    than this machine's.
    """
    machine = os.environ.get("DOCKER_DEFAULT_PLATFORM", "").rpartition("/")[2]
    names = {"amd64": "x86_64", "arm64": "aarch64"}
    architecture = names.get(machine) or {"arm64": "aarch64"}.get(platform.machine(), platform.machine())
    return f"docker-linux-{architecture}" if engine == "docker" else f"local-{sysconfig.get_platform()}"


def download(locks: Sequence[Path], into: Path, base_image: str) -> None:
    """Bring the files of locks, which stand in one folder, into another one. Raises SamebookError where that fails.

    With a base image, these are the files that it installs; else those of the Python that runs this.
    """
    build, others = ([lock for lock in locks if (lock.name == BUILD) is wanted] for wanted in (True, False))
    constraints = locks[0].parent / CONSTRAINTS
    constraints.touch()
    for part in filter(None, (build, others)):
        _call(_in_container(part, into, base_image) if base_image else _here(part, into), constraints)
        constraints.write_text(_constraints(into, Path(WHEELS) if base_image else into, others))


def _constraints(files: Path, place: Path, locks: Sequence[Path]) -> str:
    """What of the wheels in a folder, which pip finds at `place`, builds packages. A name that the locks have, too, may
    have another version there, and pip asks one thing for both.
    """
    names = {name for lock in locks for name in re.findall(r"^([a-z0-9.-]+)==", lock.read_text(), re.MULTILINE)}
    wheels = {file.name.partition("-")[0].replace("_", "-"): file.name for file in sorted(files.glob("*.whl"))}
    return "".join(f"{name} @ {(place / wheels[name]).as_uri()}\n" for name in wheels if name not in names)


def _call(command: Sequence[str], constraints: Path) -> None:
    env = {**os.environ, "PIP_CONSTRAINT": str(constraints)}
    done = subprocess.run(command, env=env, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        last = [line for line in done.stderr.strip().splitlines() if line.startswith("ERROR")][-1:]
        raise SamebookError(
            f"the files of the lock could not be downloaded: {' '.join(last) or done.stderr[-400:].strip()}",
            mend="make doctor",
        )


def _here(locks: Sequence[Path], into: Path) -> list[str]:
    if not importlib.util.find_spec("ensurepip"):
        raise UsageError(f"there is no pip here: {sys.executable} has none", mend="make keep ENGINE=docker")
    wishes = [word for lock in locks for word in ("-r", str(lock))]
    return ["sh", "-c", PIP, sys.executable, str(locks[0].parent / "pip"), *DOWNLOAD, "--dest", str(into), *wishes]


def _in_container(locks: Sequence[Path], into: Path, base_image: str) -> list[str]:
    wishes = [word for lock in locks for word in ("-r", f"{LOCKS}/{lock.name}")]
    options = _mounts({into: WHEELS, locks[0].parent: f"{LOCKS}:ro"})
    certificates = Path(os.environ.get("SSL_CERT_FILE") or "/etc/ssl/certs/ca-certificates.crt")
    if certificates.is_file():
        options += [*_mounts({certificates: f"{CERTIFICATES}:ro"}), "--env", f"PIP_CERT={CERTIFICATES}"]
    options += ["--env", f"PIP_CONSTRAINT={LOCKS}/{CONSTRAINTS}"]
    options += [word for name in WAYS if os.environ.get(name) for word in ("--env", name)]
    user = f"{os.getuid()}:{os.getgid()}"
    start = ["docker", "run", "--rm", "--user", user, "--env", "HOME=/tmp", *options, "--entrypoint", "sh"]
    return [*start, base_image, "-c", PIP, "python3", PIP_FOLDER, *DOWNLOAD, "--dest", WHEELS, *wishes]


def _mounts(folders: Mapping[Path, str]) -> list[str]:
    return [word for path, place in folders.items() for word in ("--volume", f"{path.resolve()}:{place}")]
