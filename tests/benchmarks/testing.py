"""A race of notebook tests: testbook as in its documentation, and our fixture. Four modules of three tests."""

import importlib.util
import sys
from pathlib import Path

from benchmarks.notebooks import TRAINING
from benchmarks.places import Place, Race
from benchmarks.trials import FailedTrial, MissingTool, Trial

MODULES, TESTS_EACH = 4, 3
TESTS = """
def test_rows(tb):
    assert tb.value("len(frame)") == 12_000

def test_columns(tb):
    assert tb.value("frame.shape[1]") == 20

def test_both_classes(tb):
    assert tb.value("sorted(set(late.tolist()))") == [0, 1]
"""
# One kernel a module, and only the cells that the tests need: the fastest use of testbook.
THEIRS = """
import pytest
from testbook import testbook

@pytest.fixture(scope="module")
def tb():
    with testbook({path!r}, execute=["parameters", "imports", "data"]) as client:
        yield client
"""
OURS = """
import pytest
from samebook.testing import notebook

@pytest.fixture(scope="module")
def tb(notebook):
    return notebook("training", ["parameters", "imports", "data"])
"""


def testbook(place: Place) -> Trial:
    """The trial of testbook in its own environment."""
    path = str(TRAINING.write(place).root / "notebooks" / "training.ipynb")
    return _tests(place, "testbook", THEIRS.format(path=path), place.environ(place.peer("testbook")))


def samebook(place: Place) -> Trial:
    """The trial of the fixture `samebook.testing.notebook`."""
    if importlib.util.find_spec("samebook.testing") is None:
        raise MissingTool("no module samebook.testing")
    return _tests(place, "ours", OURS, place.samebook_environ(TRAINING.write(place)))


TESTING = Race(
    "tests",
    f"{MODULES} modules of {TESTS_EACH} tests of the training notebook, which train nothing",
    {"testbook": testbook, "samebook": samebook},
    against=("testbook",),
)


def _tests(place: Place, name: str, head: str, environ: dict[str, str]) -> Trial:
    folder: Path = place.folder(name)
    (folder / "pytest.ini").write_text("[pytest]\n")
    for number in range(MODULES):
        (folder / f"test_{number}.py").write_text(head + TESTS)
    programs = place.peer("testbook") if name == "testbook" else Path(sys.executable).parent

    def check(printed: str) -> None:
        if f"{MODULES * TESTS_EACH} passed" not in printed:
            raise FailedTrial(f"expected {MODULES * TESTS_EACH} passed tests")

    command = (programs / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", folder)
    return Trial(command, folder, environ, check=check)
