"""The environments of the peers: the fewest packages that run the cases, at our lock's versions."""

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.trials import FailedTrial, last_words
from tiny import CHECKOUT

UV = CHECKOUT / ".samebook" / "uv" / "bin" / "uv"
LOCK = CHECKOUT / "environments" / "lab.txt"
# The libraries that the notebooks of the cases import.
LIBRARIES = ("pandas", "scikit-learn", "xgboost" if sys.platform == "darwin" else "xgboost-cpu")
# Versions are our lock's, so that no peer is slow for an old library; packages outside the lock are pinned here.
PEERS = {
    "papermill": ("papermill", "ipykernel", *LIBRARIES),
    "nbconvert": ("nbconvert", "ipykernel", *LIBRARIES),
    "testbook": ("testbook", "pytest", "ipykernel", *LIBRARIES),
    "jupyterlab": ("jupyterlab",),
    "dvc": ("dvc==3.67.1",),
}


def pins(lock: str) -> dict[str, str]:
    """The requirement of each package of a lock, by name and without hashes."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)(==[^\\\n]+)", lock, re.MULTILINE)
    return {name: f"{name}{rest.strip()}" for name, rest in lines}


def requirements(name: str) -> str:
    """The requirements of a peer, one a line."""
    locked = pins(LOCK.read_text())
    return "".join(f"{locked.get(package, package)}\n" for package in PEERS[name])


def environment(folder: Path, name: str) -> Path:
    """The environment of a peer below `folder`; a missing or outdated one is built. Raises FailedTrial."""
    path, lines = folder / name, requirements(name)
    stamp, content = path / "wanted.txt", f"Python {platform.python_version()}\n{lines}"
    if stamp.is_file() and stamp.read_text() == content:
        return path
    if not UV.is_file():
        raise FailedTrial(
            f"{UV.relative_to(CHECKOUT)} is missing, which installs the peers: make environment ENGINE=local"
        )
    shutil.rmtree(path, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    constraints = folder / f"{name}.constraints.txt"
    constraints.write_text("".join(f"{pin}\n" for pin in pins(LOCK.read_text()).values()))
    _uv("venv", "--quiet", "--python", sys.executable, str(path))
    options = ("--quiet", "--python", str(path), "--compile-bytecode", "--constraints", str(constraints))
    _uv("pip", "install", *options, *lines.splitlines())
    stamp.write_text(content)
    return path


def versions(environment: Path) -> list[str]:
    """The packages of an environment, with their versions."""
    return _uv("pip", "freeze", "--quiet", "--python", str(environment)).split("\n")[:-1]


def _uv(*arguments: str) -> str:
    done = subprocess.run([UV, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise FailedTrial(f"uv {arguments[0]}: {last_words(done.stderr)}")
    return done.stdout
