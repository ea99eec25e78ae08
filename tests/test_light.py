"""The commands that work beside the image, in the light environment that they have there."""

import shutil
import subprocess
import sys
from pathlib import Path

import promoting
import pytest
from light import MAKEFILE, Light, light_python
from tiny import Tiny, git

pytestmark = pytest.mark.host

HEAVY = ("ipykernel", "nbformat", "pandas", "pyarrow", "papermill", "duckdb")
PIPELINE = """
parameters: {level: 3}
steps:
  train: {parameters: {level: $level}}
  score: {needs: [train], parameters: {model: $train}}
"""
TABLE = """
import numpy, pandas, samebook
table = pandas.DataFrame({"n": numpy.random.default_rng().random(3)})
table.to_parquet(samebook.output_path("a.parquet"))
"""


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return light_python(tmp_path_factory.mktemp("light") / "environment")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """A repository with runs of train; nothing is promoted."""
    return promoting.create(tmp_path_factory.mktemp("trained") / "workspace", 2, 3)


@pytest.fixture
def light(trained: Tiny, python: Path, tmp_path: Path) -> Light:
    tiny = promoting.copy(trained, tmp_path / "workspace")
    (tiny.root / "Makefile").write_text(MAKEFILE.format(python=sys.executable))
    return Light(tiny.root, python)


def done(light: Light, *arguments: str) -> str:
    """The output of a command that ends well."""
    ended = light.samebook(*arguments)
    assert ended.code == 0, ended.stderr
    return ended.stdout


def committed(light: Light) -> None:
    git(light, "add", "--all")
    git(light, "commit", "--quiet", "-m", "more")


def test_environment_is_light(python: Path) -> None:
    """The light environment has nothing that notebooks need."""
    code = f"from importlib.util import find_spec; print([name for name in {HEAVY} if find_spec(name)])"
    assert subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_promote_and_back(light: Light) -> None:
    """A model is promoted after its gate, which make runs, then compared, laid out and rolled back."""
    for level in (2, 3):
        done(light, "promote", promoting.run_of(light, level), "delay")
    assert len(list(light.root.glob("runs/*-gate-*"))) == 2
    assert "auc" in done(light, "diff", "HEAD~1", "HEAD")
    assert "| dev | would be let in" in done(light, "review", "HEAD~1..HEAD")
    done(light, "models")
    assert (light.root / "models" / ".files" / "delay" / "model.txt").read_text() == "3"
    done(light, "rollback", "delay")
    assert promoting.promoted_level(light) == 2


@pytest.mark.parametrize("call", ["schedule", "gc --dry-run", "store verify", "pipelines", "settings"])
def test_look_around(light: Light, call: str) -> None:
    """What only looks needs nothing more either."""
    assert done(light, *call.split())


def test_pipeline_runs_in_image(light: Light) -> None:
    """make runs the steps of a pipeline, none of them twice; what can't run is refused before the first step."""
    shutil.rmtree(light.root / "runs")
    (light.root / "environments" / "pipelines").mkdir()
    (light.root / "environments" / "pipelines" / "daily.yml").write_text(PIPELINE)
    committed(light)
    call = ("pipeline", "daily", "--engine", "docker")
    assert [line.split()[2] for line in done(light, *call).splitlines()] == ["s", "s"]
    assert done(light, *call).count("as before") == 2
    refused = light.samebook(*call, "-p", "level=high")
    assert refused.code == 2
    assert "error: step train: " in refused.stderr
    assert len(light.runs) == 2


def test_backfill_runs_in_image(light: Light) -> None:
    """Each day of a backfill runs there, once."""
    (light.root / "environments" / "pipelines").mkdir()
    (light.root / "environments" / "pipelines" / "days.yml").write_text(
        "parameters: {day: today}\nsteps:\n  day: {notebook: day, parameters: {day: $day}}\n"
    )
    light.notebook("day", parameters="from datetime import date\nday: date = date(2013, 1, 1)")
    committed(light)
    call = ("backfill", "days", "--from", "2013-01-01", "--to", "2013-01-02", "--engine", "docker")
    assert "2 ran, 0 done already, 0 failed" in done(light, *call)
    assert "0 ran, 2 done already, 0 failed" in done(light, *call)


def test_reproduce_reads_tables_in_image(light: Light) -> None:
    """What differs in a file that takes a library to read is found by make's samebook, which has that library."""
    light.notebook("table", work=TABLE)
    committed(light)
    assert Tiny(light.root).samebook("run", "table").code == 0
    ended = light.samebook("reproduce", "table", "--engine", "docker")
    assert ended.code == 3, ended.stderr
    assert "n in 3 of 3 rows" in ended.stdout
