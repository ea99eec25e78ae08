"""The images: what is in them, how large they are, and what must never be in them."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import docker
import pytest
from containers import Start, base, make, output
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


def test_same_content_is_same_image(engine: docker.DockerClient, checkout: Path) -> None:
    """A commit that is empty, or of docs and tests alone, has the same images; one of a notebook has others."""
    git = ("git", "-C", checkout, "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@b")
    names = [f"samebook:{target}-content" for target in ("runtime", "lab")]

    def build(*changed: str) -> list[str | None]:
        for path in changed:
            with (checkout / path).open("a") as stream:
                stream.write("\n")
        subprocess.run((*git, "commit", "--quiet", "--all", "--allow-empty", "--message", "more"), check=True)
        make("build", ENGINE="docker", SAMEBOOK_TAG="-content", BASE_IMAGE=base(), cwd=checkout)
        return [engine.images.get(name).id for name in names]

    try:
        images = build()
        assert build() == images
        assert build("docs/how-to/run.md", "README.md", "tests/tiny.py") == images
        assert not {*build("notebooks/training.py")} & {*images}
    finally:
        subprocess.run(("docker", "image", "rm", *names), capture_output=True, check=False)


@pytest.mark.parametrize(("name", "megabytes"), [("runtime", 664), ("lab", 912)])
def test_size(request: pytest.FixtureRequest, python: Python, name: str, megabytes: int) -> None:
    """Each image unpacks to less than its limit."""
    code = "import subprocess as s; print(s.run(['du', '-sbx', '/'], capture_output=True, text=True).stdout.split()[0])"
    assert int(python(request.getfixturevalue(name), code)) <= megabytes * 1_000_000


def test_fonts_are_embedded(runtime: Image, python: Python) -> None:
    """A plot carries its fonts in every format that can, with what the image keeps of the font tools."""
    code = """if True:
        import io, matplotlib.pyplot as plt
        plt.rcParams.update({"pdf.fonttype": 42, "ps.fonttype": 42})
        plt.title(r"Wind, $\\alpha$")
        for kind, font in {"pdf": b"/FontFile2", "ps": b"/FontType 42", "svg": b"DejaVuSans-"}.items():
            plt.savefig(file := io.BytesIO(), format=kind)
            print(kind if font in file.getvalue() else f"no font in {kind}")"""
    assert python(runtime, code).splitlines()[-3:] == ["pdf", "ps", "svg"]


def test_reads_git(runtime: Image, start: Start, checkout: Path) -> None:
    """A repository of packs and packed refs is read where there is no git."""
    git = ["git", "-C", str(checkout), "-c", f"safe.directory={checkout}"]
    for command in (["gc", "--quiet"], ["pack-refs", "--all"]):
        subprocess.run([*git, *command], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
    code = "import dulwich.repo as r\nwith r.Repo('/repo') as repo: print(repo[repo.refs[b'HEAD']].id.decode())"
    mounted = {str(checkout): {"bind": "/repo", "mode": "ro"}}
    assert head.strip() in output(start(runtime, "-c", code, entrypoint="python", volumes=mounted)).splitlines()


@pytest.mark.parametrize("words", [("pip",), ("pip3",), ("python", "-m", "pip")])
def test_pip_says_what_installs(runtime: Image, start: Start, words: tuple[str, ...]) -> None:
    """`pip install` in the image installs nothing, and says what does."""
    container = start(runtime, *words[1:], "install", "seaborn", entrypoint=words[0])
    assert container.wait()["StatusCode"] == 2
    assert '-> make add PACKAGE="seaborn"' in container.logs().decode()


def test_arrow_does_without(runtime: Image, python: Python) -> None:
    """Arrow filters as ever, and says itself what it was built without."""
    code = """if True:
        import pyarrow, pyarrow.dataset as ds
        condition, table = ds.field("a") > 1, pyarrow.table({"a": [1, 2]})
        print(ds.dataset(table).to_table(filter=condition).num_rows)
        try:
            condition.to_substrait(table.schema)
        except ImportError as error:
            print(error)"""
    rows, said = python(runtime, code).splitlines()
    assert rows == "1"
    assert "not built with support for Substrait" in said


def test_uv_of_the_image(runtime: Image, checkout: Path) -> None:
    """A checkout beside an image takes uv from its build, and asks no index."""
    del runtime
    ways = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "BASE_IMAGE": base()}
    assert "could not" not in make(".samebook/uv/bin/uv", ENGINE="docker", cwd=checkout, **ways)
    uv = checkout / ".samebook" / "uv" / "bin" / "uv"
    version = subprocess.run((uv, "--version"), capture_output=True, text=True, check=True).stdout.split()[1]
    assert f"uv=={version} " in (checkout / "environments" / "build.txt").read_text()


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
