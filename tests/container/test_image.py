"""The images: what is in them, how large they are, and what must never be in them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from docker.models.images import Image

CHECKOUT = Path(__file__).parents[2]
Python = Callable[[Image, str], str]

VERSIONS = "import json, importlib.metadata as m; print(json.dumps({d.name: d.version for d in m.distributions()}))"


def test_lab_is_runtime_plus(runtime: Image, lab: Image) -> None:
    """Lab's image starts with all layers of production's, and adds a single one."""
    below, above = (image.attrs["RootFS"]["Layers"] for image in (runtime, lab))
    assert above[: len(below)] == below
    assert len(above) == len(below) + 1


def test_same_versions(runtime: Image, lab: Image, python: Python) -> None:
    """Every package of production is in lab, in the same version."""
    production, development = (json.loads(python(image, VERSIONS)) for image in (runtime, lab))
    assert production.items() <= development.items()
    assert "xgboost-cpu" in production
    assert "jupyterlab" not in production


def test_lab_adds_files(runtime: Image, lab: Image, python: Python) -> None:
    """Lab changes no file that production has."""
    # Hashes of everything in the environment but the one record of what came when.
    code = (
        "import hashlib, json, pathlib; root = pathlib.Path('/opt/samebook'); print(json.dumps({str(path):"
        " hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob('*') if path.is_file()}))"
    )
    production, development = (json.loads(python(image, code)) for image in (runtime, lab))
    assert {path for path, digest in production.items() if development.get(path) != digest} == set()


@pytest.mark.parametrize(("name", "megabytes"), [("runtime", 650), ("lab", 900)])
def test_size(request: pytest.FixtureRequest, python: Python, name: str, megabytes: int) -> None:
    """Each image unpacks to less than its limit."""
    code = "import subprocess as s; print(s.run(['du', '-sbx', '/'], capture_output=True, text=True).stdout.split()[0])"
    assert int(python(request.getfixturevalue(name), code)) <= megabytes * 1_000_000


def test_keeps_no_secret(runtime: Image, lab: Image, python: Python) -> None:
    """Neither history nor files hold what was lent to the build: certificates, caches, the installer."""
    for image in (runtime, lab):
        history = json.dumps(image.history())
        assert "/run/secrets" not in history
        assert "id=ca" not in history
        code = "import pathlib; print([p for p in ('/run/secrets', '/build', '/opt/uv') if pathlib.Path(p).exists()])"
        assert python(image, code).strip() == "[]"


def test_not_root(runtime: Image, lab: Image) -> None:
    """Without being told otherwise, no container runs as root."""
    assert {image.attrs["Config"]["User"] for image in (runtime, lab)} == {"1000:1000"}


def test_dockerfile_is_clean() -> None:
    """hadolint has nothing to say about the Dockerfile."""
    done = subprocess.run(["hadolint", "Dockerfile"], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
