"""Packages: which one a missing module asks for, and how one comes into the environment and leaves it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import CHECKOUT

from samebook.cli import moved
from samebook.environment import packages

WISH = ("pyproject.toml", "runtime.txt", "lab.txt", "command.txt", "build.txt")


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("No module named 'cv2'", "make add PACKAGE=opencv-python-headless"),
        ("No module named 'helpers'", "make add PACKAGE=helpers, where helpers is the package's name and no module of"),
        ("No module named 'sklearn.externals'", None),
        ("cannot import name 'x' from 'y'", None),
    ],
)
def test_missing_module_names_its_package(text: str, mend: str | None) -> None:
    """A missing module names the command that adds its package, and a part of an installed package does not."""
    assert (packages.mend(text) or "").startswith(mend or "")
    assert bool(packages.mend(text)) == bool(mend)


@pytest.mark.parametrize(
    ("name", "reason", "meant"),
    [
        ("seabron", "but seaborn: a package of a name so near to it may be a trap", "seaborn"),
        ("SKLearn", "sklearn is a module; its package is scikit-learn", "scikit-learn"),
        ("seaborn", "", ""),
        ("Scikit_Learn", "", ""),
        ("my-lock", "", ""),
        ("humanize", "", ""),
    ],
)
def test_name_like_a_trap(name: str, reason: str, meant: str) -> None:
    """A name that is nearly a well-known package's, or a module's, is doubted; one of its own is not."""
    doubt = packages.doubt(name, ["my-lock"])
    assert (doubt is None) == (not reason)
    if doubt:
        assert (doubt[0].endswith(reason), doubt[1]) == (True, meant)


SOLVED = "error: No solution found when resolving dependencies\n  cause: "


@pytest.mark.fast
@pytest.mark.parametrize(
    ("words", "wanted", "reason", "mend"),
    [
        (
            "Because streamlit==1.20.0 depends on protobuf>=3.12,<4 and churn-environments depends on protobuf>=5, we",
            "streamlit==1.20 protobuf>=5",
            "streamlit asks for protobuf>=3.12,<4, and this project for protobuf>=5",
            "streamlit protobuf",
        ),
        (
            "Because old>=1,<=4 depends on one of:\n    pandas>1.1,<1.4.0\n    pandas>1.4.0,<3\n and churn-environments"
            " depends on pandas>=3 and old, we can conclude that your requirements are unsatisfiable.",
            "old",
            "old asks for pandas>1.4.0,<3, and this project for pandas>=3",
            "old pandas>1.4.0,<3",
        ),
        (
            "Because first==1 depends on numpy<2 and second==3 depends on numpy>=2, we can conclude that",
            "first==1 second==3",
            "first asks for numpy<2, and second for numpy>=2",
            "first second",
        ),
        ("Because pandsa was not found in the package registry and", "pandsa", "no index has pandsa", "pandas"),
        (
            "Because q-q was not found in the package registry and",
            "q-q",
            "no index has q-q",
            "<the name that its own page",
        ),
        (
            "Because there is no version of numpy==99 and churn-environments depends on numpy==99, we can",
            "numpy==99",
            "numpy has no version that fits numpy==99",
            "numpy",
        ),
        ("Failed to build `llvmlite==0.33.0`", "numba==0.50", "llvmlite 0.33.0 has no wheel for this Python", "numba"),
        ("Because tf==2.1 has no wheels with a matching Python", "tf==2.1", "tf 2.1 has no wheel for this", "tf"),
        ("Failed to build `pmdarima==2.0.4`", "pycaret", "pmdarima 2.0.4 has no wheel for this Python", None),
        ("Failed to fetch: `https://index/simple/numpy/`", "numpy==1", "", None),
    ],
)
def test_refusal(words: str, wanted: str, reason: str, mend: str | None) -> None:
    """uv's words say which two disagree, or what can't be had, and the command that would do."""
    said, way = packages.refusal(SOLVED + words, wanted.split(), "churn-environments")
    assert said.startswith(reason)
    assert way.startswith(f'make add PACKAGE="{mend}' if mend else "")
    assert bool(way) == bool(mend)


DOCOPT = "docopt==0.6.2 --hash=sha256:49b3a825280bd66b3aa83585ef59c4a8c82f2c8a522dbe754a8bc8d08c85c491\n"


@pytest.mark.host
def test_build_from_source_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A package without a wheel is named when its build begins; uv's own words are shown only where it fails."""
    uv = CHECKOUT / ".samebook" / "uv" / "bin" / "uv"
    (tmp_path / "lock.txt").write_text(DOCOPT)
    command = [str(uv), "pip", "install", "--target", str(tmp_path / "packages"), "--python", sys.executable]
    moved.install([*command, "--no-cache", "--require-hashes", "-r", str(tmp_path / "lock.txt")])
    line = "  docopt 0.6.2 has no wheel here: built from its source, which may take minutes\n"
    assert capfd.readouterr() == (line, "")
    with pytest.raises(SystemExit):
        moved.install([*command, "--no-cache", "--reinstall", "--no-build", "docopt==0.6.2"])
    assert "docopt==0.6.2 has no usable wheels" in capfd.readouterr().err


@pytest.mark.host
def test_added_and_removed(tmp_path: Path) -> None:
    """`make add` brings wish, lock and weight, `make remove` takes them out, one that is nowhere moves nothing."""
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(clone)], check=True)
    (clone / ".samebook").mkdir()
    (clone / ".samebook" / "uv").symlink_to(CHECKOUT / ".samebook" / "uv")

    def make(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "--old-file", "environments/build.txt", *words, "ENGINE=local"]
        return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)

    def wish() -> dict[str, str]:
        return {name: (clone / "environments" / name).read_text() for name in WISH}

    def times() -> dict[str, int]:
        return {name: (clone / "environments" / f"{name}.txt").stat().st_mtime_ns for name in ("runtime", "build")}

    before, then = wish(), times()
    for words in (("add", "PACKAGE=x", "GROUP=$(touch ran)"), ("engine", "PLATFORM=linux/arm64 $(touch ran)")):
        assert make(*words).returncode == 2
    assert not (clone / "ran").exists(), "a value was run"
    added = make("add", "PACKAGE=humanize>=4", "GROUP=lab")
    assert "humanize (added) -> 4." in added.stdout
    assert "they weigh humanize 0." in added.stdout
    assert '  "humanize>=4",' in wish()["pyproject.toml"]
    assert "\nhumanize==4." in wish()["lab.txt"]
    assert wish()["runtime.txt"] == before["runtime.txt"]
    assert times() == then, "what is made from these locks would be made again"
    for name, reason in (("no-such-package-of-samebook", "was not found"), ("seabron", "but seaborn: a package of")):
        failed = make("add", f"PACKAGE={name}")
        assert failed.returncode == 2
        assert reason in failed.stderr
        assert "proxy" not in failed.stderr
    rivals = make("add", "PACKAGE=streamlit==1.20 protobuf>=5")
    assert "is as before: streamlit asks for protobuf>=3.12,<4, and this project for protobuf>=5\n" in rivals.stderr
    assert '  -> make add PACKAGE="streamlit protobuf"\n' in rivals.stderr
    # Whoever reads along may leave before the end, as `head` does.
    piped = 'make --old-file environments/build.txt add "PACKAGE=numpy==99" ENGINE=local 2>&1 | true'
    subprocess.run(["sh", "-c", piped], cwd=clone, check=True)
    assert make("remove", "PACKAGE=humanize", "GROUP=lab").returncode == 0
    assert wish() == before
    lacking = '  lightgbm loads libgomp.so.1, which the image lacks\n  -> make add APT="libgomp1"\n'
    assert lacking in make("add", "PACKAGE=lightgbm").stdout
    assert make("remove", "PACKAGE=lightgbm").returncode == 0
    (clone / "environments" / "apt.lock").write_text("# libgomp1\n#\nlibgomp1 14 amd64 1 1 0 pool/x.deb\n")
    assert "loads" not in make("add", "PACKAGE=lightgbm").stdout


@pytest.mark.host
@pytest.mark.parametrize("program", [("pip",), ("pip3",), ("python", "-m", "pip")])
def test_pip_names_the_way(program: tuple[str, ...]) -> None:
    """`pip install`, or `%pip install`, in a shell or a cell installs nothing there, and says what does."""
    name, *options = program
    command = [CHECKOUT / ".venv" / "bin" / name, *options, "install", "seaborn"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert '-> make add PACKAGE="seaborn"' in done.stderr


@pytest.mark.host
@pytest.mark.parametrize(
    ("typed", "mend"),
    [
        ("install -U seaborn lightgbm>=4", 'make add PACKAGE="seaborn lightgbm>=4"'),
        ("install -r needs.txt", "make add PACKAGE=\"$(grep -v '^#' needs.txt)\""),
        ("uninstall -y seaborn", 'make remove PACKAGE="seaborn"'),
        ("list", "grep == environments/lab.txt"),
        ("", "grep == environments/lab.txt"),
    ],
)
def test_pip_of_any_kind_names_the_way(typed: str, mend: str) -> None:
    """What people type of pip is answered with the command that does it here, without pip's own options."""
    command = [CHECKOUT / ".venv" / "bin" / "pip", *typed.split()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[1:]) == (2, [f"  -> {mend}"])


@pytest.mark.host  # where a folder for temporary files may hold programs
@pytest.mark.parametrize("line", ["%pip install seaborn", "!pip install seaborn"])
def test_pip_names_the_way_in_the_image(tmp_path: Path, line: str) -> None:
    """A cell's `%pip` and `!pip` in the image, whose environment has no pip, say what does install."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path], check=True)
    bin_folder = tmp_path / "bin"
    environment = {**os.environ, "VIRTUAL_ENV": str(tmp_path), "PATH": f"{bin_folder}:{os.environ['PATH']}"}
    subprocess.run([CHECKOUT / "environments" / "image" / "install", "no_pip"], env=environment, check=True)
    packages = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    code = f"import sys; sys.path.append({str(packages)!r})\n"
    code += "from IPython.core.interactiveshell import InteractiveShell\n"
    code += f"InteractiveShell.instance().run_cell({line!r})"
    words = [bin_folder / "python", "-c", code]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert '-> make add PACKAGE="seaborn"' in done.stdout + done.stderr
