"""The peers, each in an environment of its own: the fewest packages that run the cases, at our lock's versions."""

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks.trials import Wrong, last_words
from tiny import CHECKOUT

UV = CHECKOUT / ".samebook" / "uv" / "bin" / "uv"
LOCK = CHECKOUT / "environments" / "lab.txt"
# What the notebooks of the cases import.
LIBRARIES = ("pandas", "scikit-learn", "xgboost" if sys.platform == "darwin" else "xgboost-cpu")
# Versions are our lock's, so that nobody is slow for an old library; what the lock hasn't is pinned here.
PEERS = {
    "papermill": ("papermill", "ipykernel", *LIBRARIES),
    "nbconvert": ("nbconvert", "ipykernel", *LIBRARIES),
    "testbook": ("testbook", "pytest", "ipykernel", *LIBRARIES),
    "jupyterlab": ("jupyterlab",),
    "dvc": ("dvc==3.67.1",),
}


def pins(lock: str) -> dict[str, str]:
    """By name, the requirement of each package of a lock, without its hashes."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)(==[^\\\n]+)", lock, re.MULTILINE)
    return {name: f"{name}{rest.strip()}" for name, rest in lines}


def wanted(name: str) -> str:
    """What is asked for, a requirement a line."""
    known = pins(LOCK.read_text())
    return "".join(f"{known.get(each, each)}\n" for each in PEERS[name])


def environment(folder: Path, name: str) -> Path:
    """The peer's environment in `folder`, made where it is missing or another one is asked for. Raises Wrong."""
    made, requirements = folder / name, wanted(name)
    stamp, asked = made / "wanted.txt", f"Python {platform.python_version()}\n{requirements}"
    if stamp.is_file() and stamp.read_text() == asked:
        return made
    if not UV.is_file():
        raise Wrong(f"{UV.relative_to(CHECKOUT)} is missing, which installs the peers: make environment ENGINE=local")
    shutil.rmtree(made, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    constraints = folder / f"{name}.constraints.txt"
    constraints.write_text("".join(f"{pin}\n" for pin in pins(LOCK.read_text()).values()))
    _uv("venv", "--quiet", "--python", sys.executable, str(made))
    into = ("--quiet", "--python", str(made), "--compile-bytecode", "--constraints", str(constraints))
    _uv("pip", "install", *into, *requirements.splitlines())
    stamp.write_text(asked)
    return made


def versions(made: Path) -> list[str]:
    """Every package that an environment holds, with its version."""
    return _uv("pip", "freeze", "--quiet", "--python", str(made)).split("\n")[:-1]


def _uv(*arguments: str) -> str:
    done = subprocess.run([UV, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Wrong(f"uv {arguments[0]}: {last_words(done.stderr)}")
    return done.stdout
